"""The paper's way: Eq. 4 fitted to the amplitude spectrum of each frame, and N_0 from the floors by Eq. 2.

The paper speaks of the magnitude squared, but from 10 to 1300 e/Å2 its c1 grows 12 times, as the root of the dose
does: what it fitted is the root of the power, and so do we. The parameters of a constant camera fitted in this way
drift with the dose, because the readout is then a part of the curve; see :mod:`framedose.camera.joint_fit`.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import curve_fit

from framedose.camera.mtf import mtf
from framedose.camera.spectrum import Floats
from framedose.errors import ImageError

GOOD_R2 = 0.98
"""The paper marks fits from here on."""


@dataclass(frozen=True)
class FrameFit:
    """Eq. 4 fitted to one frame."""

    c0: float
    """Frequency of half maximum over the Nyquist frequency."""
    c3: float
    """Steepness."""
    c1: float
    """Amplitude at zero frequency, counts."""
    c2: float
    """Amplitude at high frequency, counts."""
    r2: float
    """Share of the variance of the amplitude spectrum that the fit explains."""

    @property
    def floor(self) -> float:
        """C = c2 / c1 of Eq. 1."""
        return self.c2 / self.c1

    @property
    def good(self) -> bool:
        """Whether the paper would mark the fit."""
        return self.r2 >= GOOD_R2


def fit_frame(frequency: Floats, power: Floats) -> FrameFit:
    """Fit (c1 - c2) / (1 + (q / c0)^c3) + c2 to the root of the power, all rings alike (Eq. 4).

    Parameters
    ----------
    frequency
        Over the Nyquist frequency, shape (rings,).
    power
        Noise power, counts squared, shape (rings,).

    Raises
    ------
    ImageError
        If the least squares do not converge.

    Examples
    --------
    >>> q = np.linspace(0.03, 1, 60)
    >>> round(fit_frame(q, mtf(q, 0.3, 2.2, 0.05) ** 2).c0, 3)
    0.3
    """
    amplitude = np.sqrt(power)
    scale = float(amplitude.max())

    def model(q: Floats, c0: float, c3: float, c1: float, c2: float) -> Floats:
        return np.asarray((c1 - c2) * mtf(q, c0, c3) + c2)

    start = (0.3, 2.5, float(amplitude[:3].mean()) / scale, float(amplitude[-5:].mean()) / scale)
    try:
        found, _ = curve_fit(
            model, frequency, amplitude / scale, p0=start, bounds=([0.01, 0.2, 0, 0], [5, 20, 100, 100]), max_nfev=2000
        )
    except RuntimeError as error:
        raise ImageError("Eq. 4 does not fit the spectrum of this region: is it vacuum?") from error
    residual = amplitude / scale - model(frequency, *found)
    spread = amplitude / scale - amplitude.mean() / scale
    c0, c3, c1, c2 = (float(value) for value in found)
    return FrameFit(c0, c3, c1 * scale, c2 * scale, 1 - float((residual**2).sum() / (spread**2).sum()))


@dataclass(frozen=True)
class FloorFit:
    """Eq. 2 fitted to the floors of many frames."""

    readout: float
    """N_0, electrons per pixel."""
    r2: float
    """Share of the variance of C that the fit explains."""


def fit_floors(electrons: Floats, floors: Floats) -> FloorFit:
    """Fit C = sqrt(N_0 / (N_0 + N_D)) to the floors of Eq. 1 (Eq. 2).

    Parameters
    ----------
    electrons
        N_D, electrons per pixel of each frame, shape (frames,).
    floors
        C of each frame.

    Examples
    --------
    >>> n = np.array([0.05, 0.5, 5.0])
    >>> round(fit_floors(n, np.sqrt(0.01 / (0.01 + n))).readout, 6)
    0.01
    """

    def model(n: Floats, log_readout: float) -> Floats:
        return np.asarray(1 / np.sqrt(1 + n / np.exp(log_readout)))

    kept = np.clip(floors, 1e-6, 1 - 1e-6)
    start = float(np.median(np.log(kept**2 * electrons / (1 - kept**2))))
    # Of a camera without readout all floors are 0, and the fit ends at a bound.
    found, _ = curve_fit(model, electrons, floors, p0=[np.clip(start, -29, 29)], bounds=([-30], [30]))
    residual, spread = floors - model(electrons, *found), floors - floors.mean()
    return FloorFit(float(np.exp(found[0])), 1 - float((residual**2).sum() / (spread**2).sum()))
