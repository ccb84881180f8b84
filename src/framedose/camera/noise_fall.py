"""One number that tells the colour of a frame's noise: how it falls towards the Nyquist frequency."""

import numpy as np
import numpy.typing as npt

from framedose.camera.mtf import nyquist_frequencies
from framedose.camera.spectrum import SMALLEST_TILE, windowed_transform

# Of the Nyquist frequency. At 0.3 Å/px the fringes of Au, down to d220 = 1.44 Å, lie below 0.42 of it.
_MIDDLE, _OUTER = (0.5, 0.75), (0.75, 1.0)
_LEAST_SIDE = 2 * SMALLEST_TILE


def noise_fall(image: npt.NDArray[np.floating]) -> float | None:
    r"""Return how the noise power falls towards the Nyquist frequency.

    That is the mean of :math:`\ln|F|^2` at 0.75 to 1 of the Nyquist frequency, less that at 0.5 to 0.75, F the Fourier
    transform under a Hann window. White noise has 0, an MTF that falls makes it negative, smoothing and interpolation
    more so. It depends neither on gain and offset nor on the dose, and little on spots of a lattice: the mean of the
    logarithm hardly feels a few strong bins.

    Parameters
    ----------
    image
        Shape (y, x), any unit.

    Returns
    -------
    float or None
        None for an image of fewer than 64 pixels a side, or without noise at these frequencies.
    """
    if min(image.shape) < _LEAST_SIDE:
        return None
    power = np.abs(windowed_transform(image)) ** 2
    q = nyquist_frequencies((image.shape[0], image.shape[1]))
    middle, outer = (power[(q >= low) & (q < high)] for low, high in (_MIDDLE, _OUTER))
    if not (middle.all() and outer.all()):
        return None
    return float(np.log(outer).mean() - np.log(middle).mean())
