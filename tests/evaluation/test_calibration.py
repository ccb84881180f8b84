import numpy as np
import pytest

from framedose.evaluation.calibration import reliability
from framedose.evaluation.measure import measure


class Drawn:
    """Frames of random probabilities, and masks in which that share is particle, or a power of it."""

    doses = np.array([10.0, 100.0])

    def __init__(self, power):
        rng = np.random.default_rng(0)
        self.frames = rng.random((2, 6, 64, 64), dtype=np.float32)
        self.masks = rng.random((6, 64, 64)) < self.frames[0] ** power
        # At the second dose the frames are those of the first in another order: they know nothing of the masks.
        self.frames[1] = rng.permutation(self.frames[0].ravel()).reshape(6, 64, 64)

    def samplings(self, kind):
        return np.full({"particle": 6, "vacuum": 1, "support": 0}[kind], 2.0)

    def images(self, dose_index):
        return self.frames[dose_index]

    def vacuum(self, dose_index):
        return np.zeros((1, 64, 64), dtype=np.float32)

    def support(self, dose_index):
        return np.zeros((0, 64, 64), dtype=np.float32)


def at(power, dose):
    return reliability(measure(lambda frames, _: frames, Drawn(power)), np.array([dose == 0, dose == 1]))


def test_probabilities_that_are_true_lie_on_the_diagonal():
    result = at(1, 0)
    assert sum(result.pixels) == 6 * 64 * 64
    for given, observed, pixels in zip(result.given, result.observed, result.pixels, strict=True):
        # Given is the middle of a bin's thresholds, a twentieth of it off at most.
        assert abs(given - observed) < 5 * np.sqrt(0.25 / pixels) + 0.01
    assert result.error < 0.02


def test_overconfident_ones_lie_below_it():
    result = at(3, 0)
    middle = np.abs(np.array(result.given) - 0.65).argmin()
    assert result.observed[middle] == pytest.approx(result.given[middle] ** 3, abs=0.05)
    # The mean of |p - p^3| over uniform p.
    assert result.error == pytest.approx(0.25, abs=0.02)


def test_each_dose_is_judged_by_its_own_frames():
    share = at(1, 1)
    assert np.std(share.observed) < 0.1
    assert share.error == pytest.approx(0.25, abs=0.03)
