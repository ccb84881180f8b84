"""Files of every format that can be written here, read back; damaged ones refused."""

import datetime
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import pytest
from nion.data import Calibration, DataAndMetadata
from nionswift_plugin.DM_IO import dm3_image_utils

from framedose.camera.passport import load_passport
from framedose.errors import CalibrationError, FileFormatError, FramedoseError, ImageError
from framedose.files import read, write_tiff
from framedose.files.reader import _micrograph
from framedose.files.source import Source

STACK = np.random.default_rng(0).normal(100, 10, (3, 40, 50)).astype(np.float32)


def save_dm(path, array=STACK, size=0.05, unit="nm", brightness=None):
    spatial = [Calibration.Calibration(0, size, unit)] * 2
    frames = [Calibration.Calibration(0, 0.1, "s")] * (array.ndim - 2)
    data = DataAndMetadata.new_data_and_metadata(
        array,
        intensity_calibration=Calibration.Calibration(*(brightness or (0, 1, ""))),
        dimensional_calibrations=frames + spatial,
        data_descriptor=DataAndMetadata.DataDescriptor(array.ndim > 2, 0, 2),
        timestamp=datetime.datetime(2026, 1, 2),
    )
    with path.open("wb") as file:
        dm3_image_utils.save_image(data, file, int(path.suffix[-1]))


def save_mrc(path, array=STACK, voxel=0.5):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It warns of NaN, which some of these files are to hold.
        with mrcfile.new(path, array) as file:
            file.voxel_size = voxel


def axes(array):
    spatial = [{"name": n, "scale": 0.05, "offset": 0.0, "units": "nm", "navigate": False} for n in "yx"]
    frames = [{"name": "time", "scale": 1.0, "offset": 0.0, "units": "s", "navigate": True}] * (array.ndim - 2)
    return [
        {**axis, "size": size, "index_in_array": index, "_type": "UniformDataAxis", "is_binned": False}
        for index, (axis, size) in enumerate(zip(frames + spatial, array.shape, strict=True))
    ]


def save_hyperspy(path, array=STACK, microscope=None):
    from rsciio.hspy import file_writer

    signal = {
        "data": array,
        "axes": axes(array),
        "metadata": {
            "General": {"title": "a"},
            "Signal": {"signal_type": ""},
            "Acquisition_instrument": {"TEM": microscope or {}},
        },
        "original_metadata": {},
        "attributes": {"_lazy": False, "ragged": False},
        "learning_results": {},
        "package_info": {"package": "hyperspy", "package_version": "2.0"},
        "tmp_parameters": {},
        "models": {},
    }
    file_writer(path, signal)


def save_emd(path, array=STACK):
    """Write a Berkeley EMD file as HyperSpy does, x first."""
    write_emd(path, array.T, ["[n_m]", "[n_m]", "[s]"])


def write_emd(path, array, units):
    with h5py.File(path, "w") as file:
        file.attrs.update({"version_major": 0, "version_minor": 2})
        group = file.create_group("data/frames")
        group.attrs["emd_group_type"] = 1
        group.create_dataset("data", data=array)
        for index, (size, unit) in enumerate(zip(array.shape, units, strict=False)):
            dim = group.create_dataset(f"dim{index + 1}", data=np.arange(size) * 0.05)
            dim.attrs.update({"name": unit, "units": unit})


def save_npy(path, array=STACK):
    np.save(path, array)


SAVE = {
    "a.dm3": save_dm,
    "a.dm4": save_dm,
    "a.mrc": save_mrc,
    "a.hspy": save_hyperspy,
    "a.emd": save_emd,
    "a.npy": save_npy,
    "a.tif": lambda path, array=STACK: write_tiff(path, array, 0.5),
}
given = {"a.npy": {"sampling": 0.5}}


