"""One number that tells the colour of a frame's noise: how it falls towards the Nyquist frequency."""

import numpy as np
import numpy.typing as npt

from framedose.camera.spectrum import SMALLEST_TILE, measure_spectrum, ring_frequencies

# Of the Nyquist frequency. At 0.3 Å/px the fringes of Au, down to d220 = 1.44 Å, lie below 0.42 of it.
_MIDDLE, _OUTER = (0.5, 0.75), (0.75, 1.0)


def noise_fall(image: npt.NDArray[np.floating]) -> float | None:
    r"""Return ln of the mean noise power at 0.75 to 1 of the Nyquist frequency over that at 0.5 to 0.75.

    White noise has 0, an MTF that falls makes it negative, and smoothing or interpolation more so. It does not depend
    on gain, offset and dose.

    Parameters
    ----------
    image
        Shape (y, x), any unit; lattice fringes may be in it, if they are coarser than four pixels.

    Returns
    -------
    float or None
        None for an image of fewer than 64 pixels a side, or without noise at these frequencies.
    """
    if min(image.shape) < 2 * SMALLEST_TILE:
        return None
    spectrum = measure_spectrum(image)
    q = ring_frequencies(spectrum.tile)
    middle, outer = (spectrum.power[(q >= low) & (q < high)].mean() for low, high in (_MIDDLE, _OUTER))
    return float(np.log(outer / middle)) if min(middle, outer) > 0 else None
