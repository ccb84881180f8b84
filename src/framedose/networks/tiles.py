"""Large images through a U-net, tile by tile, with what the whole image would give."""

from collections.abc import Iterator

import torch
from torch import Tensor

from framedose.networks.unet import UNet

CORE = 1024
"""Side of what a tile is kept of [px]; around it the network sees as much more as it reaches."""


def in_tiles(network: UNet, images: Tensor, core: int = CORE) -> Tensor:
    """Return the logits of normalised images, shape (n, classes, y, x).

    Tiles begin where the poolings of a whole image begin a pixel, overlap by the network's reach, and end at the
    image's own border or beyond that reach: the result is that of the whole image up to rounding.

    Parameters
    ----------
    network
        In evaluation mode.
    images
        Shape (n, 1, y, x).
    core
        Side of the part of a tile that is kept [px], a multiple of what the poolings divide by.
    """
    height, width = images.shape[-2:]
    logits = torch.empty(len(images), network.config.classes, height, width)
    halo = _halo(network)
    for top, bottom, rows in _spans(height, core, halo):
        for left, right, columns in _spans(width, core, halo):
            seen = network(images[..., rows, columns])
            y, x = top - rows.start, left - columns.start
            logits[..., top:bottom, left:right] = seen[..., y : y + bottom - top, x : x + right - left]
    return logits


def _halo(network: UNet) -> int:
    """Return the reach of a network, rounded up so that a tile begins where a pixel of its coarsest level does."""
    multiple = 1 << network.config.poolings
    return -(-network.reach // multiple) * multiple


def _spans(length: int, core: int, halo: int) -> Iterator[tuple[int, int, slice]]:
    """Yield where parts of an axis begin and end, and what must be seen for them."""
    for start in range(0, length, core):
        stop = min(start + core, length)
        yield start, stop, slice(max(0, start - halo), min(length, stop + halo))
