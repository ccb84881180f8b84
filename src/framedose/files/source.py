"""What every format's reader returns: where the frames are, and what the file says about them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from framedose.files.calibration import Scale


@dataclass(frozen=True)
class Source:
    """One file, opened: nothing of its pixels is in memory until ``load`` is called."""

    frames: int
    """Number of frames."""
    dtype: np.dtype[Any]
    """Type of a pixel as stored."""
    load: Callable[[int], npt.NDArray[Any]]
    """Give one frame as stored, shape (y, x) or (y, x, channels)."""
    pixels: int
    """Pixels that have to be decoded for one frame, which may be more than its own."""
    scale: Scale | None = None
    """Pixel size as the file writes it."""
    exposure: float | None = None
    """Exposure of a frame [s]."""
    electrons: tuple[float, float] | None = None
    """Gain [e/count] and zero [counts] where the file is calibrated in electrons: (value - zero) * gain."""
    scanned: bool = False
    """Whether the file says that a probe was scanned over the specimen (STEM)."""
