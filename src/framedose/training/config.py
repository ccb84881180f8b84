"""How a network is trained."""

import math
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from framedose.config import Range, Settings


class Disturbances(Settings):
    """How training images are disturbed; each image by its own draw."""

    background: float = Field(0.0, ge=0)
    """Largest standard deviation of a smooth random background, relative to that of the image; uniform from 0."""
    coarse_share: float = Field(0.0, ge=0, le=1)
    """Share of the images that are reduced to coarser pixels and interpolated back, as coarse frames are."""
    coarse: Range = Range(low=1.2, high=2.6)
    """By how much coarser."""
    dark_share: float = Field(0.0, ge=0, le=1)
    """Share of the images of which a part is dark, beyond the edge of the beam or behind a stop."""

    @field_validator("coarse")
    @classmethod
    def _coarser(cls, value: Range) -> Range:
        if value.low < 1:
            raise ValueError(f"pixels become coarser by a factor of at least 1, got low {value.low}")
        return value


class TrainingConfig(Settings):
    """How a network is trained; ADAM with AMSGrad at a constant rate, as in the paper, unless said otherwise."""

    steps: int | None = Field(None, ge=1)
    """Optimiser steps; or give epochs."""
    epochs: float | None = Field(None, gt=0)
    """Passes over all fields, in place of steps; the paper has 300."""
    batch: int = Field(8, ge=1)
    """Images of a step, over all processes together."""
    learning_rate: float = Field(1e-3, gt=0)
    """Learning rate of ADAM (AMSGrad)."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning rate kept (the paper), or lowered to zero along half a cosine after a short warm-up."""
    clip: float | None = Field(None, gt=0)
    """Largest norm of the gradient; none for no limit."""
    augment: bool = False
    """Show every image in a random one of its eight orientations."""
    endless: bool = False
    """Draw a new image of every field in every epoch, from its exit wave, in place of the stored image epochs."""
    resample_to: float | None = Field(None, gt=0)
    """Pixel size that all images are brought to [Å/px], as inference then brings every frame to it; none to let the
    network see them as they are, and stand every pixel size of the training."""
    disturb: Disturbances = Disturbances()
    """What is added to the training images that the simulation has not."""
    hardest: int = Field(1, ge=1)
    """Fields that are drawn in place of one without a particle; the network learns from the one of which it takes most
    for particle (the largest mean of -log(1 - p), which is the loss of a network of one class)."""
    particle_weight: float = Field(1.0, gt=0)
    """How much more a pixel of the particle counts in the loss than any other; above 1 the masks of one threshold are
    larger, and the probability is no share of particle any more."""
    low_dose_weight: float = Field(1.0, gt=0)
    """How much more than that it counts where electrons are few: w^(1 / (1 + dose / low_dose)) times. Above 1, one
    threshold shows more of what is uncertain for want of electrons, and leaves outlines at high dose as they are."""
    low_dose: float = Field(100.0, gt=0)
    """Frame dose at which the logarithm of low_dose_weight counts half [e/Å2]."""
    average: float | None = Field(None, gt=0, lt=1)
    """Decay per step of a running average of the weights, such as 0.999; that average is validated and kept."""
    patience: int | None = Field(None, ge=1)
    """End after so many validations without a lower validation loss, and keep the weights of the lowest."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """Arithmetic; auto is bf16-mixed on GPUs that have it, 32-true elsewhere."""
    validate_every: int = Field(100, ge=1)
    """Steps between validations."""
    checkpoint_every: int = Field(50, ge=1)
    """Steps between checkpoints: what a killed run loses at most."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give steps or epochs, one of them")
        return self

    def total_steps(self, fields: int) -> int:
        """Return the steps of the whole training on so many fields."""
        return self.steps or max(1, math.ceil((self.epochs or 0) * fields / self.batch))

    def rate(self, step: int, total: int) -> float:
        """Return the learning rate of a step out of ``total``."""
        if self.schedule == "constant":
            return self.learning_rate
        warm = min(1.0, (step + 1) / (0.03 * total + 1))
        return self.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / total))
