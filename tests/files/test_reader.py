import contextlib

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from framedose.errors import CalibrationError, FileFormatError, FramedoseError, ImageError
from framedose.files import read, write_tiff

SUFFIXES = [".dm3", ".dm4", ".emd", ".hspy", ".mrc", ".ser", ".emi", ".tif", ".tvips", ".png", ".npy"]
RAMP = np.arange(60, dtype=np.uint8).reshape(6, 10)


def save_tiff(path, array=RAMP, **options):
    tifffile.imwrite(path, array, **options)
    return path


def save_png(path, array=RAMP, mode=None):
    (Image.fromarray(array) if mode is None else Image.fromarray(array).convert(mode)).save(path)
    return path


class TestPixelSize:
    @pytest.mark.parametrize(
        ("unit", "angstroms"),
        [
            ("nm", 10),
            ("micron", 1e4),
            ("\\u00B5m", 1e4),
            ("um", 1e4),
            ("pm", 0.01),
            ("\\u00C5", 1),
            ("Angstrom", 1),
            ("A", 1),
        ],
    )
    def test_imagej(self, tmp_path, unit, angstroms):
        path = save_tiff(tmp_path / "a.tif", imagej=True, resolution=(4.0, 4.0), metadata={"unit": unit})
        assert read(path)[0].sampling == pytest.approx(angstroms / 4)

    @pytest.mark.parametrize(("unit", "sampling"), [("CENTIMETER", 0.5), ("INCH", 1.27)])
    def test_plain_resolution_of_a_microscope(self, tmp_path, unit, sampling):
        path = save_tiff(tmp_path / "a.tif", resolution=(2e8, 2e8), resolutionunit=unit)
        assert read(path)[0].sampling == pytest.approx(sampling)

    @pytest.mark.parametrize("size", [{"PhysicalSizeX": 0.2, "PhysicalSizeY": 0.2, "PhysicalSizeXUnit": "nm"}])
    def test_ome(self, tmp_path, size):
        path = save_tiff(tmp_path / "a.ome.tif", ome=True, metadata={**size, "PhysicalSizeYUnit": "nm"})
        assert read(path)[0].sampling == pytest.approx(2)

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"resolution": (72, 72), "resolutionunit": "INCH"},
            {"imagej": True, "resolution": (3.0, 3.0), "metadata": {"unit": "pixel"}},
        ],
    )
    def test_none_is_an_error_that_names_the_remedy(self, tmp_path, options):
        path = save_tiff(tmp_path / "a.tif", **options)
        with pytest.raises(CalibrationError, match=r"a\.tif: no pixel size; give it with --sampling \(Å per pixel\)"):
            read(path)
        assert read(path, sampling=0.5)[0].sampling == 0.5

    def test_png_has_none_even_with_a_resolution(self, tmp_path):
        Image.fromarray(RAMP).save(tmp_path / "a.png", dpi=(300, 300))
        with pytest.raises(CalibrationError, match="--sampling"):
            read(tmp_path / "a.png")

    def test_given_overrides_what_the_file_says(self, tmp_path):
        write_tiff(tmp_path / "a.tif", RAMP, 2.0)
        assert read(tmp_path / "a.tif", sampling=0.75)[0].sampling == 0.75

    def test_unequal_sides(self, tmp_path):
        path = save_tiff(tmp_path / "a.tif", imagej=True, resolution=(10.0, 20.0), metadata={"unit": "nm"})
        with pytest.raises(CalibrationError, match="square"):
            read(path)

    def test_reciprocal_space(self, tmp_path):
        path = save_tiff(tmp_path / "a.tif", imagej=True, resolution=(10.0, 10.0), metadata={"unit": "1/nm"})
        with pytest.raises(CalibrationError, match="1/nm"):
            read(path)

    @pytest.mark.parametrize("sampling", [0.0, -1.0, float("nan"), float("inf")])
    def test_given_must_be_positive(self, tmp_path, sampling):
        with pytest.raises(CalibrationError, match=f"positive.*{sampling}"):
            read(save_png(tmp_path / "a.png"), sampling=sampling)


