"""From what a file says about its pixels to a pixel size in Å, or a clear no."""

import math

from framedose.errors import CalibrationError

_REMEDY = "give it with --sampling (Å per pixel)"

_ANGSTROMS = {
    "pm": 1e-2,
    "å": 1.0,
    "a": 1.0,
    "ang": 1.0,
    "angstrom": 1.0,
    "nm": 10.0,
    "nanometer": 10.0,
    "µm": 1e4,
    "um": 1e4,
    "micron": 1e4,
    "micrometer": 1e4,
}

# Lengths on paper (a screen or printer resolution) and programs' names for "none".
_NOT_CALIBRATED = {"", "pixel", "pixels", "px", "inch", "cm", "mm"}


def pixel_size(y: float, x: float, unit: str, *, origin: str) -> float | None:
    """Return the side of a square pixel [Å], or None where the file holds no calibration.

    Parameters
    ----------
    y, x
        Sides of a pixel in ``unit``.
    unit
        The unit as the file writes it: pm, Å, nm, µm and their usual spellings.
    origin
        The file, for messages.

    Raises
    ------
    CalibrationError
        If the unit is not a length in real space (such as 1/nm), or the pixel is not square.

    Examples
    --------
    >>> pixel_size(0.0125, 0.0125, "nm", origin="frame.tif")
    0.125
    """
    # Two characters look like µ, and two like Å.
    unit = unit.strip().replace("\u03bc", "µ").replace("\u212b", "Å").lower()
    if unit in _NOT_CALIBRATED or not all(math.isfinite(side) and side > 0 for side in (y, x)):
        return None
    if unit not in _ANGSTROMS:
        raise CalibrationError(
            f"{origin}: the pixel size has the unit {unit!r}, not a length; if it is an image, {_REMEDY}."
        )
    if not math.isclose(y, x, rel_tol=1e-3):
        raise CalibrationError(
            f"{origin}: pixels must be square, got {y:g} x {x:g} {unit} (y, x). Resample the image first."
        )
    return x * _ANGSTROMS[unit]


def known_sampling(sampling: float | None, *, origin: str) -> float:
    """Return ``sampling``, or say that it is missing and how to give it.

    Raises
    ------
    CalibrationError
        If ``sampling`` is None.
    """
    if sampling is None:
        raise CalibrationError(f"{origin}: no pixel size; {_REMEDY}.")
    return sampling
