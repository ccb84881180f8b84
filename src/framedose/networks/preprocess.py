"""The one normalisation of images, shared by training and inference."""

import torch
from torch import Tensor


def normalise(images: Tensor) -> Tensor:
    """Give every image zero mean and unit variance over its own pixels.

    Counts, electrons and stretched grey values of the same frame become the same network input.

    Parameters
    ----------
    images
        Shape (n, y, x), float32, no constant image among them.

    Returns
    -------
    Tensor
        Shape (n, 1, y, x), float32.
    """
    images = images.to(torch.float32)
    mean = images.mean(dim=(-2, -1), keepdim=True)
    deviation = (images - mean).square().mean(dim=(-2, -1), keepdim=True).sqrt()
    return ((images - mean) / deviation).unsqueeze(1)
