"""What the thresholds 0.5 and 0.9 stand for, moved to where they serve: a network's probabilities, read otherwise."""

import math
from typing import Self

from pydantic import Field, model_validator
from torch import Tensor

from framedose.config import Settings

_LOGIT_OF_NINE_TENTHS = math.log(9)
# As far from 0.5 the line is straight, in logits. Nearer, its bends would shift outlines that lie between two pixels of
# a network; further, steep lines would leave no digits to what is nearly certain (1 is at 17 in single precision).
_STRAIGHT = 10.0


class Sharpening(Settings):
    """Which probabilities of a network are called 0.5 and 0.9.

    Of the log odds of particle: a straight line through both, to either side until 0.99995 or 0.00005 is reached, and
    from there on the slope that they have without. No pixel changes places with another: at thresholds of equal false
    area everything stays as it was. What changes is which masks the usual thresholds stand for; the probability is a
    score then, and no share of particle.
    """

    half: float = Field(gt=0, lt=1)
    """The probability that becomes 0.5."""
    nine_tenths: float = Field(gt=0, lt=1)
    """The probability that becomes 0.9, above ``half``."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.nine_tenths <= self.half:
            raise ValueError(f"nine_tenths must lie above half, got {self.nine_tenths} and {self.half}")
        return self

    def of(self, logits: Tensor) -> Tensor:
        """Return log odds of particle of any shape as they are read."""
        half, nine_tenths = (math.log(p / (1 - p)) for p in (self.half, self.nine_tenths))
        slope = _LOGIT_OF_NINE_TENTHS / (nine_tenths - half)
        near = logits.clamp(half - _STRAIGHT / slope, half + _STRAIGHT / slope)
        return slope * (near - half) + (logits - near)
