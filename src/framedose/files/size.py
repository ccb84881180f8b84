"""How much a file may claim to hold: a few bytes must not fill the memory, whatever their header says."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from framedose.errors import FileFormatError

if TYPE_CHECKING:
    import h5py

# As many pixels as a camera of 4096 x 4096 gives may be packed as tightly as one likes: few electrons are few bytes.
_USUAL = 1 << 24
# More need a byte for so many pixels, which is what deflate can reach.
_MOST_PACKED = 1000
# Pixels that are decoded at a time: 16384 x 16384.
_MOST_AT_A_TIME = 1 << 28


def check_size(path: Path, *, pixels: int, at_a_time: int) -> None:
    """Refuse a file that claims more pixels than its bytes can hold, or too many at a time for the memory.

    Parameters
    ----------
    path
        The file.
    pixels
        What it claims to hold in all.
    at_a_time
        What is decoded to read one frame.

    Raises
    ------
    FileFormatError
        If it claims too many.
    """
    size = path.stat().st_size
    if pixels > max(_USUAL, _MOST_PACKED * size):
        raise FileFormatError(
            f"{path}: claims {pixels} pixels in its {size} bytes: its header is damaged, or it is packed too tightly "
            "to be a micrograph. If it is one, save it without compression."
        )
    if at_a_time > _MOST_AT_A_TIME:
        raise FileFormatError(
            f"{path}: {at_a_time} pixels would have to be read at a time from its {size} bytes, more than "
            f"{_MOST_AT_A_TIME}: save it frame by frame, or crop it."
        )


def check_hdf5(path: Path, file: "h5py.File") -> None:
    """Do the same for all that an HDF5 file holds, and refuse what lies in other files.

    A dataset whose chunks are not there may be of any size, and the mere description of its pieces would fill the
    memory.

    Raises
    ------
    FileFormatError
        If a dataset claims too much, or is a link to another file.
    """
    import h5py

    def check(name: str, found: Any) -> None:
        if isinstance(found, h5py.Dataset):
            elsewhere = bool(found.is_virtual or found.external)
            check_size(path, pixels=int(found.size or 0), at_a_time=0)
        else:
            elsewhere = any(isinstance(found.get(key, getlink=True), h5py.ExternalLink) for key in found)
        if elsewhere:
            raise FileFormatError(f"{path}: {name!r} in it lies in another file. Save it as one file.")

    check("/", file)
    file.visititems(check)
