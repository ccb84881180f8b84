"""The modulation transfer function of a camera: Eq. 1 of the paper, or a table."""

from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from framedose.config import Settings


def mtf(frequency: Any, c0: float, c3: float, floor: float = 0.0) -> Any:
    """Return MTF(q) = (1 - C) / (1 + (q / c0)^c3) + C (Eq. 1; Lee et al., doi 10.1017/S1431927614013336).

    It multiplies amplitudes: the noise power spectrum of counted electrons goes with its square.

    Parameters
    ----------
    frequency
        Spatial frequency over the Nyquist frequency, ``2 * q * sampling``, not negative, any shape. Along the diagonal
        of the Fourier plane it reaches sqrt(2).
    c0
        Frequency of half maximum, in units of the Nyquist frequency.
    c3
        Steepness; 2 is a Lorentzian.
    floor
        C, the limit at high frequency.

    Examples
    --------
    >>> float(mtf(np.array(0.4), c0=0.4, c3=3.0))
    0.5
    """
    return (1 - floor) / (1 + (frequency / c0) ** c3) + floor


class TransferCurve(Settings):
    """A transfer function as a table, linear between its points and constant beyond the last one."""

    frequency: tuple[float, ...]
    """Over the Nyquist frequency, increasing from 0."""
    value: tuple[float, ...]
    """One for each frequency."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.frequency) != len(self.value) or len(self.value) < 2:
            raise ValueError(
                "a curve needs as many values as frequencies, and two at least, "
                f"got {len(self.frequency)} frequencies and {len(self.value)} values"
            )
        if self.frequency[0] != 0 or any(b <= a for a, b in pairwise(self.frequency)):
            raise ValueError("the frequencies of a curve must increase from 0")
        return self

    def at(self, frequency: Any) -> Any:
        """Return the values at frequencies over the Nyquist frequency, any shape.

        Examples
        --------
        >>> float(TransferCurve(frequency=(0, 1), value=(1, 0.5)).at(0.5))
        0.75
        """
        return np.interp(frequency, self.frequency, self.value)


def nyquist_frequencies(shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return |q| / q_Nyquist for a real FFT of ``shape`` (y, x): shape (y, x // 2 + 1), zero frequency first."""
    y = 2 * np.fft.fftfreq(shape[0])
    x = 2 * np.fft.rfftfreq(shape[1])
    frequencies: npt.NDArray[np.float64] = np.hypot(y[:, None], x[None, :])
    return frequencies
