"""Pixels that stand far out of their neighbours: X-rays, cosmic rays, hot pixels.

One that is a thousand standard deviations high takes all contrast from its surroundings when a network normalises them.
Vacuum frames, in which noise alone is measured, have a stricter test of their own (``framedose.camera.frames``).
"""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter

Image = npt.NDArray[np.float32]

# Standard deviations of a pixel from those around it. Noise of Poisson and lattices stay far below: three electrons
# where 0.02 are expected are 21, on one pixel of a million.
_DEVIATIONS = 20.0
# Side of the neighbourhood [px]; a hit on a scintillator spreads over two or three.
_SIDE = 5
# Of a normal distribution, 99 % lie within so many standard deviations.
_WITHIN_99 = 2.576
# What more pixels than this share do is no accident: where hardly a pixel has an electron, each stands out.
_MOST = 1e-3


def without_spikes(image: Image) -> tuple[Image, int]:
    """Return an image with the median of 5x5 pixels in place of those that stand out, and how many these are.

    A pixel stands out by more than 20 standard deviations of single pixels from their surroundings; these are measured
    at the 99th percentile, which the spikes themselves do not move. If more than a thousandth of the pixels does, the
    image is returned as it is.

    Parameters
    ----------
    image
        Shape (y, x), any unit. It is not written to.

    Examples
    --------
    >>> frame = np.random.default_rng(0).poisson(20, (64, 64)).astype(np.float32)
    >>> frame[10, 12] = 9000
    >>> cleaned, count = without_spikes(frame)
    >>> count, bool(cleaned[10, 12] < 40)
    (1, True)
    """
    outside = np.abs(image - uniform_filter(image, _SIDE, mode="mirror"))
    limit = _DEVIATIONS / _WITHIN_99 * float(np.percentile(outside, 99))
    rows, columns = np.nonzero(outside > limit)
    if limit == 0 or not len(rows):
        return image, 0
    # Where the mean is off because of a spike beside it, the median is not.
    around = np.lib.stride_tricks.sliding_window_view(np.pad(image, _SIDE // 2, mode="reflect"), (_SIDE, _SIDE))
    medians = np.median(around[rows, columns], axis=(1, 2))
    spikes = np.abs(image[rows, columns] - medians) > limit
    if spikes.sum() > _MOST * image.size:
        return image, 0
    cleaned = image.copy()
    cleaned[rows[spikes], columns[spikes]] = medians[spikes]
    return cleaned, int(spikes.sum())
