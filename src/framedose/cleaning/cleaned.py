"""What a network sees of a real frame: not its borders without data, what was drawn into it, and single hot pixels."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from framedose.cleaning.borders import data_window, mirrored
from framedose.cleaning.scale_bars import ScaleBar, scale_bars, without
from framedose.cleaning.spikes import without_spikes


@dataclass(frozen=True, eq=False)
class Cleaned:
    """A frame as networks see it."""

    image: npt.NDArray[np.float32]
    """Shape (y, x), the unit of the frame."""
    hidden: npt.NDArray[np.bool_]
    """Where nothing can be seen, shape (y, x): in borders without data and in boxes around scale bars."""
    window: tuple[slice, slice]
    """Rows and columns that have data; around them there is their mirror image now."""
    bars: tuple[ScaleBar, ...]
    """Scale bars, in whose place there is the mirror image of what lies beside them now."""
    spikes: int
    """Pixels that are the median of those around them now."""


def cleaned(image: npt.NDArray[np.float32]) -> Cleaned:
    """Return a frame (y, x) as networks see it; it is not written to.

    Examples
    --------
    >>> frame = np.random.default_rng(0).poisson(20, (64, 64)).astype(np.float32)
    >>> frame[10, 12] = 9000
    >>> frame[:4] = 0
    >>> seen = cleaned(frame)
    >>> seen.spikes, seen.window, int(seen.hidden.sum())
    (1, (slice(4, 64, None), slice(0, 64, None)), 256)
    """
    window = data_window(image)
    bars = scale_bars(image)
    hidden = np.ones(image.shape, dtype=bool)
    hidden[window] = False
    for bar in bars:
        hidden[bar.pixels] |= bar.boxed
    pixels, spikes = without_spikes(mirrored(without(image, bars), window))
    return Cleaned(pixels, hidden, window, bars, spikes)
