"""The U-net of the paper: convolution blocks, max pooling, bilinear upsampling, concatenated skips."""

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from framedose.errors import ImageError
from framedose.networks.config import UNetConfig


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