@pytest.mark.parametrize("name", SAVE)
class TestEveryFormat:
    @pytest.mark.parametrize("array", [STACK, STACK[1], (STACK * 10).astype(np.int16)], ids=["stack", "frame", "int16"])
    def test_pixels_and_scale_come_back(self, tmp_path, name, array):
        if name == "a.tif" and array.dtype == np.int16:
            array = array.astype(np.float32)
        SAVE[name](tmp_path / name, array)
        frames = read(tmp_path / name, **given.get(name, {}))
        np.testing.assert_array_equal([frame.image for frame in frames], array if array.ndim == 3 else array[None])
        assert [frame.sampling for frame in frames] == pytest.approx([0.5] * len(frames))
        assert frames[0].image.dtype == np.float32

    def test_indices_and_slices(self, tmp_path, name):
        SAVE[name](tmp_path / name)
        frames = read(tmp_path / name, **given.get(name, {}))
        assert len(frames) == 3
        np.testing.assert_array_equal(frames[-1].image, STACK[2])
        assert [frame.frame for frame in frames[1:]] == [1, 2]
        assert [frame.frame for frame in frames[::-1]] == [2, 1, 0]
        with pytest.raises(IndexError):
            frames[3]

    @pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.97])
    def test_truncated(self, tmp_path, name, share):
        SAVE[name](tmp_path / name)
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: int(len(content) * share)])
        with pytest.raises(FileFormatError, match=name) as caught:
            list(read(tmp_path / name, sampling=0.5))
        assert "\n" not in str(caught.value)

    def test_a_flipped_byte_gives_an_image_or_an_error_of_ours(self, tmp_path, name):
        SAVE[name](tmp_path / name)
        content = (tmp_path / name).read_bytes()
        rng = np.random.default_rng(1)
        # Headers, where a flipped byte means the most.
        places = np.r_[rng.integers(0, min(2048, len(content)), 40), rng.integers(0, len(content), 10)]
        for place in places:
            damaged = bytearray(content)
            damaged[place] ^= rng.integers(1, 256)
            (tmp_path / name).write_bytes(damaged)
            try:
                for frame in read(tmp_path / name, sampling=0.5):
                    assert np.isfinite(frame.image).all()
            except FramedoseError:
                pass

    @pytest.mark.parametrize(("value", "words"), [(np.nan, "NaN"), (np.inf, "infinity"), (None, "every pixel")])
    def test_not_finite_or_constant(self, tmp_path, name, value, words):
        array = STACK.copy()
        if value is None:
            array[1] = 7
        else:
            array[1, 3, 4] = value
        SAVE[name](tmp_path / name, array)
        frames = read(tmp_path / name, sampling=0.5)
        assert frames[0].image.any()
        with pytest.raises(ImageError, match=f"{name}, frame 1: .*{words}"):
            frames[1]


class TestDigitalMicrograph:
    @pytest.mark.parametrize(("unit", "angstroms"), [("nm", 10), ("pm", 0.01), ("µm", 1e4), ("Å", 1), ("A", 1)])
    def test_units(self, tmp_path, unit, angstroms):
        save_dm(tmp_path / "a.dm4", size=0.2, unit=unit)
        assert read(tmp_path / "a.dm4")[0].sampling == pytest.approx(0.2 * angstroms)

    def test_electrons_and_the_dose_they_mean(self, tmp_path):
        # (value - 20) * 0.5 electrons; on pixels of 0.5 Å.
        save_dm(tmp_path / "a.dm4", brightness=(-10, 0.5, "e-"))
        frame = read(tmp_path / "a.dm4")[0]
        np.testing.assert_allclose(frame.image, (STACK[0] - 20) * 0.5, rtol=1e-6)
        assert frame.quantity == "electrons"
        assert frame.dose_per_area == pytest.approx(frame.image.mean() / 0.25)

    def test_counts_have_no_dose(self, tmp_path):
        save_dm(tmp_path / "a.dm4", brightness=(0, 2, "counts"))
        frame = read(tmp_path / "a.dm4")[0]
        assert (frame.quantity, frame.dose_per_area) == ("counts", None)
        np.testing.assert_array_equal(frame.image, STACK[0])

    def test_diffraction_is_refused_whatever_the_user_says(self, tmp_path):
        save_dm(tmp_path / "a.dm3", unit="1/nm")
        with pytest.raises(CalibrationError, match="diffraction.*1/nm"):
            read(tmp_path / "a.dm3", sampling=0.5)


def test_mrc_without_a_cell_has_no_pixel_size(tmp_path):
    save_mrc(tmp_path / "a.mrc", voxel=0)
    with pytest.raises(CalibrationError, match="--sampling"):
        read(tmp_path / "a.mrc")


def test_an_emd_stack_with_time_first(tmp_path):
    write_emd(tmp_path / "a.emd", STACK, ["[s]", "[n_m]", "[n_m]"])  # As ncempy writes it.
    frames = read(tmp_path / "a.emd")
    np.testing.assert_array_equal([frame.image for frame in frames], STACK)


