"""Files made to do harm: headers that claim what no disk holds, bombs, and code in data."""

import pickle
import struct
import zlib

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
from fuzzing import MOST_MEMORY
from PIL import Image
from test_formats import save_dm, save_hyperspy, save_mrc, write_emd

SMALL = np.random.default_rng(0).normal(100, 10, (2, 24, 20)).astype(np.float32)
SIDE = 2**31 - 1


def replaced(path, old, new):
    """Replace every occurrence in a file, of which there must be one at least."""
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


def huge_dm(path):
    save_dm(path, SMALL)
    for side in SMALL.shape[1:]:
        replaced(path, struct.pack("<I", side), struct.pack("<I", SIDE))


def long_dm(path):
    """Write a stack that claims a million frames: the list of their pieces alone would take for ever."""
    frames = np.zeros((201, 6, 5), np.float32)
    save_dm(path, frames)
    replaced(path, struct.pack("<I", 201), struct.pack("<I", 10**6))


def huge_mrc(path):
    save_mrc(path, SMALL)
    with path.open("rb+") as file:
        file.write(struct.pack("<3i", SIDE, SIDE, SIDE))


def huge_npy(path):
    np.save(path, SMALL)
    replaced(path, b"(2, 24, 20)", b"(2, %d, %d)" % (SIDE, SIDE))


def huge_tiff(path):
    """Write compressed pages, of which no size of a file follows."""
    tifffile.imwrite(path, SMALL[0].astype(np.uint16), compression="zlib")
    with tifffile.TiffFile(path, mode="r+b") as file:
        for name in ("ImageWidth", "ImageLength"):
            tag = file.pages[0].tags[name]
            tag.overwrite(2**31 - 1 if tag.dtype == 4 else 65535)


def huge_tile(path):
    """Write a small image in one tile of 4 gigapixels."""
    tifffile.imwrite(path, SMALL[0].astype(np.uint16), compression="zlib", tile=(32, 32))
    with tifffile.TiffFile(path, mode="r+b") as file:
        for name in ("TileWidth", "TileLength"):
            file.pages[0].tags[name].overwrite(65520)


