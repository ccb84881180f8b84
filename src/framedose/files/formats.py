"""Which format a file has: its suffix says so, and its first bytes must agree."""

import struct
from pathlib import Path

from framedose.errors import FileFormatError
from framedose.files.size import check_hdf5

_SUFFIXES = {
    ".dm3": "DM",
    ".dm4": "DM",
    ".emd": "HDF5",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".hspy": "HDF5",
    ".mrc": "MRC",
    ".mrcs": "MRC",
    ".ser": "SER",
    ".emi": "EMI",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".tvips": "TVIPS",
    ".png": "PNG",
    ".npy": "npy",
}
_SIGNATURES: dict[str, tuple[bytes, ...]] = {
    "DM": (b"\0\0\0\3", b"\0\0\0\4"),
    "HDF5": (b"\x89HDF\r\n\x1a\n",),
    "SER": (b"II\x97\x01",),
    "EMI": (b"JK\0\2",),
    # Classic and BigTIFF, little and big endian.
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    # The size of the header, then version 1 or 2.
    "TVIPS": (b"\0\1\0\0\1\0\0\0", b"\0\1\0\0\2\0\0\0"),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "npy": (b"\x93NUMPY",),
}
_PACKED = {".gz", ".zip", ".bz2", ".xz", ".7z", ".rar", ".tar"}
_REMEDIES = {
    ".raw": "bytes without shape and type; read them with numpy.fromfile and save the array with numpy.save (.npy)",
    ".dm5": "save it as DM4 in DigitalMicrograph",
    ".npz": "save the one array with numpy.save (.npy)",
}
# Bytes of a pixel for each real mode of MRC.
_MRC_PIXEL = {0: 1, 1: 2, 2: 4, 4: 8, 6: 2, 12: 2}


def file_kind(path: Path) -> str:
    """Return the format of a file: a key of the readers in :mod:`framedose.files.reader`.

    Raises
    ------
    FileFormatError
        If framedose does not read it, it is empty, or it is not what its suffix says.
    OSError
        If the file is missing or may not be read.
    """
    with path.open("rb") as file:
        head = file.read(1024)
    suffix = path.suffix.lower()
    if suffix in _PACKED:
        raise FileFormatError(f"{path}: is packed; unpack it first.")
    kind = _SUFFIXES.get(suffix)
    if kind is None:
        remedy = _REMEDIES.get(suffix, "export it as TIFF (32 or 16 bit)")
        raise FileFormatError(f"{path}: cannot be read: {remedy}. framedose reads {', '.join(_SUFFIXES)}.")
    if not head:
        raise FileFormatError(f"{path}: the file is empty. Copy it again from its source.")
    if kind == "MRC":
        _check_mrc(path, head)
    elif not head.startswith(_SIGNATURES[kind]):
        raise FileFormatError(f"{path}: is not a {kind} file, whatever its name says (it begins with {head[:8]!r}).")
    return _hdf5_kind(path) if kind == "HDF5" else kind


def readable(path: Path) -> bool:
    """Return whether a file's suffix is one that framedose reads."""
    return path.suffix.lower() in _SUFFIXES


def _check_mrc(path: Path, head: bytes) -> None:
    """Refuse what cannot be an MRC file: older ones carry no signature, but all say how long they are."""
    if len(head) < 1024:
        raise FileFormatError(f"{path}: is too short for an MRC file. Copy it again from its source.")
    x, y, z, mode = struct.unpack_from("<4i", head)
    (extended,) = struct.unpack_from("<i", head, 92)
    if min(x, y, z) < 1 or mode not in _MRC_PIXEL or extended < 0:
        raise FileFormatError(
            f"{path}: is not an MRC file that can be read (little endian, modes {', '.join(map(str, _MRC_PIXEL))}), "
            f"got shape ({z}, {y}, {x}) and mode {mode}. Export it as TIFF (32 or 16 bit)."
        )
    needed = 1024 + extended + x * y * z * _MRC_PIXEL[mode]
    if path.stat().st_size < needed:
        raise FileFormatError(f"{path}: is truncated, it should have {needed} bytes. Copy it again from its source.")


def _hdf5_kind(path: Path) -> str:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            check_hdf5(path, file)
            return "HyperSpy" if "Experiments" in file else "EMD"
    except FileFormatError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise FileFormatError(
            f"{path}: is a damaged or truncated HDF5 file ({reason}). Copy it again from its source."
        ) from error
