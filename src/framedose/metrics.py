"""Scores of a predicted mask: one F1 for the whole project."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Overlap:
    """Pixel counts of a predicted mask against the truth, particle as the positive class."""

    true_positive: int
    predicted: int
    truth: int
    pixels: int

    @property
    def f1(self) -> float:
        """F1 = 2 TP / (predicted + truth); 1 where both masks are empty."""
        total = self.predicted + self.truth
        return 2 * self.true_positive / total if total else 1.0

    @property
    def area_ratio(self) -> float:
        """Predicted area over true area; NaN without a particle."""
        return self.predicted / self.truth if self.truth else float("nan")

    @property
    def precision(self) -> float:
        """Share of the predicted area that is particle; NaN for an empty prediction."""
        return self.true_positive / self.predicted if self.predicted else float("nan")

    @property
    def recall(self) -> float:
        """Share of the particle that is predicted (true-positive area ratio); NaN without a particle."""
        return self.true_positive / self.truth if self.truth else float("nan")

    @property
    def fraction(self) -> float:
        """Predicted share of the frame."""
        return self.predicted / self.pixels


def overlap(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> Overlap:
    """Count the pixels of two boolean masks of the same shape (y, x).

    Examples
    --------
    >>> overlap([[1, 1, 0, 0]], [[0, 1, 1, 0]]).f1
    0.5
    """
    p = np.asarray(predicted, dtype=bool)
    t = np.asarray(truth, dtype=bool)
    if p.shape != t.shape:
        raise ValueError(f"The masks must have the same shape, got {p.shape} and {t.shape}.")
    return Overlap(int((p & t).sum()), int(p.sum()), int(t.sum()), p.size)
