"""Damaged micrographs of every format: an image or one line that says why not, never a crash, a hang or much memory."""

import struct

import h5py
import numpy as np
import pytest
import tifffile
from damage import damaged
from fuzzing import MOST_MEMORY, PROFILE
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from test_formats import save_dm, save_emd, save_hyperspy, save_mrc, save_npy

from framedose.files import write_tiff

SMALL = np.random.default_rng(0).normal(100, 10, (2, 24, 20)).astype(np.float32)


def save_packed_tiff(path):
    tifffile.imwrite(path, SMALL, compression="zlib", tile=(16, 16), photometric="minisblack")


def save_imagej(path):
    tifffile.imwrite(path, SMALL, imagej=True, resolution=(20, 20), metadata={"unit": "nm", "axes": "ZYX"})


def save_png(path):
    Image.fromarray(SMALL[0].astype(np.uint16)).save(path)


def save_gzip_hdf5(path):
    """Write a Berkeley EMD file with compressed chunks."""
    save_emd(path, SMALL)
    with h5py.File(path, "a") as file:
        group = file["data/frames"]
        del group["data"]
        group.create_dataset("data", data=SMALL.T, chunks=(20, 24, 1), compression="gzip")


MADE = {
    "a.dm3": lambda path: save_dm(path, SMALL),
    "a.dm4": lambda path: save_dm(path, SMALL),
    "a.mrc": lambda path: save_mrc(path, SMALL),
    "a.hspy": lambda path: save_hyperspy(path, SMALL),
    "a.emd": save_gzip_hdf5,
    "a.npy": lambda path: save_npy(path, SMALL),
    "a.tif": lambda path: write_tiff(path, SMALL, 0.5),
    "packed.tif": save_packed_tiff,
    "imagej.tif": save_imagej,
    "a.png": save_png,
}
# Of formats that cannot be written here; the smallest ones.
FOUND = (
    "readers_rosettasciio/tia_old_64x64_TEM_images_acquire_1.ser",
    "readers_rosettasciio/tia_old_64x64x5_TEM_preview.emi",
    "readers_rosettasciio/tvips_test_tvips_2233_000.tvips",
    "readers_rosettasciio/emd_example_image.emd",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The whole files' bytes, by name."""
    folder = tmp_path_factory.mktemp("whole")
    for name, save in MADE.items():
        save(folder / name)
    return {name: (folder / name).read_bytes() for name in MADE}


@pytest.mark.parametrize("name", MADE)
def test_damaged_files(made, name, victim, tmp_path):
    (tmp_path / name).write_bytes(made[name])
    assert victim.opens("micrograph", tmp_path / name) == ("read", "")

    @PROFILE
    @given(content=damaged(made[name]))
    def check(content):
        (tmp_path / name).write_bytes(content)
        victim.opens("micrograph", tmp_path / name)

    check()
    assert victim.peak < MOST_MEMORY


@pytest.mark.parametrize("name", FOUND)
def test_damaged_files_of_instruments(real_data, name, victim, tmp_path):
    source = real_data / name
    # An .emi needs its .ser beside it.
    for beside in source.parent.glob(f"{source.stem}*.ser"):
        (tmp_path / beside.name).write_bytes(beside.read_bytes())

    @PROFILE
    @given(content=damaged(source.read_bytes()))
    def check(content):
        (tmp_path / source.name).write_bytes(content)
        victim.opens("micrograph", tmp_path / source.name)

    check()
    assert victim.peak < MOST_MEMORY


@PROFILE
@given(data=st.data())
def test_any_bytes_after_the_right_beginning(data, victim, tmp_path_factory):
    beginnings = {
        "a.dm3": struct.pack(">III", 3, 1 << 20, 1),
        "a.dm4": struct.pack(">IQI", 4, 1 << 20, 1),
        "a.h5": b"\x89HDF\r\n\x1a\n",
        "a.mrc": struct.pack("<4i", 4, 4, 1, 0),
        "a.ser": b"II\x97\x01",
        "a.emi": b"JK\0\2",
        "a.tif": b"II*\0\x08\0\0\0",
        "b.tif": b"MM\0+\0\x08\0\0",
        "a.tvips": b"\0\1\0\0\2\0\0\0",
        "a.png": b"\x89PNG\r\n\x1a\n",
        "a.npy": b"\x93NUMPY\1\0",
    }
    name = data.draw(st.sampled_from(sorted(beginnings)))
    path = tmp_path_factory.mktemp("any") / name
    path.write_bytes(beginnings[name] + data.draw(st.binary(max_size=2048)))
    victim.opens("micrograph", path)