def huge_png(path):
    Image.fromarray(SMALL[0].astype(np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", SIDE, SIDE)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)


def huge_hdf5(path):
    """Write a dataset whose chunks are not there: it may be as large as one likes."""
    write_emd(path, SMALL, ["[s]", "[n_m]", "[n_m]"])
    with h5py.File(path, "a") as file:
        del file["data/frames/data"]
        file["data/frames"].create_dataset("data", (2, 2**20, 2**20), np.float32, chunks=(1, 64, 64))


def many_frames(path):
    write_emd(path, SMALL, ["[s]", "[n_m]", "[n_m]"])
    with h5py.File(path, "a") as file:
        del file["data/frames/data"]
        file["data/frames"].create_dataset("data", (2**50, 24, 20), np.float32, chunks=(1, 24, 20))


def huge_hyperspy(path):
    save_hyperspy(path, SMALL)
    with h5py.File(path, "a") as file:
        group = next(iter(file["Experiments"].values()))
        del group["data"]
        group.create_dataset("data", (2, 2**17, 2**17), np.float32, chunks=(1, 1024, 1024))
        for number, size in enumerate((2, 2**17, 2**17)):
            group[f"axis-{number}"].attrs["size"] = size


HUGE = {
    "a.dm3": huge_dm,
    "a.dm4": huge_dm,
    "long.dm3": long_dm,
    "long.dm4": long_dm,
    "a.mrc": huge_mrc,
    "a.npy": huge_npy,
    "a.tif": huge_tiff,
    "tile.tif": huge_tile,
    "a.png": huge_png,
    "a.emd": huge_hdf5,
    "frames.emd": many_frames,
    "a.hspy": huge_hyperspy,
}


@pytest.mark.parametrize("name", HUGE)
def test_a_header_that_claims_gigapixels(name, victim, tmp_path):
    HUGE[name](tmp_path / name)
    outcome, words = victim.opens("micrograph", tmp_path / name)
    assert outcome == "refused"
    assert name in words
    assert victim.peak < MOST_MEMORY


def bomb_tiff(path):
    # 2^29 pixels in half a megabyte.
    tifffile.imwrite(
        path, shape=(2**14, 2**15), dtype=np.uint8, compression="zlib", data=_empty_tiles(), tile=(4096, 4096)
    )


def _empty_tiles():
    tile = np.zeros((4096, 4096), np.uint8)
    yield from (tile for _ in range(32))


def bomb_hdf5(path):
    with h5py.File(path, "w") as file:
        file.attrs.update({"version_major": 0, "version_minor": 2})
        group = file.create_group("data/frames")
        group.attrs["emd_group_type"] = 1
        data = group.create_dataset("data", (2**15, 2**15), np.uint8, chunks=(4096, 4096), compression="gzip")
        data[:4096, :4096] = 1
        for number, size in enumerate(data.shape):
            group.create_dataset(f"dim{number + 1}", data=np.arange(size) * 0.05)


def bomb_png(path):
    Image.fromarray(np.zeros((2**14, 2**13), np.uint8)).save(path)


@pytest.mark.parametrize(("name", "make"), [("a.tif", bomb_tiff), ("a.emd", bomb_hdf5), ("a.png", bomb_png)])
def test_a_bomb_is_not_unpacked(name, make, victim, tmp_path):
    make(tmp_path / name)
    assert (tmp_path / name).stat().st_size < 2**21
    outcome, words = victim.opens("micrograph", tmp_path / name)
    assert outcome == "refused"
    assert "bytes" in words
    assert victim.peak < MOST_MEMORY


def test_well_compressed_frames_of_a_camera_are_no_bomb(victim, tmp_path):
    """One electron in 4096 x 4096 pixels."""
    frame = np.zeros((4096, 4096), np.uint8)
    frame[1000, 2000] = 1
    tifffile.imwrite(tmp_path / "a.tif", frame, compression="zlib")
    assert victim.opens("micrograph", tmp_path / "a.tif") == ("read", "")


class Explosive:
    """An object whose pickle makes a file when it is unpickled."""

    def __init__(self, path):
        self._path = str(path)

    def __reduce__(self):
        return (open, (self._path, "w"))


@pytest.fixture
def mark(tmp_path):
    """The file that executed code would make; that it would is shown first."""
    path = tmp_path / "code was run"
    pickle.loads(pickle.dumps(Explosive(path))).close()
    assert path.exists()
    path.unlink()
    return path


def test_objects_in_an_npy_are_refused_unopened(mark, victim, tmp_path):
    np.save(tmp_path / "a.npy", np.array([[Explosive(mark)] * 4] * 4, dtype=object), allow_pickle=True)
    outcome, words = victim.opens("micrograph", tmp_path / "a.npy")
    assert outcome == "refused"
    assert "a.npy" in words
    assert not mark.exists()


@pytest.mark.parametrize("suffix", ["pt", "pth", "safetensors", "ckpt", "npy", "dm4", "tif", "emd", "hspy", "mrc"])
def test_a_pickle_under_any_name_is_refused_unopened(suffix, mark, victim, tmp_path):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(pickle.dumps(Explosive(mark)) * 20)
    path.with_suffix(".json").write_text("{}")
    for kind in ("micrograph", "weights"):
        assert victim.opens(kind, path)[0] == "refused"
    assert not mark.exists()


def test_an_mrc_map_of_no_bytes_is_refused(victim, tmp_path):
    with mrcfile.new(tmp_path / "a.mrc", SMALL) as file:
        file.header.nz = 0
    assert victim.opens("micrograph", tmp_path / "a.mrc")[0] == "refused"


def test_names_that_are_no_text_are_refused(victim, tmp_path):
    write_emd(tmp_path / "a.emd", SMALL, ("s", "nm", "nm"))
    with h5py.File(tmp_path / "a.emd", "r+") as file:
        file.create_group(b"\xff")
    outcome, words = victim.opens("micrograph", tmp_path / "a.emd")
    assert outcome == "refused"
    assert "damaged" in words
