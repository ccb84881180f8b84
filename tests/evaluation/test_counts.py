from dataclasses import dataclass

import numpy as np
import pytest

from framedose.errors import ImageError
from framedose.evaluation.counts import SeriesCounts, count
from framedose.metrics import overlap


@dataclass
class FakeSeries:
    """Frames whose value is the probability that the fake network, the identity, gives them."""

    doses: np.ndarray
    masks: np.ndarray
    frames: np.ndarray  # (D, structures, y, x)
    empty: np.ndarray  # (D, frames, y, x)
    bare: np.ndarray

    def images(self, dose_index):
        return self.frames[dose_index]

    def vacuum(self, dose_index):
        return self.empty[dose_index]

    def support(self, dose_index):
        return self.bare[dose_index]


def identity(frames):
    return frames


@pytest.fixture
def series():
    rng = np.random.default_rng(0)
    masks = rng.random((3, 8, 10)) < 0.4
    shapes = [(4, 3, 8, 10), (4, 5, 8, 10), (4, 0, 8, 10)]
    frames = [rng.random(shape, dtype=np.float32) for shape in shapes]
    return FakeSeries(np.array([10.0, 20.0, 40.0, 80.0]), masks, *frames)


def test_counts_and_scores_are_those_of_each_frame(series):
    counts = count(identity, series, threshold=0.7)
    assert counts.pixels == 80
    assert counts.vacuum_predicted.shape == (5, 4)
    assert counts.support_predicted.shape == (0, 4)
    for dose in range(4):
        assert counts.vacuum_predicted[2, dose] == (series.empty[dose, 2] >= np.float32(0.7)).sum()
        for structure in range(3):
            one = overlap(series.frames[dose, structure] >= np.float32(0.7), series.masks[structure])
            assert counts.f1[structure, dose] == one.f1
            assert counts.area_ratio[structure, dose] == one.area_ratio
            assert counts.precision[structure, dose] == one.precision
            assert counts.recall[structure, dose] == one.recall
            everything = overlap(np.ones((8, 10)), series.masks[structure])
            assert counts.f1_all_particle[structure, dose] == everything.f1


def test_the_threshold_itself_is_particle(series):
    series.frames[:] = 0.9
    assert np.all(count(identity, series, threshold=0.9).recall == 1)


def test_empty_prediction_has_no_precision_but_a_score(series):
    counts = count(np.zeros_like, series)
    assert np.all(counts.f1 == 0)
    assert np.all(counts.area_ratio == 0)
    assert np.all(np.isnan(counts.precision))


def test_saved_counts_come_back(series, tmp_path):
    counts = count(identity, series)
    counts.save(tmp_path / "counts.npz")
    back = SeriesCounts.load(tmp_path / "counts.npz")
    assert list(tmp_path.iterdir()) == [tmp_path / "counts.npz"]
    assert back.pixels == counts.pixels
    for name in ("doses", "true_positive", "predicted", "truth", "vacuum_predicted", "support_predicted"):
        np.testing.assert_array_equal(getattr(back, name), getattr(counts, name), strict=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"doses": np.array([10.0, 40.0, 20.0, 80.0])}, "must be positive and rise"),
        ({"doses": np.array([10.0, 10.0, 20.0, 80.0])}, "must be positive and rise"),
        ({"doses": np.array([10.0, 20.0, 40.0, np.nan])}, "must be positive and rise"),
        ({"masks": np.zeros((3, 8, 10), dtype=bool)}, r"\[0, 1, 2\] have none"),
        ({"masks": np.ones((2, 8, 10), dtype=bool)}, "one frame for each mask"),
        ({"masks": np.ones((3, 10, 8), dtype=bool)}, "shape of its masks"),
        ({"masks": np.ones((8, 10), dtype=bool)}, r"\(structures, y, x\)"),
        ({"empty": np.zeros((4, 0, 8, 10), dtype=np.float32)}, "at least one vacuum frame"),
        ({"frames": np.full((4, 3, 8, 10), np.nan, dtype=np.float32)}, "finite"),
    ],
)
def test_a_series_that_cannot_be_counted_is_refused(series, change, message):
    for name, value in change.items():
        setattr(series, name, value)
    with pytest.raises(ImageError, match=message):
        count(identity, series)
