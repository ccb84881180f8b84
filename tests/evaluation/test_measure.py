from dataclasses import dataclass, fields

import numpy as np
import pytest

from framedose.errors import ConfigurationError, ImageError
from framedose.evaluation.measure import Measured, measure, threshold_grid
from framedose.metrics import overlap


@dataclass
class FakeSeries:
    """Frames whose value is the probability that the fake network, the identity, gives them."""

    doses: np.ndarray
    masks: np.ndarray
    frames: np.ndarray  # (D, structures, y, x)
    empty: np.ndarray  # (D, frames, y, x)
    bare: np.ndarray

    def samplings(self, kind):
        frames = {"particle": self.frames, "vacuum": self.empty, "support": self.bare}[kind]
        return np.full(frames.shape[1], 2.0)

    def images(self, dose_index):
        return self.frames[dose_index]

    def vacuum(self, dose_index):
        return self.empty[dose_index]

    def support(self, dose_index):
        return self.bare[dose_index]


def identity(frames, samplings):
    return frames


@pytest.fixture
def series():
    rng = np.random.default_rng(0)
    masks = rng.random((3, 8, 10)) < 0.4
    shapes = [(4, 3, 8, 10), (4, 5, 8, 10), (4, 0, 8, 10)]
    frames = [rng.random(shape, dtype=np.float32) for shape in shapes]
    return FakeSeries(np.array([10.0, 20.0, 40.0, 80.0]), masks, *frames)


def test_counts_and_scores_are_those_of_each_frame_at_any_threshold(series):
    measured = measure(identity, series, threshold=0.7)
    for threshold in (0.7, 0.5, 0.99):
        check_frames(series, measured.counts(threshold), np.float32(threshold))
    assert measured.counts().predicted.tolist() == measured.counts(0.7).predicted.tolist()


def check_frames(series, counts, threshold):
    assert counts.pixels == 80
    assert counts.vacuum_predicted.shape == (5, 4)
    assert counts.support_predicted.shape == (0, 4)
    assert counts.support_false_area is None
    for dose in range(4):
        assert counts.vacuum_predicted[2, dose] == (series.empty[dose, 2] >= threshold).sum()
        assert counts.vacuum_false_area[dose] == pytest.approx((series.empty[dose] >= threshold).mean())
        for structure in range(3):
            one = overlap(series.frames[dose, structure] >= threshold, series.masks[structure])
            assert counts.f1[structure, dose] == one.f1
            assert counts.area_ratio[structure, dose] == one.area_ratio
            assert counts.precision[structure, dose] == pytest.approx(one.precision, nan_ok=True)
            assert counts.recall[structure, dose] == one.recall
            everything = overlap(np.ones((8, 10)), series.masks[structure])
            assert counts.f1_all_particle[structure, dose] == everything.f1


def test_each_dose_can_have_its_own_threshold(series):
    measured = measure(identity, series)
    indices = np.array([0, 50, 96, measured.thresholds.size])
    counts = measured.counts_at(indices)
    for dose, index in enumerate(indices[:3]):
        expected = (series.frames[dose] >= measured.thresholds[index]).sum(axis=(1, 2))
        np.testing.assert_array_equal(counts.predicted[:, dose], expected)
    assert not counts.predicted[:, 3].any()


def test_a_threshold_that_was_not_measured_is_refused(series):
    with pytest.raises(ConfigurationError, match=r"threshold 0\.8123 was not measured"):
        measure(identity, series).counts(0.8123)


def test_thresholds_are_even_in_the_logit_and_hold_the_wanted_ones():
    grid = threshold_grid(0.8123)
    assert np.all(np.diff(grid) > 0)
    assert {np.float32(value) for value in (0.5, 0.9, 0.8123)} <= set(grid)
    assert grid.size == 2 * 96 + 2
    np.testing.assert_allclose(threshold_grid(), 1 - threshold_grid()[::-1], atol=1e-7)


def test_the_threshold_itself_is_particle(series):
    series.frames[:] = 0.9
    assert np.all(measure(identity, series, threshold=0.9).counts().recall == 1)


def test_empty_prediction_has_no_precision_but_a_score(series):
    counts = measure(lambda frames, _: np.zeros_like(frames), series).counts()
    assert np.all(counts.f1 == 0)
    assert np.all(counts.area_ratio == 0)
    assert np.all(np.isnan(counts.precision))
    assert counts.pooled_precision == [None] * 4


def test_certainty_is_counted_too(series):
    series.frames[:] = series.masks
    counts = measure(identity, series).counts(0.99)
    assert np.all(counts.f1 == 1)


def test_objects_and_outlines_are_those_of_the_threshold(series):
    series.masks[:] = False
    series.masks[:, 2:6, 2:6] = True
    series.frames[:] = 0.1
    series.frames[1, 0, 2:6, 2:6] = 0.95
    # Half of one particle, and an object of 16 pixels of 0.2 nm beside another one.
    series.frames[2, 0, 2:4, 2:6] = 0.95
    series.frames[3, 1, 0:4, 7:10] = 0.95
    series.frames[3, 1, 4:8, 7:8] = 0.95
    series.empty[:] = 0
    series.empty[0, 2, :4, :4] = 0.9
    measured = measure(identity, series)
    assert measured.particles.tolist() == [[1] * 4] * 3
    assert measured.found.tolist() == [[0, 1, 1, 0], [0] * 4, [0] * 4]
    assert measured.false.tolist() == [[0] * 4, [0, 0, 0, 1], [0] * 4]
    assert measured.vacuum_objects.tolist() == [[0] * 4, [0] * 4, [1, 0, 0, 0], [0] * 4, [0] * 4]
    assert measured.support_objects.shape == (0, 4)
    assert measured.boundary[0, 1] == 0
    assert 0 < measured.boundary[0, 2] < 0.4
    assert np.isnan(measured.boundary[2]).all()


def test_what_was_saved_comes_back(series, tmp_path):
    measured = measure(identity, series)
    measured.save(tmp_path / "measured.npz")
    back = Measured.load(tmp_path / "measured.npz")
    assert list(tmp_path.iterdir()) == [tmp_path / "measured.npz"]
    for field in fields(Measured):
        np.testing.assert_array_equal(getattr(back, field.name), getattr(measured, field.name), strict=True)


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
        measure(identity, series)
