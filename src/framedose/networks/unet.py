"""The U-net of the paper: convolution blocks, max pooling, bilinear upsampling, concatenated skips."""

from itertools import pairwise
from typing import Literal, cast

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn import functional as F

from framedose.config import Settings
from framedose.errors import ImageError


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


class UNet(nn.Module):
    """U-net from an image (n, 1, y, x) to logits (n, classes, y, x), any size of at least ``minimum_size``.

    Sides that the poolings do not divide are reflected up to the next multiple and cropped from the result.

    Parameters
    ----------
    config
        Its size.
    seed
        Seed of the initial weights.
    """

    def __init__(self, config: UNetConfig, *, seed: int) -> None:
        super().__init__()
        self.config = config
        widths = [config.width * 2**level for level in range(config.poolings + 1)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            inputs = [1, *widths[:-1]]
            self.down = nn.ModuleList(_Block(a, b, config) for a, b in zip(inputs, widths, strict=True))
            self.up = nn.ModuleList(_Block(3 * w, w, config) for w in reversed(widths[:-1]))
            self.head = nn.Conv2d(widths[0], config.classes, 1)
        # CPUs and GPUs both convolve faster with the channels of a pixel side by side (benchmarks/unet_step.py).
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def minimum_size(self) -> int:
        """Least side of an image [px]: reflection at the coarsest level must find enough pixels."""
        return (self.config.kernel // 2 + 1) << self.config.poolings

    @property
    def reach(self) -> int:
        """How far away an input pixel can be that a logit depends on [px], at most."""
        # Along the longest way: every convolution of every level, down and up, a pixel of the coarser level for each
        # upsampling, and the pixels of a pooling beside the one that is asked for.
        per_block: int = self.config.convolutions * (self.config.kernel // 2)
        poolings: int = self.config.poolings
        blocks: int = sum(1 << level for level in (*range(poolings + 1), *range(poolings)))
        return per_block * blocks + 2 * sum(2 << level for level in range(poolings))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape (n, classes, y, x), for images (n, 1, y, x)."""
        height, width = images.shape[-2:]
        if min(height, width) < self.minimum_size:
            raise ImageError(
                f"The image must have at least {self.minimum_size} pixels a side for this U-net, "
                f"got {height} x {width}: give a larger image."
            )
        multiple = 2**self.config.poolings
        x = F.pad(images, (0, -width % multiple, 0, -height % multiple), mode="reflect")
        kept = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            kept.append(x)
        for block, skip in zip(self.up, reversed(kept[:-1]), strict=True):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = block(torch.cat([skip, x], dim=1))
        logits: Tensor = self.head(x)
        return logits[..., :height, :width]


class _Block(nn.Module):
    """Convolutions with reflection padding, norm and PReLU after each, and the short skip of the paper's SOI A.1."""

    def __init__(self, inputs: int, width: int, config: UNetConfig) -> None:
        super().__init__()
        channels = [inputs, *[width] * config.convolutions]
        convolutions = [
            nn.Conv2d(a, b, config.kernel, padding=config.kernel // 2, padding_mode="reflect")
            for a, b in pairwise(channels)
        ]
        for convolution in convolutions:
            nn.init.kaiming_normal_(convolution.weight, a=0.25)
            nn.init.zeros_(cast(Tensor, convolution.bias))
        self.convolutions = nn.ModuleList(convolutions)
        norm = {"none": nn.Identity, "batch": nn.BatchNorm2d}[config.norm]
        self.norms = nn.ModuleList(norm(width) for _ in convolutions)
        self.activations = nn.ModuleList(nn.PReLU() for _ in convolutions)

    def forward(self, x: Tensor) -> Tensor:
        layers = list(zip(self.convolutions, self.norms, self.activations, strict=True))
        x = first = self._layer(layers[0], x)
        for layer in layers[1:-1]:
            x = self._layer(layer, x)
        return self._layer(layers[-1], x + first if len(layers) > 2 else x)

    @staticmethod
    def _layer(layer: tuple[nn.Module, nn.Module, nn.Module], x: Tensor) -> Tensor:
        convolution, norm, activation = layer
        result: Tensor = activation(norm(convolution(x)))
        return result
