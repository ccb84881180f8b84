"""Batches indexed by (seed, step): any batch can be made again alone, which makes resume exact."""

import numpy as np
import numpy.typing as npt

from framedose.dataset.store import ImageSet
from framedose.random import generator
from framedose.training.disturb import Disturbances, disturbed

Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


def training_batch(images: ImageSet, *, seed: int, step: int, size: int, augment: bool, disturb: Disturbances) -> Batch:
    """Return batch ``step``: images and masks, float32, shape (size, y, x).

    Samples are counted through epochs; an epoch visits every field once in its own random order, and epoch e shows
    image e mod E of every field (the paper's cycle of image epochs). With ``augment`` each sample is turned and
    mirrored to one of its eight orientations, and ``disturb`` says what is done to the image beyond that.
    """
    fields, epochs = images.shape[:2]
    pairs = []
    for sample in range(step * size, (step + 1) * size):
        epoch, position = divmod(sample, fields)
        index = int(generator(seed, "order", epoch).permutation(fields)[position])
        pair = np.stack(images.load(index, epoch % epochs)).astype(np.float32)
        if augment:
            turns, mirror = divmod(int(generator(seed, "orientation", sample).integers(8)), 2)
            pair = np.rot90(pair, turns, axes=(1, 2))[:, :, :: -1 if mirror else 1].copy()
        pair[0] = disturbed(pair[0], disturb, generator(seed, "disturbance", sample))
        pairs.append(pair)
    batch = np.stack(pairs)
    return batch[:, 0], batch[:, 1]


def validation_batches(images: ImageSet, *, size: int) -> list[Batch]:
    """Return the first image of every field, in batches of at most ``size``."""
    pairs = [images.load(index, 0) for index in range(images.shape[0])]
    return [
        (
            np.stack([image for image, _ in pairs[start : start + size]]),
            np.stack([mask for _, mask in pairs[start : start + size]]).astype(np.float32),
        )
        for start in range(0, len(pairs), size)
    ]
