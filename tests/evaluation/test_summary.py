import json

import numpy as np
import pytest

from framedose.config import build
from framedose.errors import ConfigurationError
from framedose.evaluation.counts import SeriesCounts
from framedose.evaluation.summary import EvaluationConfig, NetworkResult, summarise

CONFIG = EvaluationConfig()


@pytest.fixture
def counts():
    """Ten structures of 200 of 1000 pixels; the prediction grows with dose, and 10 pixels of it are false."""
    doses = CONFIG.doses.values()
    share = np.clip(np.log10(doses / 10) / 1.5, 0, 1)
    rng = np.random.default_rng(0)
    hits = np.round(200 * np.clip(share * rng.normal(1, 0.05, (10, 1)), 0, 1)).astype(int)
    vacuum = np.tile(np.linspace(60, 0, 13).astype(int), (4, 1))
    return SeriesCounts(
        doses=doses,
        true_positive=hits,
        predicted=hits + 10 * (hits > 0),
        truth=np.full((10, 13), 200),
        vacuum_predicted=vacuum,
        support_predicted=np.zeros((0, 13), dtype=int),
        pixels=1000,
    )


def test_dose_grid_holds_round_doses_exactly():
    doses = CONFIG.doses.values()
    assert doses.size == 13
    assert set(doses) >= {10.0, 100.0, 1e3, 1e4}


def test_results_are_those_of_the_counts(counts):
    result = summarise(counts, CONFIG, seed=1)
    high = counts.doses >= 1e3
    assert high.sum() == 5
    assert result.f1_high_dose == pytest.approx(counts.f1[:, high].mean())
    assert result.f1_all_particle == pytest.approx(2 * 200 / 1200)
    assert result.vacuum_false_area_max == pytest.approx(counts.vacuum_predicted[0, 4] / 1000)
    assert result.support_false_area_max is None
    assert result.curves.support_false_area is None
    assert result.curves.precision[0] is None
    assert result.curves.precision[-1] == pytest.approx(
        counts.true_positive[:, -1].sum() / counts.predicted[:, -1].sum()
    )
    assert result.curves.area_ratio.mean == pytest.approx(counts.area_ratio.mean(axis=0))
    assert 10 < result.dose_50_area.low <= result.dose_50_area.value <= result.dose_50_area.high < 100
    assert result.dose_50_area.value < result.dose_converged < 1e3
    for band in (result.curves.f1, result.curves.area_ratio):
        assert np.all(np.array(band.low) <= band.mean)
        assert np.all(np.array(band.mean) <= band.high)


def test_results_pass_through_json(counts):
    result = summarise(counts, CONFIG, seed=1)
    text = json.dumps(result.model_dump(), allow_nan=False)
    assert NetworkResult.model_validate_json(text) == result
    assert summarise(counts, CONFIG, seed=1) == result
    assert summarise(counts, CONFIG, seed=2).dose_50_area.value == result.dose_50_area.value


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
