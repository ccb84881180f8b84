"""Training images at one pixel size, as inference brings every frame to it: a spacing is then a length, not a guess."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from framedose.random import generator
from framedose.resample import resample, resample_to_shape
from framedose.training.batches import Images, Sample, random_window

# Pixel sizes are rounded up when they are drawn; what is left is the rounding of numbers.
_ROUNDED = 0.998


class SampledImages(Images, Protocol):
    """Training images whose pixel sizes are known."""

    @property
    def finest(self) -> float:
        """Smallest pixel size [Å/px], up to its rounding."""

    def sampling(self, sample: Sample) -> float:
        """Return the pixel size of an image [Å/px]."""


class ResampledImages:
    """Images brought to one pixel size; of each a window of the size of the smallest, at a random place.

    Images by :func:`framedose.resample.resample`; a pixel's label is the one that most of it has.

    Parameters
    ----------
    images
        Images of any pixel sizes.
    sampling
        The one wanted [Å/px].
    """

    def __init__(self, images: SampledImages, sampling: float) -> None:
        self._images, self._sampling = images, sampling
        self.made_from, self.prefetch = images.made_from, images.prefetch
        y, x = (int(side * images.finest * _ROUNDED / sampling) for side in images.size)
        self.size = y, x

    @property
    def fields(self) -> int:
        """Number of fields."""
        return self._images.fields

    def like(self, index: int) -> range:
        """Return the fields without a particle among which field ``index`` is one."""
        return self._images.like(index)

    def dose(self, sample: Sample) -> float:
        """Return the frame dose of an image [e/Å2]."""
        return self._images.dose(sample)

    def load(self, samples: Sequence[Sample], seed: int) -> tuple[Tensor, Tensor]:
        """Return images and labels (n, y, x); ``seed`` is for new noise and the places of the windows."""
        shown, truths = [], []
        for position, (image, label, sample) in enumerate(zip(*self._images.load(samples, seed), samples, strict=True)):
            pixels, _ = resample(image.cpu().numpy(), self._images.sampling(sample), self._sampling)
            window = random_window(pixels.shape, self.size, generator(seed, "resampled", position))
            truth = _labels(label.cpu().numpy(), pixels.shape)
            shown.append(torch.from_numpy(pixels[window].copy()).to(image.device))
            truths.append(torch.from_numpy(truth[window].copy()).to(label.device))
        return torch.stack(shown), torch.stack(truths)


def _labels(label: npt.NDArray[np.generic], shape: tuple[int, ...]) -> npt.NDArray[np.generic]:
    if label.dtype == bool:
        return np.asarray(resample_to_shape(label.astype(bool), shape) > 0.5)
    classes = np.unique(label)
    shares = [resample_to_shape(label == one, shape) for one in classes]
    most: npt.NDArray[np.generic] = classes[np.argmax(shares, axis=0)]
    return most
