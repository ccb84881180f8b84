"""Units and conversions. Lengths are in Å, spatial frequencies in 1/Å, energies in eV, doses in e/Å2, always.

Arrays are indexed (y, x). Defocus is positive for underfocus. A frequency normalised by the Nyquist frequency is
``2 * frequency * sampling``, so that 1 is the highest frequency that a row of pixels holds.
"""

import math

from framedose.errors import CalibrationError

# CODATA 2018, in units of V and Å.
_ELECTRON_REST_ENERGY = 510998.95
_PLANCK_TIMES_LIGHT_SPEED = 12398.41984


def wavelength(energy: float) -> float:
    """Return the relativistic electron wavelength [Å] at ``energy`` [eV].

    lambda = h c / sqrt(E (2 m c^2 + E))

    Examples
    --------
    >>> round(wavelength(300e3), 6)
    0.019687
    """
    return _PLANCK_TIMES_LIGHT_SPEED / math.sqrt(energy * (2 * _ELECTRON_REST_ENERGY + energy))


def check_sampling(sampling: float, name: str = "sampling") -> None:
    """Raise CalibrationError unless the side of a pixel is a positive number [Å/px]."""
    if not (math.isfinite(sampling) and sampling > 0):
        raise CalibrationError(f"{name} must be a positive number of Å per pixel, got {sampling}.")


def electrons_per_pixel(dose_per_area: float, sampling: float) -> float:
    """Return the mean number of electrons on one pixel of side ``sampling`` [Å] at ``dose_per_area`` [e/Å2].

    Examples
    --------
    >>> electrons_per_pixel(100.0, 0.08)
    0.64
    """
    return dose_per_area * sampling**2
