"""What a predictor is evaluated on: the same structures at rising dose, and frames without a particle."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from framedose.errors import ImageError
from framedose.kinds import FieldKind

Floats = npt.NDArray[np.float64]
Images = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]

Predict = Callable[[Images, Floats], Images]
"""Frames (n, y, x) and their pixel sizes (n,) [Å/px] to the probability of particle in each pixel (n, y, x), 0..1."""


# What rounding may add to a probability.
_ROUNDED = 1e-3


class Series(Protocol):
    """Frames of the same structures at rising dose, with the truth, and frames without a particle."""

    @property
    def doses(self) -> Floats:
        """Frame doses (D,) [e/Å2], rising."""

    @property
    def masks(self) -> Masks:
        """True particle masks (structures, y, x), the same at all doses."""

    def samplings(self, kind: FieldKind) -> Floats:
        """Return the pixel sizes (n,) [Å/px] of the frames of a structure, of bare support or of vacuum, in order."""

    def images(self, dose_index: int) -> Images:
        """Return one frame of each structure (structures, y, x) at a dose."""

    def vacuum(self, dose_index: int) -> Images:
        """Return frames of vacuum only (n, y, x) at a dose, at least one."""

    def support(self, dose_index: int) -> Images:
        """Return frames of bare support only (n, y, x) at a dose, possibly none."""


def check_series(doses: Floats, masks: Masks) -> None:
    """Refuse doses and masks that no curve can be drawn of.

    Raises
    ------
    ImageError
        If the doses do not rise, the masks are no stack, or a structure has no particle.
    """
    if doses.ndim != 1 or not doses.size or not np.all(doses > 0) or not np.all(np.diff(doses) > 0):
        raise ImageError(f"The doses of a series must be positive and rise, got {doses.tolist()}. Sort and merge them.")
    if masks.ndim != 3 or not masks.shape[0]:
        raise ImageError(f"The masks of a series must have the shape (structures, y, x), got {masks.shape}.")
    empty = np.flatnonzero(~masks.any(axis=(1, 2)))
    if empty.size:
        message = f"Each structure of a series needs a particle, {empty.tolist()} have none."
        raise ImageError(f"{message} Give them as vacuum or support frames.")


def probabilities(predict: Predict, frames: Images, samplings: Floats, shape: tuple[int, ...]) -> Images:
    """Return the probability of particle (n, y, x) for frames of a series, of which there may be none.

    Raises
    ------
    ImageError
        If the frames do not have the ``shape`` (y, x) of the masks, or a probability does not lie within 0 and 1.
    """
    if not len(frames):
        return np.zeros((0, *shape), dtype=np.float32)
    probability = np.asarray(predict(frames, samplings), dtype=np.float32)
    if probability.shape != frames.shape or frames.shape[1:] != shape:
        message = "The frames and probabilities of a series must have the shape of its masks"
        raise ImageError(f"{message}, {shape}, got {frames.shape} and {probability.shape}.")
    if not np.isfinite(probability).all():
        raise ImageError("The predicted probabilities must be finite; check the weights and the frames for NaN.")
    low, high = float(probability.min()), float(probability.max())
    if low < -_ROUNDED or high > 1 + _ROUNDED:
        raise ImageError(
            f"Probabilities must lie within 0 and 1, got {low:.3g} to {high:.3g}: give them, and not logits or percent."
        )
    return probability
