import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from framedose.errors import CalibrationError, ImageError
from framedose.files import read, write_tiff, writer

SHAPES = hnp.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=6)
FINITE = st.floats(-(2.0**99), 2.0**99, width=32)


@given(array=hnp.arrays(np.float32, SHAPES, elements=FINITE), sampling=st.floats(0.01, 50))
def test_pixels_and_scale_come_back(array, sampling, tmp_path_factory):
    array[..., 0, 0], array[..., -1, -1] = 1, 2  # A constant frame is refused.
    path = tmp_path_factory.mktemp("tiff") / "a.tif"
    write_tiff(path, array, sampling)
    frames = read(path)
    np.testing.assert_array_equal(
        np.stack([frame.image for frame in frames]), array if array.ndim == 3 else array[None]
    )
    assert frames[0].sampling == pytest.approx(sampling, rel=1e-6)
    assert [frame.frame for frame in frames] == list(range(len(frames)))


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
def test_a_mask_stack_is_never_a_colour_image(frames, tmp_path):
    mask = np.zeros((frames, 8, 9), np.uint8)
    mask[:, 2:5, 3:6] = 255
    mask[0, 0, 0] = 255
    write_tiff(tmp_path / "m.tif", mask, 0.75)
    with tifffile.TiffFile(tmp_path / "m.tif") as file:
        assert file.pages.first.photometric == tifffile.PHOTOMETRIC.MINISBLACK
        assert file.imagej_metadata.get("frames", 1) == frames
        assert file.asarray().dtype == np.uint8
    np.testing.assert_array_equal(np.stack([frame.image for frame in read(tmp_path / "m.tif")]), mask)


def test_imagej_and_hyperspy_find_the_scale_in_nm(tmp_path):
    write_tiff(tmp_path / "a.tif", np.eye(8, dtype=np.float32), 0.75)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        # Fiji: pixels per unit, and the unit.
        assert file.imagej_metadata["unit"] == "nm"
        assert file.pages.first.resolution == pytest.approx((1 / 0.075, 1 / 0.075), rel=1e-6)
        # HyperSpy takes the unit nm only from DigitalMicrograph's tags.
        tags = file.pages.first.tags
        assert (tags[65003].value, tags[65004].value) == ("nm", "nm")
        assert (tags[65009].value, tags[65010].value) == pytest.approx((0.075, 0.075))


@pytest.mark.parametrize("array", [np.zeros((4, 4)), np.zeros((2, 2, 4, 4), np.float32), np.zeros(4, np.uint8)])
def test_other_arrays_are_refused_and_nothing_is_written(array, tmp_path):
    with pytest.raises(ImageError, match="float32 or uint8"):
        write_tiff(tmp_path / "a.tif", array, 1.0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("sampling", [0, -1.0, np.nan])
def test_a_pixel_size_that_is_none_is_refused(sampling, tmp_path):
    with pytest.raises(CalibrationError, match="sampling must be a positive number"):
        write_tiff(tmp_path / "a.tif", np.zeros((4, 4), np.float32), sampling)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("frames", [1, 3])
def test_hyperspy_opens_the_scale(frames, tmp_path):
    from rsciio.tiff import file_reader  # HyperSpy's own reader of TIFF.

    array = np.random.default_rng(0).random((frames, 8, 9), dtype=np.float32)
    write_tiff(tmp_path / "a.tif", array if frames > 1 else array[0], 0.75)
    (signal,) = file_reader(tmp_path / "a.tif")
    assert signal["data"].shape == ((3, 8, 9) if frames > 1 else (8, 9))
    assert [(axis["units"], axis["scale"]) for axis in signal["axes"][-2:]] == [("nm", pytest.approx(0.075))] * 2


def test_a_stack_too_large_for_a_classic_tiff_is_a_bigtiff(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "_CLASSIC_BYTES", 1000)
    array = np.random.default_rng(0).random((5, 8, 9), dtype=np.float32)
    write_tiff(tmp_path / "a.tif", array, 0.75)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff
    frames = read(tmp_path / "a.tif")
    np.testing.assert_array_equal([frame.image for frame in frames], array)
    assert frames[4].sampling == pytest.approx(0.75)


def test_frames_are_written_as_they_come(tmp_path):
    with writer.tiff_writer(tmp_path / "a.tif", frames=3, frame_bytes=288, sampling=0.75) as write:
        for number in range(3):
            write(np.full((8, 9), number, np.float32))
            assert not (tmp_path / "a.tif").exists()
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif")[:, 0, 0], [0, 1, 2])
