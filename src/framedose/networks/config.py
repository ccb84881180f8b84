"""Kinds and sizes of the networks, without PyTorch: a simulation reads them with the rest of a preset."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from framedose.config import Settings


class UNetConfig(Settings):
    """Size of a U-net; the paper's by default (the paper's initial width is not stated, earlier work has 32)."""

    kind: Literal["unet"] = "unet"
    """The kind of network."""
    width: int = Field(32, ge=1, le=4096)
    """Channels of the first level; every level doubles them."""
    poolings: int = Field(3, ge=1, le=6)
    """Number of 2x2 max poolings."""
    convolutions: int = Field(5, ge=2, le=100)
    """Convolutions of a block. From three on, a short skip adds the first one's output to the last one's input."""
    kernel: int = Field(5, ge=3, le=11)
    """Side of a convolution kernel [px], odd."""
    norm: Literal["none", "batch"] = "none"
    """Batch normalisation between convolution and activation, or none, as the paper names none."""
    classes: int = Field(1, ge=1, le=1000)
    """Output channels; 1 for particle against background."""
    normalise_window: int | None = Field(None, ge=3)
    """Side of the window over which the input is normalised [px]; none for the whole image."""

    @field_validator("kernel")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"a kernel has an odd side, got {value}: give {value - 1} or {value + 1}")
        return value


class MSDNetConfig(Settings):
    """Settings of an MSD-net."""

    kind: Literal["msdnet"] = "msdnet"
    """The MSD-net."""
    layers: int = Field(50, ge=1, le=1000)
    """Number of convolution layers."""
    width: Literal[1, 2, 4, 8] = 1
    """Feature maps per layer."""
    kernel: Literal[3, 5, 7, 9, 11] = 9
    """Side of the convolution kernels [px]."""
    max_dilation: int = Field(10, ge=1, le=10_000)
    """Largest dilation; every layer has its own, drawn from 1 to this [px]."""
    dilation_seed: int = Field(0, ge=0, lt=2**63)
    """Seed of the dilations."""
    activation: Literal["relu", "leaky_relu"] = "relu"
    """Function after each convolution."""
    negative_slope: float = Field(0.01, gt=0, lt=1)
    """Slope of leaky_relu for negative values."""
    classes: int = Field(1, ge=1, le=1000)
    """Number of output maps: one for a sigmoid, more for a softmax."""
    normalise_window: int | None = Field(None, ge=3)
    """Side of the window over which the input is normalised [px]; none for the whole image."""


NetworkConfig = Annotated[UNetConfig | MSDNetConfig, Field(discriminator="kind")]
