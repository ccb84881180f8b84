"""What a network sees of a real frame: without single pixels that stand out, and without what was drawn into it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from framedose.scale_bars import ScaleBar, scale_bars, without
from framedose.spikes import without_spikes


@dataclass(frozen=True, eq=False)
class Cleaned:
    """A frame as networks see it."""

    image: npt.NDArray[np.float32]
    """Shape (y, x), the unit of the frame."""
    spikes: int
    """Pixels that are the median of those around them now."""
    bars: tuple[ScaleBar, ...]
    """Scale bars, in whose place there is the mirror image of what lies beside them now."""


def cleaned(image: npt.NDArray[np.float32]) -> Cleaned:
    """Return a frame (y, x) as networks see it; it is not written to.

    Examples
    --------
    >>> frame = np.random.default_rng(0).poisson(20, (64, 64)).astype(np.float32)
    >>> frame[10, 12] = 9000
    >>> cleaned(frame).spikes
    1
    """
    bars = scale_bars(image)
    pixels, spikes = without_spikes(without(image, bars))
    return Cleaned(pixels, spikes, bars)
