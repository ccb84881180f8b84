"""What the frames of a series must have in common."""

import math

from framedose.errors import CalibrationError, ImageError
from framedose.micrograph import Micrograph


def check_alike(
    frame: Micrograph, first: Micrograph, names: tuple[str, str], remedy: str, *, tolerance: float = 0.0
) -> None:
    """Refuse a frame of another shape or pixel size than the first.

    Parameters
    ----------
    frame, first
        The frames.
    names
        What the message calls them.
    remedy
        What it says to do, without the stop.
    tolerance
        Of the pixel size, relative.

    Raises
    ------
    ImageError, CalibrationError
        If the shapes, or the pixel sizes, differ.
    """
    mine, firsts = names
    if frame.image.shape != first.image.shape:
        raise ImageError(f"{mine}: has the shape {frame.image.shape}, but {firsts} has {first.image.shape}; {remedy}.")
    if not math.isclose(frame.sampling, first.sampling, rel_tol=tolerance):
        raise CalibrationError(
            f"{mine}: has pixels of {frame.sampling:g} Å, but {firsts} has {first.sampling:g} Å; {remedy}, or give "
            "--sampling."
        )
