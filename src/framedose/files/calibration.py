"""From what a file says about its pixels to a pixel size in Å, or a clear no."""

import math
from dataclasses import dataclass

from framedose.errors import CalibrationError

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
    "m": 1e10,
}

# Lengths on paper (a screen or printer resolution) and programs' names for "none".
_NOT_CALIBRATED = {"", "none", "<undefined>", "pixel", "pixels", "px", "inch", "cm", "mm"}
_RECIPROCAL = ("1/", "^-1", "⁻¹", "rad")

# No microscope records pixels outside this range [Å]; such an entry means something else.
_FINEST, _COARSEST = 1e-3, 1e6
# Sides are equal up to this, and unequal ones can be resampled up to this ratio.
_EQUAL, _MOST_UNEQUAL = 1e-3, 10.0


@dataclass(frozen=True)
class Scale:
    """The sides of a pixel as a file writes them."""

    y: float
    x: float
    unit_y: str
    unit_x: str

    @property
    def units(self) -> tuple[str, str]:
        """Both units in one spelling."""
        return _plain(self.unit_y), _plain(self.unit_x)

    @property
    def present(self) -> bool:
        """Whether the file says anything of a microscope's pixels."""
        sides = all(math.isfinite(side) and side > 0 for side in (self.y, self.x))
        return sides and not any(unit in _NOT_CALIBRATED for unit in self.units)


def is_length(unit: str) -> bool:
    """Return whether a unit, as a file writes it, is a length in real space."""
    return _plain(unit) in _ANGSTROMS


def pixel_sides(
    scale: Scale | None, *, sampling: float | None, allow_unequal: bool, origin: str
) -> tuple[float, float]:
    """Return the sides (y, x) of a pixel [Å].

    Parameters
    ----------
    scale
        What the file says, or None.
    sampling
        What the user says [Å/px]: it then counts, unless the file is a diffraction pattern.
    allow_unequal
        Let the two sides differ.
    origin
        The file, for messages.

    Raises
    ------
    CalibrationError
        If the axes are reciprocal (1/nm, mrad), there is no pixel size, the unit is not a length, the size is not
        plausible, or the pixel is not square.

    Examples
    --------
    >>> pixel_sides(Scale(0.0125, 0.0125, "nm", "nm"), sampling=None, allow_unequal=False, origin="frame.tif")
    (0.125, 0.125)
    """
    if scale is not None and any(mark in unit for unit in scale.units for mark in _RECIPROCAL):
        raise CalibrationError(
            f"{origin}: is a diffraction pattern or a Fourier transform, its axes are in {scale.unit_x!r}. "
            "Give a real-space image; if it is one, correct the unit in the program that saved it."
        )
    if sampling is not None:
        return sampling, sampling
    if scale is None or not scale.present:
        raise CalibrationError(f"{origin}: no pixel size; give it with --sampling (Å per pixel).")
    for unit in scale.units:
        if unit not in _ANGSTROMS:
            raise CalibrationError(
                f"{origin}: the pixel size has the unit {unit!r}, not a length; "
                "if it is an image, give its pixel size with --sampling (Å per pixel)."
            )
    y, x = (side * _ANGSTROMS[unit] for side, unit in zip((scale.y, scale.x), scale.units, strict=True))
    if not all(_FINEST < side < _COARSEST for side in (y, x)):
        raise CalibrationError(
            f"{origin}: a pixel size of {y:.3g} x {x:.3g} Å (y, x) is not plausible for an image (a diffraction "
            "pattern saved as one, or a wrong entry?); if it is an image, give it with --sampling (Å per pixel)."
        )
    if math.isclose(y, x, rel_tol=_EQUAL):
        return x, x
    got = f"{origin}: pixels must be square, got {y:.6g} x {x:.6g} Å (y, x)."
    if max(y, x) > _MOST_UNEQUAL * min(y, x):
        raise CalibrationError(f"{got} So unequal sides are a wrong entry: give the right one with --sampling.")
    if not allow_unequal:
        raise CalibrationError(
            f"{got} Correct a wrong entry with --sampling, or resample to the finer side with --allow-unequal."
        )
    return y, x


def _plain(unit: str) -> str:
    # Two characters look like µ, and two like Å; EMD files write [n_m].
    return unit.strip("[] ").replace("\u03bc", "µ").replace("\u212b", "Å").lower().replace(" ", "").replace("_", "")
