"""An interval of the particles' area in a frame that holds the true one as often as it says."""

import math
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator
from scipy.special import expit, logit

from framedose.config import Settings
from framedose.errors import ImageError


class AreaInterval(Settings):
    """Two thresholds between whose areas the true area lies, as often as ``level`` says on frames like the training's.

    Nested conformal prediction (Gupta et al., doi:10.1016/j.patcog.2021.108496): the interval of a frame reaches from
    the area at ``upper`` to that at ``1 - upper``. On n frames of structures that the network was not trained on, the
    least ``upper`` that holds each one's true area is found, and the (n + 1) level-th of these is taken. A new frame of
    the same distribution is then held with a probability of at least ``level``, whatever the network is worth.
    """

    level: float = Field(gt=0, lt=1)
    """Nominal coverage."""
    upper: float = Field(ge=0.5, le=1)
    """The higher threshold; 1 stands for an interval from nothing to the whole frame."""
    frames: int = Field(ge=1)
    """Frames that it was found on."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.frames < least_frames(self.level):
            raise ValueError(f"level {self.level} needs at least {least_frames(self.level)} frames, got {self.frames}")
        return self

    def of(self, probability: npt.NDArray[np.float32]) -> tuple[float, float]:
        """Return the least and the greatest area of the particles in one frame (y, x), as shares of the frame."""
        if self.upper >= 1:
            return 0.0, 1.0
        # In double precision: rounded to single, 1 - upper can pass the probabilities that it was found on.
        low, high = np.float64(self.upper), np.float64(1 - self.upper)
        return float((probability >= low).mean()), float((probability >= high).mean())


def least_frames(level: float) -> int:
    """Return how many frames an interval of a level needs: of fewer, the greatest does not suffice."""
    return math.ceil(level / (1 - level) - 1e-9)


def area_interval(
    probability: npt.NDArray[np.float32], masks: npt.NDArray[np.bool_], *, level: float = 0.9
) -> AreaInterval:
    """Find the area interval of a network.

    Parameters
    ----------
    probability
        Of frames (n, y, x) of as many structures that the network was not trained on.
    masks
        Their true particles, same shape; frames without one belong to it too, if frames to come may have none.
    level
        Nominal coverage.

    Raises
    ------
    ImageError
        If there are too few frames for the level.
    """
    count = len(probability)
    if count < least_frames(level):
        raise ImageError(f"An area interval of {level:.0%} needs at least {least_frames(level)} frames, got {count}.")
    needed = np.sort([_needed(frame.ravel(), int(mask.sum())) for frame, mask in zip(probability, masks, strict=True)])
    upper = expit(needed[math.ceil((count + 1) * level - 1e-9) - 1])
    # The next number of single precision: the least one at which rounding leaves no frame out.
    upper = min(1.0, float(np.nextafter(np.float32(upper), np.float32(2))))
    return AreaInterval(level=level, upper=upper, frames=count)


def _needed(probability: npt.NDArray[np.float32], area: int) -> float:
    """Return the least |logit| c for which the areas at +c and -c hold ``area`` pixels between them."""
    descending = np.sort(probability.astype(np.float64))[::-1]
    with np.errstate(divide="ignore"):
        scores = logit(descending)
    # The area at the threshold is at most ``area`` where the next pixel lies below it, and at least ``area`` where
    # this one reaches it.
    above = scores[area] if area < scores.size else -np.inf
    below = scores[area - 1] if area else np.inf
    return float(max(0.0, above, -below))
