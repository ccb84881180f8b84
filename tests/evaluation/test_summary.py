import json
from dataclasses import replace

import numpy as np
import pytest

from framedose.config import build
from framedose.errors import ConfigurationError
from framedose.evaluation.measure import Measured, threshold_grid
from framedose.evaluation.summary import EvaluationConfig, NetworkResult, summarise

CONFIG = EvaluationConfig()
PER_STRUCTURE = ("particle", "background", "boundary", "found", "particles", "false")


GRID = threshold_grid(0.7, 0.99)


def histogram(above, total):
    """``above`` pixels between 0.9 and the next threshold, the others below the first one."""
    bins = np.zeros((*np.shape(above), GRID.size + 1), dtype=np.int64)
    bins[..., np.searchsorted(GRID, np.float32(0.9), side="right")] = above
    bins[..., 0] = total - above
    return bins


@pytest.fixture
def measured():
    """Ten structures of 200 of 1000 pixels; the prediction grows with dose, and 10 pixels of it are false."""
    doses = CONFIG.doses.values()
    share = np.clip(np.log10(doses / 10) / 1.5, 0, 1)
    rng = np.random.default_rng(0)
    hits = np.round(200 * np.clip(share * rng.normal(1, 0.05, (10, 1)), 0, 1)).astype(int)
    vacuum = np.tile(np.linspace(60, 0, 13).astype(int), (4, 1))
    return Measured(
        doses=doses,
        thresholds=GRID,
        particle=histogram(hits, 200),
        background=histogram(10 * (hits > 0), 800),
        vacuum=histogram(vacuum, 1000),
        support=histogram(np.zeros((0, 13), dtype=int), 1000),
        threshold=0.9,
        boundary=np.where(hits > 0, 0.3, np.nan),
        found=(hits >= 100).astype(int),
        particles=np.ones_like(hits),
        false=np.zeros_like(hits),
        vacuum_objects=(vacuum > 30).astype(int),
        support_objects=np.zeros((0, 13), dtype=int),
    )


def test_dose_grid_holds_round_doses_exactly():
    doses = CONFIG.doses.values()
    assert doses.size == 13
    assert set(doses) >= {10.0, 100.0, 1e3, 1e4}


def test_results_are_those_of_the_counts(measured):
    result, counts = summarise(measured, CONFIG, seed=1), measured.counts()
    high = counts.doses >= 1e3
    assert high.sum() == 5
    assert result.f1_high_dose == pytest.approx(counts.f1[:, high].mean())
    assert len(result.frames.f1) == len(result.frames.precision) == len(result.frames.boundary_error) == 50
    assert np.mean(result.frames.recall) == pytest.approx(counts.recall[:, high].mean())
    assert result.f1_all_particle == pytest.approx(2 * 200 / 1200)
    assert result.vacuum_false_area_max == pytest.approx(counts.vacuum_predicted[0, 4] / 1000)
    assert result.support_false_area_max is None
    assert result.curves.support_false_area is None
    assert result.curves.support_false_objects is None
    assert result.curves.precision[0] is None
    assert result.curves.precision[-1] == pytest.approx(
        counts.true_positive[:, -1].sum() / counts.predicted[:, -1].sum()
    )
    assert result.curves.area_ratio.mean == pytest.approx(counts.area_ratio.mean(axis=0))
    assert result.curves.false_area[-1] == pytest.approx(10 / 200)
    assert (result.curves.boundary_error[0], result.curves.boundary_error[-1]) == (None, pytest.approx(0.3))
    assert result.curves.particles_found == pytest.approx(measured.found.mean(axis=0))
    assert 10 < result.dose_50_area.low <= result.dose_50_area.value <= result.dose_50_area.high < 100
    assert result.dose_50_area.value < result.dose_converged < 1e3
    low, high = result.dose_converged_interval
    assert low <= result.dose_converged <= high
    # The 10 false pixels make half of the area a little sooner than half of the particle.
    assert result.dose_50_area.value < result.dose_50_true_positive.value
    assert result.dose_50_area_by_threshold["0.9"] == result.dose_50_area.value
    assert result.dose_50_area_by_threshold["0.5"] == result.dose_50_area.value
    assert result.dose_50_area_by_threshold["0.99"] is None
    for band in (result.curves.f1, result.curves.area_ratio):
        assert np.all(np.array(band.low) <= band.mean)
        assert np.all(np.array(band.mean) <= band.high)


def test_first_detection_is_where_particles_stand_out_from_empty_frames(measured):
    limit = summarise(measured, CONFIG, seed=1).first_detection
    counts = measured.counts()
    detected = (counts.predicted > counts.vacuum_predicted[0]).mean(axis=0)
    above, below = counts.doses[detected >= 0.5].min(), counts.doses[detected < 0.5].max()
    assert below < limit.value <= above


def test_results_pass_through_json(measured):
    result = summarise(measured, CONFIG, seed=1)
    text = json.dumps(result.model_dump(), allow_nan=False)
    assert NetworkResult.model_validate_json(text) == result
    assert summarise(measured, CONFIG, seed=1) == result
    assert summarise(measured, CONFIG, seed=2).dose_50_area.value == result.dose_50_area.value


def test_one_structure_says_noise_only(measured):
    alone = replace(measured, **{name: getattr(measured, name)[:1] for name in PER_STRUCTURE})
    limit = summarise(alone, CONFIG, seed=1).dose_50_area
    assert limit.noise_only
    assert limit.low < limit.value < limit.high


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"doses": {"count": 2}}, "doses.count"),
        ({"doses": {"low": -1}}, "doses.low"),
        ({"doses": {"low": 100, "high": 10}}, "exchange them"),
        ({"doses": {"high": 500}}, "high_dose must not exceed"),
        ({"structures": 1}, "structures"),
        ({"threshold": 1.5}, "threshold"),
        ({"treshold": 0.5}, "did you mean 'threshold'"),
    ],
)
def test_settings_out_of_range_are_refused(values, message):
    with pytest.raises(ConfigurationError, match=message):
        build(EvaluationConfig, values, where="test")


def test_every_setting_explains_itself():
    assert all(field.description for field in EvaluationConfig.model_fields.values())
