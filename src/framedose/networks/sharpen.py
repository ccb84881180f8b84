"""What the thresholds 0.5 and 0.9 stand for, moved to where they serve: a network's probabilities, read otherwise."""

import math
from typing import Self

from pydantic import Field, model_validator
from torch import Tensor

from framedose.config import Settings

_LOGIT_OF_NINE_TENTHS = math.log(9)


class Sharpening(Settings):
    """Which probabilities of a network of one class are called 0.5 and 0.9.

    Of the logits: a straight line through both, as far below ``half`` as ``nine_tenths`` lies above it, and from there
    on the slope that they have without. No pixel changes places with another: at thresholds of equal false area
    everything stays as it was. What changes is which masks the usual thresholds stand for; the probability is a score
    then, and no share of particle.
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
        """Return the logits, shape (n, 1, y, x), as they are read."""
        half, upper = (math.log(p / (1 - p)) for p in (self.half, self.nine_tenths))
        near = logits.clamp(2 * half - upper, upper)
        return _LOGIT_OF_NINE_TENTHS / (upper - half) * (near - half) + (logits - near)
