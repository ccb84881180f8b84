"""What the frames of a series must have in common."""

import math

from framedose.errors import CalibrationError, ImageError
from framedose.micrograph import Micrograph

# Pixel sizes that differ by less are one size that was written down in different ways.
_ROUNDING = 1e-3


def check_alike(frame: Micrograph, first: Micrograph, names: tuple[str, str], remedy: str) -> None:
    """Refuse a frame of another shape or pixel size than the first.

    Parameters
    ----------
    frame, first
        The frames.
    names
        What the message calls them.
    remedy
        What it says to do, without the stop.

    Raises
    ------
    ImageError, CalibrationError
        If the shapes differ, or the pixel sizes by more than rounding.
    """
    mine, firsts = names
    if frame.image.shape != first.image.shape:
        raise ImageError(f"{mine}: has the shape {frame.image.shape}, but {firsts} has {first.image.shape}; {remedy}.")
    if not math.isclose(frame.sampling, first.sampling, rel_tol=_ROUNDING):
        raise CalibrationError(
            f"{mine}: has pixels of {frame.sampling:g} Å, but {firsts} has {first.sampling:g} Å; {remedy}, or give "
            "--sampling."
        )
