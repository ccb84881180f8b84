"""Pixel counts of the masks of one predictor at one threshold: what areas and scores are made from."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from framedose.metrics import Overlap

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


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

    @property
    def pooled_precision(self) -> list[float | None]:
        """Share of all area predicted at a dose that is particle (D,), None where none is predicted.

        Pooled over structures: a mean of ratios would leave out the frames on which nothing is predicted.
        """
        pairs = zip(self.true_positive.sum(axis=0), self.predicted.sum(axis=0), strict=True)
        return [float(hit / found) if found else None for hit, found in pairs]

    @property
    def vacuum_false_area(self) -> Floats:
        """Mean predicted share of the frames of vacuum (D,)."""
        return np.asarray(self.vacuum_predicted.mean(axis=0) / self.pixels, dtype=np.float64)

    @property
    def support_false_area(self) -> Floats | None:
        """The same for frames of bare support; None without such frames."""
        if not len(self.support_predicted):
            return None
        return np.asarray(self.support_predicted.mean(axis=0) / self.pixels, dtype=np.float64)

    def null_area(self) -> Floats:
        """Return the predicted share of each frame without a particle, of both kinds, (frames, D)."""
        return np.concatenate([self.vacuum_predicted, self.support_predicted]) / self.pixels

    def _score(self, name: str) -> Floats:
        return _score(name, self.true_positive, self.predicted, self.truth, self.pixels)


def _score(name: str, true_positive: Integers, predicted: Integers, truth: Integers, pixels: int) -> Floats:
    def one(tp: int, p: int, t: int) -> float:
        return float(getattr(Overlap(tp, p, t, pixels), name))

    scores: Floats = np.vectorize(one, otypes=[float])(true_positive, predicted, truth)
    return scores