class TestPixels:
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32, np.float32, np.float64])
    def test_kinds_of_number(self, tmp_path, dtype):
        image = read(save_tiff(tmp_path / "a.tif", RAMP.astype(dtype)), sampling=1)[0].image
        np.testing.assert_array_equal(image, RAMP)
        assert image.dtype == np.float32

    @pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits", "zstd"])
    @pytest.mark.parametrize("byteorder", ["<", ">"])
    def test_compressed_pages_and_both_byte_orders(self, tmp_path, compression, byteorder):
        stack = np.stack([RAMP, RAMP[::-1], RAMP + 7]).astype(np.uint16)
        options = {"photometric": "minisblack", "byteorder": byteorder}
        packed = read(save_tiff(tmp_path / "a.tif", stack, compression=compression, **options), sampling=1)
        plain = read(save_tiff(tmp_path / "b.tif", stack, **options), sampling=1)
        for index in (2, 0, 1):
            np.testing.assert_array_equal(packed[index].image, stack[index])
            np.testing.assert_array_equal(plain[index].image, stack[index])

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_png(self, tmp_path, dtype):
        array = RAMP.astype(dtype) * dtype(np.iinfo(dtype).max // 60)
        np.testing.assert_array_equal(read(save_png(tmp_path / "a.PNG", array), sampling=1)[0].image, array)

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
    def test_grey_in_other_clothes(self, tmp_path, mode):
        np.testing.assert_array_equal(read(save_png(tmp_path / "a.png", mode=mode), sampling=1)[0].image, RAMP)

    @pytest.mark.parametrize("shape", [(1, 6, 10), (6, 10, 1), (1, 1, 6, 10), (1, 6, 10, 1)])
    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_axes_of_length_one_do_not_count(self, tmp_path, shape, compression):
        array = RAMP.astype(np.float32).reshape(shape)
        path = save_tiff(tmp_path / "a.tif", array, photometric="minisblack", compression=compression)
        (frame,) = read(path, sampling=1)
        assert np.array_equal(frame.image, RAMP)
        colours = np.repeat(RAMP[None, ..., None], 3, -1)
        (frame,) = read(save_tiff(tmp_path / "c.tif", colours, photometric="rgb"), sampling=1)
        assert np.array_equal(frame.image, RAMP)

    @pytest.mark.parametrize("kind", [np.uint8, np.uint16])
    def test_white_as_zero_is_turned_round(self, tmp_path, kind):
        path = save_tiff(tmp_path / "a.tif", RAMP.astype(kind), photometric="miniswhite")
        (frame,) = read(path, sampling=1)
        assert np.array_equal(frame.image, np.iinfo(kind).max - RAMP.astype(float))
        with Image.open(path) as shown:
            if kind == np.uint8:
                assert np.array_equal(np.asarray(shown.convert("L")), frame.image)

    def test_a_grey_palette_of_8_bits_makes_no_counts(self, tmp_path):
        ramp = np.repeat(np.arange(256, dtype=np.uint16)[None] * 257, 3, 0)
        stretched = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
        (frame,) = read(save_tiff(tmp_path / "p.tif", stretched, photometric="palette", colormap=ramp), sampling=1)
        assert np.array_equal(frame.image, stretched * 257.0)
        assert frame.quantity == "normalised"

    def test_a_png_of_16_bits_is_counts(self, tmp_path):
        counts = np.random.default_rng(0).poisson(900, (64, 64)).astype(np.uint16)
        counts[:2] = 0  # Clipped, or dead.
        (frame,) = read(save_png(tmp_path / "a.png", counts), sampling=1)
        assert frame.flags
        assert frame.quantity == "counts"

    def test_grey_rgb_and_palette_tiff(self, tmp_path):
        path = save_tiff(tmp_path / "a.tif", np.repeat(RAMP[..., None], 3, -1), photometric="rgb")
        np.testing.assert_array_equal(read(path, sampling=1)[0].image, RAMP)
        ramp = np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1))
        path = save_tiff(tmp_path / "p.tif", photometric="palette", colormap=ramp)
        np.testing.assert_array_equal(read(path, sampling=1)[0].image, RAMP * 257.0)

    def test_frames_from_pages_and_from_an_axis(self, tmp_path):
        stack = np.stack([RAMP, RAMP + 1, RAMP + 2, RAMP + 3])
        for options in (
            {"photometric": "minisblack"},
            {"imagej": True, "photometric": "minisblack", "metadata": {"axes": "ZYX"}},
        ):
            frames = read(save_tiff(tmp_path / "a.tif", stack, **options), sampling=1)
            np.testing.assert_array_equal([frame.image for frame in frames], stack)

    @pytest.mark.parametrize(
        ("array", "words"),
        [
            (RAMP.astype(np.complex64), "complex"),
            (RAMP > 30, "boolean"),
            (np.stack([RAMP, RAMP + 1, RAMP], -1), "colour"),
            (np.full((6, 10), 7, np.float32), "7.0"),
            (np.where(RAMP == 3, np.nan, RAMP).astype(np.float32), "NaN"),
            (RAMP.astype(np.float64) * 1e300, "infinity"),
            (np.zeros((2, 2, 6, 10), np.uint16), "axis of frames"),
        ],
    )
    def test_not_an_image_to_segment(self, tmp_path, array, words):
        path = save_tiff(tmp_path / "a.tif", array, **({"imagej": True} if array.ndim == 4 else {}))
        with pytest.raises(ImageError, match=words):
            list(read(path, sampling=1))

    def test_transparency_that_varies(self, tmp_path):
        save_png(tmp_path / "a.png", np.dstack([RAMP, RAMP, RAMP, RAMP]))
        with pytest.raises(ImageError, match="transparent"):
            list(read(tmp_path / "a.png", sampling=1))

    def test_boolean_png(self, tmp_path):
        with pytest.raises(ImageError, match="boolean"):
            read(save_png(tmp_path / "a.png", mode="1"), sampling=1)

    def test_images_of_several_shapes(self, tmp_path):
        with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
            writer.write(RAMP)
            writer.write(RAMP[:4])
        with pytest.raises(FileFormatError, match="2 images"):
            read(tmp_path / "a.tif", sampling=1)


