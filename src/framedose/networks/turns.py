"""One image from several sides: what a network sees otherwise when the image is turned is chance, and averages out."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

Turns = Literal[1, 2, 4, 8]
"""Copies of an image: itself; and turned by half; and by quarters; and all of these mirrored."""

# The others: whether rows and columns change places, and which axes are then reversed. (Exporters know no rotation.)
_OTHER_SIDES: tuple[tuple[bool, tuple[int, ...]], ...] = (
    (False, (-2, -1)),
    (True, (-2,)),
    (True, (-1,)),
    (False, (-1,)),
    (False, (-2,)),
    (True, ()),
    (True, (-2, -1)),
)


def mean_over_turns(logits_of: Callable[[Tensor], Tensor], images: Tensor, turns: Turns) -> Tensor:
    """Return the mean of the logits of turned copies of images, turned back.

    Parameters
    ----------
    logits_of
        Images (n, 1, y, x) to logits (n, classes, y, x), of any y and x.
    images
        Shape (n, 1, y, x).
    turns
        Number of copies.
    """
    total = logits_of(images)
    for side in _OTHER_SIDES[: turns - 1]:
        total = total + _seen_from(side, logits_of, images)
    return total / turns


def _seen_from(side: tuple[bool, tuple[int, ...]], logits_of: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    exchanged, reversed_axes = side
    turned = images.transpose(-2, -1) if exchanged else images
    # ONNX has no reversal of no axes.
    logits = logits_of(turned.flip(reversed_axes)).flip(reversed_axes) if reversed_axes else logits_of(turned)
    return logits.transpose(-2, -1) if exchanged else logits
