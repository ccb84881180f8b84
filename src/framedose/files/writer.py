"""Write images so that their scale is there when Fiji, HyperSpy or DigitalMicrograph opens them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile

from framedose.atomic import write_aside
from framedose.errors import ImageError
from framedose.files.tiff import DM_SIZE_X, DM_SIZE_Y, DM_UNIT_X, DM_UNIT_Y
from framedose.units import check_sampling

Pixels = npt.NDArray[np.float32] | npt.NDArray[np.uint8]

# A classic TIFF counts its bytes with 32 bits; the tags of every frame need some of them.
_CLASSIC_BYTES = 2**32 - 2**25


def write_tiff(path: str | Path, array: Pixels, sampling: float) -> None:
    """Write one image or a stack as TIFF with its pixel size, atomically.

    The size is in nm, in ImageJ's tags, and once more in those of DigitalMicrograph, because HyperSpy takes no unit
    but µm from ImageJ's.

    Parameters
    ----------
    path
        The file; one that is there already is replaced.
    array
        Shape (y, x) or (frames, y, x), float32, or uint8 for masks (0 and 255).
    sampling
        Side of a pixel [Å/px].

    Raises
    ------
    ImageError
        If the array has another type or number of axes.
    CalibrationError
        If the sampling is not a positive number.
    """
    check_sampling(sampling)
    if array.dtype not in (np.float32, np.uint8) or array.ndim not in (2, 3):
        raise ImageError(
            f"A TIFF needs float32 or uint8 of shape (y, x) or (frames, y, x), got {array.dtype} {array.shape}."
        )
    frames = array if array.ndim == 3 else array[np.newaxis]
    with tiff_writer(path, frames=len(frames), frame_bytes=frames[0].nbytes, sampling=sampling) as write:
        for frame in frames:
            write(frame)


@contextmanager
def tiff_writer(
    path: str | Path, *, frames: int, frame_bytes: int, sampling: float
) -> Iterator[Callable[[Pixels], None]]:
    """Give a function that appends one frame (y, x) to a TIFF; call it ``frames`` times.

    Nothing but one frame is in memory, and the file appears when it is complete.

    Parameters
    ----------
    path
        The file; one that is there already is replaced.
    frames, frame_bytes
        How many frames will come, and the bytes of one: stacks of more than 4 GB become BigTIFF.
    sampling
        Side of a pixel [Å/px].
    """
    size = sampling / 10
    stack = f"images={frames}\nframes={frames}\nhyperstack=true\nmode=grayscale\nloop=false\n" if frames > 1 else ""
    large = frames * frame_bytes > _CLASSIC_BYTES
    with write_aside(path) as aside, tifffile.TiffWriter(aside, bigtiff=large, byteorder=">") as file:

        def write(frame: Pixels) -> None:
            file.write(
                frame,
                contiguous=True,
                # Without this a stack of three 8-bit frames becomes a colour image.
                photometric="minisblack",
                resolution=(1 / size, 1 / size),
                resolutionunit="NONE",
                metadata=None,
                description=f"ImageJ=1.54f\n{stack}unit=nm\n",
                extratags=[
                    *((tag, "s", 0, "nm", True) for tag in (DM_UNIT_X, DM_UNIT_Y)),
                    *((tag, "d", 1, size, True) for tag in (DM_SIZE_X, DM_SIZE_Y)),
                ],
            )

        yield write