def test_an_hdf5_file_of_another_kind(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = STACK
    with pytest.raises(FileFormatError, match="EMD"):
        read(tmp_path / "a.h5", sampling=1)


@pytest.mark.parametrize(("mode", "flagged"), [("TEM", False), ("STEM", True)])
def test_the_mode_that_hyperspy_writes(tmp_path, mode, flagged):
    save_hyperspy(tmp_path / "a.hspy", microscope={"acquisition_mode": mode})
    frame = read(tmp_path / "a.hspy")[0]
    assert any(flag.startswith("scanned: ") for flag in frame.flags) == flagged


class Explosive:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code from a file was run')",))


@pytest.mark.parametrize("name", ["a.npy", "a.dm4", "a.tif", "a.hspy"])
def test_a_pickle_is_never_unpacked(tmp_path, name):
    if name == "a.npy":
        np.save(tmp_path / name, np.array([Explosive()], dtype=object), allow_pickle=True)
    else:
        (tmp_path / name).write_bytes(pickle.dumps(Explosive()))
    with pytest.raises(FileFormatError, match=name):
        list(read(tmp_path / name, sampling=1))


MEASURE = """
import sys
sys.path.insert(0, sys.argv[2])
from framedose.files import read
from peak_memory import peak_memory
frames = read(sys.argv[1], sampling=0.5)
frames[0]
before = peak_memory()
total = sum(float(frames[index].image[7, 7]) for index in range(0, len(frames), 64))
print(len(frames), total, peak_memory() - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the peak is read with the resource module")
@pytest.mark.parametrize("name", ["a.mrc", "a.npy", "a.hspy"])
def test_a_stack_of_two_gigabytes_is_not_loaded(tmp_path, name):
    shape, path = (256, 2048, 2048), tmp_path / name
    if name == "a.npy":
        array = np.lib.format.open_memmap(path, "w+", np.int16, shape)
        array[:, 7, 7] = 1
    elif name == "a.mrc":
        with mrcfile.new_mmap(path, shape, mrc_mode=1) as file:
            file.data[:, 7, 7] = 1
    else:
        save_hyperspy(path, STACK)
        with h5py.File(path, "a") as file:
            group = next(iter(file["Experiments"].values()))
            del group["data"]
            data = group.create_dataset("data", shape, np.int16, chunks=(1, 2048, 2048))
            for index in range(0, 256, 64):
                data[index, 7, 7] = 1
            for number, size in enumerate(shape):
                group[f"axis-{number}"].attrs["size"] = size
    command = [sys.executable, "-c", MEASURE, str(path), str(Path(__file__).parents[1])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    frames, total, megabytes = (float(word) for word in done.stdout.split())
    assert (frames, total) == (256, 4)
    # A frame of 8 MB, as float32 and the float64 copies of the tests of rawness; the file has 2048 MB.
    assert megabytes < 300


def test_bytes_of_an_mrc_file_are_signed_as_its_version_says(tmp_path):
    pixels = np.random.default_rng(0).normal(0, 10, (64, 64)).round().astype(np.int8)
    save_mrc(tmp_path / "signed.mrc", pixels)
    np.testing.assert_array_equal(read(tmp_path / "signed.mrc")[0].image, pixels)
    content = bytearray((tmp_path / "signed.mrc").read_bytes())
    # IMOD, whose first flag says whether they are; and a file older than MRC2014.
    for name, place, words in (
        ("imod", 152, np.array([1146047817, 0], "<i4").tobytes()),
        ("old", 108, bytes(4)),
    ):
        changed = content.copy()
        changed[place : place + len(words)] = words
        (tmp_path / f"{name}.mrc").write_bytes(changed)
        np.testing.assert_array_equal(read(tmp_path / f"{name}.mrc")[0].image, pixels.view(np.uint8))


def test_a_counting_camera_of_one_byte_keeps_its_counts(tmp_path):
    """Neither an X-ray nor a dead column makes a picture of them."""
    counts = np.random.default_rng(0).poisson(2.0, (3, 64, 64)).astype(np.uint8)
    counts[1, 10, 10] = 200
    counts[2, :, 30] = 0
    save_mrc(tmp_path / "counts.mrc", counts.astype(np.int8))
    assert [one.quantity for one in read(tmp_path / "counts.mrc")] == ["counts"] * 3
    picture = np.random.default_rng(0).normal(120, 30, (64, 64)).clip(0, 255).astype(np.uint8)
    write_tiff(tmp_path / "picture.tif", picture, 0.5)
    assert read(tmp_path / "picture.tif")[0].quantity == "normalised"


def test_unequal_pixels_keep_their_dose():
    electrons = np.random.default_rng(0).poisson(8.0, (60, 80)).astype(np.float32)
    source = Source(1, electrons.dtype, lambda _: electrons, electrons.size)
    one = _micrograph(electrons, source, (0.2, 0.1), origin="x", frame=0)
    assert one.sampling == 0.1
    assert load_passport("counting").dose_of(one) == pytest.approx(8.0 / 0.02, rel=0.01)