class TestDamage:
    @pytest.mark.parametrize("name", ["a.png", "a.tif", "stack.tif", "packed.tif"])
    @pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
    def test_truncated(self, tmp_path, name, share):
        path = tmp_path / name
        noise = np.random.default_rng(0).integers(0, 60000, (3, 64, 64)).astype(np.uint16)
        if name == "a.png":
            save_png(path, noise[0])
        elif name == "packed.tif":
            save_tiff(path, noise[0], compression="zlib")
        else:
            write_tiff(path, noise[0].astype(np.float32) if name == "a.tif" else noise.astype(np.float32), 1.0)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(FileFormatError, match=str(path)) as caught:
            list(read(path, sampling=1))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            *((f"a{suffix}", b"", "empty") for suffix in SUFFIXES),
            *((f"a{suffix}", b"MZ90 hello" * 200, "is not a") for suffix in SUFFIXES),
            ("a.mrc", b"MZ90 hello", "too short"),
        ],
    )
    def test_empty_and_foreign(self, tmp_path, name, content, words):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FileFormatError, match=words):
            read(tmp_path / name, sampling=1)

    def test_one_kind_under_the_name_of_the_other(self, tmp_path):
        save_png(tmp_path / "a.png").rename(tmp_path / "a.tif")
        with pytest.raises(FileFormatError, match="not a TIFF"):
            read(tmp_path / "a.tif", sampling=1)

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("a.raw", "numpy.fromfile"),
            ("a.dm5", "DM4"),
            ("a.npz", "numpy.save"),
            ("a.tif.gz", "unpack"),
            ("a.zip", "unpack"),
            ("a.jpg", r"export it as TIFF .*framedose reads \.dm3, \.dm4"),
            ("a", "export it as TIFF"),
        ],
    )
    def test_other_suffixes_have_a_remedy(self, tmp_path, name, words):
        (tmp_path / name).write_bytes(b"something")
        with pytest.raises(FileFormatError, match=words):
            read(tmp_path / name)

    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "a.tif")

    @settings(max_examples=60)
    @given(data=st.data())
    def test_a_flipped_byte_gives_an_image_or_an_error_of_ours(self, data, tmp_path_factory):
        path = tmp_path_factory.mktemp("flip") / "a.tif"
        write_tiff(path, RAMP, 1.0)
        content = bytearray(path.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)
        with contextlib.suppress(FramedoseError):
            assert all(np.isfinite(frame.image).all() for frame in read(path, sampling=1))
