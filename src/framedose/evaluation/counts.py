"""Pixel counts of a predictor on a series of rising dose: all that the dose limits are made from."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from framedose.atomic import write_aside
from framedose.errors import ImageError
from framedose.metrics import Overlap
from framedose.progress import progress

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Images = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]

Predict = Callable[[Images], Images]
"""Frames (n, y, x) to the probability of particle in each pixel, same shape, 0..1."""


class Series(Protocol):
    """Frames of the same structures at rising dose, with the truth, and frames without a particle."""

    @property
    def doses(self) -> Floats:
        """Frame doses (D,) [e/Å2], rising."""

    @property
    def masks(self) -> Masks:
        """True particle masks (structures, y, x), the same at all doses."""

    def images(self, dose_index: int) -> Images:
        """Return one frame of each structure (structures, y, x) at a dose."""

    def vacuum(self, dose_index: int) -> Images:
        """Return frames of vacuum only (n, y, x) at a dose, at least one."""

    def support(self, dose_index: int) -> Images:
        """Return frames of bare support only (n, y, x) at a dose, possibly none."""


@dataclass(frozen=True, eq=False)
class SeriesCounts:
    """Pixel counts of predicted masks on a series; D doses.

    Attributes
    ----------
    doses
        Frame doses (D,) [e/Å2], rising.
    true_positive, predicted, truth
        Pixels that are both predicted and particle, predicted, and particle: integers (structures, D).
    vacuum_predicted, support_predicted
        Predicted pixels on frames of vacuum only and of bare support only: integers (frames, D).
    pixels
        Pixels of a frame.
    """

    doses: Floats
    true_positive: Integers
    predicted: Integers
    truth: Integers
    vacuum_predicted: Integers
    support_predicted: Integers
    pixels: int

    @property
    def f1(self) -> Floats:
        """F1 of each frame (structures, D)."""
        return self._score("f1")

    @property
    def area_ratio(self) -> Floats:
        """Predicted area over true area of each frame (structures, D)."""
        return self._score("area_ratio")

    @property
    def precision(self) -> Floats:
        """Share of the predicted area that is particle (structures, D); NaN for an empty prediction."""
        return self._score("precision")

    @property
    def recall(self) -> Floats:
        """Share of the particle that is predicted, the true-positive area ratio (structures, D)."""
        return self._score("recall")

    @property
    def f1_all_particle(self) -> Floats:
        """F1 of a mask that calls every pixel particle (structures, D): what a score must beat."""
        everything = np.full_like(self.truth, self.pixels)
        return _score("f1", self.truth, everything, self.truth, self.pixels)

    def _score(self, name: str) -> Floats:
        return _score(name, self.true_positive, self.predicted, self.truth, self.pixels)

    def save(self, path: str | Path) -> None:
        """Write the counts to an ``.npz`` file, atomically."""
        with write_aside(path) as aside:
            np.savez(aside, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what :meth:`save` wrote."""
        with np.load(path) as stored:
            arrays = dict(stored)
        return cls(**{**arrays, "pixels": int(arrays["pixels"])})


def _score(name: str, true_positive: Integers, predicted: Integers, truth: Integers, pixels: int) -> Floats:
    def one(tp: int, p: int, t: int) -> float:
        return float(getattr(Overlap(tp, p, t, pixels), name))

    scores: Floats = np.vectorize(one, otypes=[float])(true_positive, predicted, truth)
    return scores


def count(predict: Predict, series: Series, *, threshold: float = 0.9, label: str = "evaluate") -> SeriesCounts:
    """Predict all frames of a series and count pixels; one dose is in memory at a time.

    Parameters
    ----------
    predict
        Frames (n, y, x) float32 to the probability of particle, same shape.
    series
        The frames and the truth.
    threshold
        A pixel is particle where its probability is at least this.
    label
        Name at the progress bar.

    Raises
    ------
    ImageError
        If the doses do not rise, a structure has no particle, there is no vacuum frame, shapes disagree, or a
        probability is not finite.
    """
    doses = np.asarray(series.doses, dtype=np.float64)
    masks = np.asarray(series.masks, dtype=bool)
    _check(doses, masks)
    true_positive, predicted, vacuum, support = [], [], [], []
    for index in progress(range(doses.size), total=doses.size, label=label):
        found = _segment(predict, series.images(index), threshold, masks.shape[1:])
        if found.shape != masks.shape:
            raise ImageError(f"A series needs one frame for each mask, {masks.shape}, got {found.shape}.")
        true_positive.append(_pixels(found & masks))
        predicted.append(_pixels(found))
        vacuum.append(_pixels(_segment(predict, series.vacuum(index), threshold, masks.shape[1:])))
        support.append(_pixels(_segment(predict, series.support(index), threshold, masks.shape[1:])))
    if not vacuum[0].size:
        raise ImageError("A series needs at least one vacuum frame for the null test, got none.")
    return SeriesCounts(
        doses=doses,
        true_positive=np.stack(true_positive, axis=1),
        predicted=np.stack(predicted, axis=1),
        truth=np.repeat(_pixels(masks)[:, np.newaxis], doses.size, axis=1),
        vacuum_predicted=np.stack(vacuum, axis=1),
        support_predicted=np.stack(support, axis=1),
        pixels=masks[0].size,
    )


def _check(doses: Floats, masks: Masks) -> None:
    if doses.ndim != 1 or not doses.size or not np.all(doses > 0) or not np.all(np.diff(doses) > 0):
        raise ImageError(f"The doses of a series must be positive and rise, got {doses.tolist()}. Sort and merge them.")
    if masks.ndim != 3 or not masks.shape[0]:
        raise ImageError(f"The masks of a series must have the shape (structures, y, x), got {masks.shape}.")
    empty = np.flatnonzero(~masks.any(axis=(1, 2)))
    if empty.size:
        message = f"Each structure of a series needs a particle, {empty.tolist()} have none."
        raise ImageError(f"{message} Give them as vacuum or support frames.")


def _segment(predict: Predict, frames: Images, threshold: float, shape: tuple[int, ...]) -> Masks:
    """Return the predicted masks (n, y, x) of ``frames``, of which there may be none."""
    if not len(frames):
        return np.zeros((0, *shape), dtype=bool)
    probability = np.asarray(predict(frames))
    if probability.shape != frames.shape or frames.shape[1:] != shape:
        message = "The frames and probabilities of a series must have the shape of its masks"
        raise ImageError(f"{message}, {shape}, got {frames.shape} and {probability.shape}.")
    if not np.isfinite(probability).all():
        raise ImageError("The predicted probabilities must be finite; check the weights and the frames for NaN.")
    found: Masks = probability >= threshold
    return found


def _pixels(masks: Masks) -> Integers:
    pixels: Integers = masks.sum(axis=(1, 2), dtype=np.int64)
    return pixels
