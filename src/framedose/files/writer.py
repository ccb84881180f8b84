"""Write images so that their scale is there when Fiji, HyperSpy or DigitalMicrograph opens them."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile

from framedose.atomic import write_aside
from framedose.errors import ImageError
from framedose.files.tiff import DM_SIZE_X, DM_SIZE_Y, DM_UNIT_X, DM_UNIT_Y


def write_tiff(path: str | Path, array: npt.NDArray[np.float32] | npt.NDArray[np.uint8], sampling: float) -> None:
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
    """
    if array.dtype not in (np.float32, np.uint8) or array.ndim not in (2, 3):
        raise ImageError(
            f"A TIFF needs float32 or uint8 of shape (y, x) or (frames, y, x), got {array.dtype} {array.shape}."
        )
    size = sampling / 10
    with write_aside(path) as aside:
        tifffile.imwrite(
            aside,
            array,
            imagej=True,
            # Without this a stack of three 8-bit frames becomes a colour image.
            photometric="minisblack",
            resolution=(1 / size, 1 / size),
            resolutionunit="NONE",
            metadata={"axes": "TYX" if array.ndim == 3 else "YX", "unit": "nm"},
            extratags=[
                *((tag, "s", 0, "nm", True) for tag in (DM_UNIT_X, DM_UNIT_Y)),
                *((tag, "d", 1, size, True) for tag in (DM_SIZE_X, DM_SIZE_Y)),
            ],
        )
