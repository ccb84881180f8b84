"""Imaging conditions and the ranges that they are drawn from (Tables 1 and 2 of the paper)."""

from typing import Any, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from framedose.config import Range, Settings

# Table 2 of the paper, and the full range that it also tries [e/Å2].
DOSE_RANGES = {
    "high": Range(low=1e2, high=1e6, scale="log"),
    "low": Range(low=1e1, high=1e4, scale="log"),
    "full": Range(low=1e1, high=1e6, scale="log"),
}
_CIRCLE = Range(low=0.0, high=360.0)


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
    astigmatism: float = 0.0
    """Two-fold astigmatism C12 [Å]."""
    astigmatism_angle: float = 0.0
    """Its azimuth phi12 [degree], as all angles from x (along a row) towards y (down a column)."""
    coma: float = 0.0
    """Axial coma C21 [Å]."""
    coma_angle: float = 0.0
    """Its azimuth phi21 [degree]."""
    trefoil: float = 0.0
    """Three-fold astigmatism C23 [Å]."""
    trefoil_angle: float = 0.0
    """Its azimuth phi23 [degree]."""
    drift: float = Field(0.0, ge=0)
    """Way that the specimen goes during the exposure, at constant speed [Å]."""
    drift_angle: float = 0.0
    """Direction of the drift [degree]."""


class ConditionRanges(Settings):
    """Ranges that imaging conditions are drawn from; Table 1 of the paper by default, all that it does not name 0."""

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
    dose: Range = DOSE_RANGES["high"]
    """Frame dose [e/Å2]; or a name of Table 2: high (1e2..1e6), low (1e1..1e4), or full (1e1..1e6)."""
    astigmatism: Range = Range(low=0.0, high=0.0)
    """Two-fold astigmatism C12 [Å]."""
    astigmatism_angle: Range = _CIRCLE
    """Its azimuth phi12 [degree], as all angles from x (along a row) towards y (down a column)."""
    coma: Range = Range(low=0.0, high=0.0)
    """Axial coma C21 [Å]."""
    coma_angle: Range = _CIRCLE
    """Its azimuth phi21 [degree]."""
    trefoil: Range = Range(low=0.0, high=0.0)
    """Three-fold astigmatism C23 [Å]."""
    trefoil_angle: Range = _CIRCLE
    """Its azimuth phi23 [degree]."""
    drift: Range = Range(low=0.0, high=0.0)
    """Way that the specimen goes during the exposure, at constant speed [Å]."""
    drift_angle: Range = _CIRCLE
    """Direction of the drift [degree]."""

    @field_validator("dose", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value not in DOSE_RANGES:
            raise ValueError(f"a dose range has low and high, or is one of {', '.join(DOSE_RANGES)}")
        return DOSE_RANGES[value]

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("focal_spread", "blur", "dose", "sampling", "drift"):
            low = getattr(self, name).low
            positive = name in ("sampling", "dose")
            if low < 0 or (positive and low == 0):
                raise ValueError(f"{name}.low must be {'positive' if positive else 'at least 0'}, got {low}")
        return self

    def draw(self, rng: np.random.Generator) -> Conditions:
        """Draw one set of conditions, every parameter on its own; a new parameter comes last, or others change."""
        return Conditions(**{name: getattr(self, name).draw(rng) for name in Conditions.model_fields})
