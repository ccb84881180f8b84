"""The one normalisation of images, shared by training and inference."""

import torch
from torch import Tensor
from torch.nn import functional as F

# Of the variance of the whole image: where nothing varies, such as behind a beam stop, the result is flat too.
_LEAST_VARIANCE = 1e-4


def normalise(images: Tensor, window: int | None = None) -> Tensor:
    """Give every image zero mean and unit variance, over its own pixels or over a window around each of them.

    Counts, electrons and stretched grey values of the same frame become the same network input. A window also takes
    out a background that is uneven on its scale, and makes the input at a place independent of what lies far away, so
    that a large frame looks to the network as the small ones of its training did.

    Parameters
    ----------
    images
        Shape (n, y, x), float32, no constant image among them.
    window
        Side of the square window [px]; at the edges it is cut. None for the whole image.

    Returns
    -------
    Tensor
        Shape (n, 1, y, x), float32.
    """
    images = images.to(torch.float32)
    centred = images - _mean(images)
    centred = centred - _mean(centred)  # what rounding left of a large offset
    whole = (centred / _mean(centred.square()).sqrt()).unsqueeze(1)
    if window is None:
        return whole
    centred = whole - _window_mean(whole, window)
    variance = _window_mean(whole.square(), window) - (whole - centred).square()
    return centred / variance.clamp(min=_LEAST_VARIANCE).sqrt()


def _mean(images: Tensor) -> Tensor:
    """Return the mean of each image.

    One axis after the other: a runtime that adds up the pixels of a frame of 4096 x 4096 one by one in float32, such as
    onnxruntime does in an exported network, is off by 0.3 standard deviations.
    """
    return images.mean(dim=-1, keepdim=True).mean(dim=-2, keepdim=True)


def _window_mean(images: Tensor, window: int) -> Tensor:
    side = window // 2 * 2 + 1
    for kernel in ((side, 1), (1, side)):
        padding = (kernel[0] // 2, kernel[1] // 2)
        images = F.avg_pool2d(images, kernel, stride=1, padding=padding, count_include_pad=False)
    return images


def particle_logit(logits: Tensor) -> Tensor:
    """Return the log odds of particle, shape (n, y, x), for the logits of a network, (n, classes, y, x).

    One class is particle against everything else, and the network's logit is it; of several the second is the particle,
    as in masks (0 vacuum, 1 particle, 2 support): its logit less the logsumexp of the others', as in a softmax.
    """
    if logits.shape[1] == 1:
        return logits[:, 0]
    return logits[:, 1] - torch.cat([logits[:, :1], logits[:, 2:]], dim=1).logsumexp(dim=1)


def probability_of(logits: Tensor) -> Tensor:
    """Return the probability of particle, shape (n, y, x), for the logits of a network, (n, classes, y, x)."""
    return torch.sigmoid(particle_logit(logits))
