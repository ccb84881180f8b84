"""Imaging conditions and the ranges that they are drawn from (Tables 1 and 2 of the paper)."""

from typing import Self

import numpy as np
from pydantic import Field, model_validator

from framedose.config import Range, Settings


class Conditions(Settings):
    """The microscope's state for one image."""

    defocus: float
    """Defocus [Å], positive for underfocus."""
    cs: float
    """Spherical aberration [Å]."""
    focal_spread: float = Field(ge=0)
    """Focal spread, 1/e width [Å]."""
    blur: float = Field(ge=0)
    """Standard deviation of the Gaussian blur of the intensity [Å]."""
    sampling: float = Field(gt=0)
    """Side of a camera pixel [Å/px]."""
    dose: float = Field(ge=0)
    """Frame dose [e/Å2]."""


class ConditionRanges(Settings):
    """Ranges that imaging conditions are drawn from; Table 1 of the paper by default."""

    defocus: Range = Range(low=-200.0, high=200.0)
    """Defocus [Å], positive for underfocus."""
    cs: Range = Range(low=0.0, high=1.245e5)
    """Spherical aberration [Å]."""
    focal_spread: Range = Range(low=5.0, high=20.0)
    """Focal spread, 1/e width [Å]."""
    blur: Range = Range(low=0.1, high=0.8)
    """Standard deviation of the Gaussian blur of the intensity [Å]."""
    sampling: Range = Range(low=0.07, high=0.08)
    """Side of a camera pixel [Å/px]."""
    dose: Range = Range(low=1e2, high=1e6, scale="log")
    """Frame dose [e/Å2]; Table 2 calls 1e2..1e6 high and 1e1..1e4 low."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("focal_spread", "blur", "dose", "sampling"):
            low = getattr(self, name).low
            if low < 0 or (name == "sampling" and low == 0):
                raise ValueError(f"{name}.low must be {'positive' if name == 'sampling' else 'at least 0'}, got {low}")
        return self

    def draw(self, rng: np.random.Generator) -> Conditions:
        """Draw one set of conditions, every parameter on its own."""
        return Conditions(**{name: getattr(self, name).draw(rng) for name in Conditions.model_fields})
