from types import SimpleNamespace

import pytest

from framedose.cli.plan import _line
from framedose.errors import ConfigurationError
from framedose.evaluation.limits import DoseLimit
from framedose.evaluation.plan import plan


class Result:
    """The limits that a plan looks at."""

    first_detection = DoseLimit(value=20.0, low=15.0, high=30.0, level=0.95, at_or_below=False)
    dose_50_true_positive = DoseLimit(value=50.0, low=40.0, high=None, level=0.95, at_or_below=False)
    dose_50_area = DoseLimit(value=45.0, low=40.0, high=60.0, level=0.95, at_or_below=False)
    dose_converged = None
    dose_converged_interval = (None, None)
    curves = SimpleNamespace(doses=[10.0, 100.0, 1000.0])


def test_exposure_rate_sum_and_budget_are_those_of_the_dose():
    result = plan("unet", Result, dose_rate=500.0, camera_rate=40.0, budget=1000.0)
    assert result.budget_seconds == 2
    detected, half, converged = result.needs
    assert detected.exposure == pytest.approx(0.04)
    assert detected.frame_rate == pytest.approx(25)
    assert detected.frames_to_sum == 2  # 1.6 of 12.5 e/Å2 each
    # Of 25 and, three camera frames, 37.5 e/Å2.
    assert detected.dose_of_sum == pytest.approx(25)
    assert (detected.frames_in_budget, detected.frames_in_budget_low) == (40, 26)
    # 50 e/Å2 are four frames exactly: not five, by rounding.
    assert half.frames_to_sum == 4
    assert (half.frames_in_budget, half.frames_in_budget_low) == (20, None)
    assert (converged.dose, converged.exposure, converged.frames_in_budget) == (None, None, None)


def test_a_curve_that_is_converged_from_the_first_dose_on_is_so_at_or_below_it():
    class Flat(Result):
        dose_converged = 10.0
        dose_converged_interval = (10.0, 10.0)

    *_, converged = plan("unet", Flat, dose_rate=500.0).needs
    assert converged.at_or_below
    assert "at or below 10 e/Å2" in _line(converged)


def test_without_camera_and_budget_nothing_is_said_of_them():
    need = plan("unet", Result, dose_rate=500.0).needs[0]
    assert (need.frames_to_sum, need.frames_in_budget) == (None, None)


def test_without_a_camera_a_frame_is_as_short_as_it_may_be():
    need = plan("unet", Result, dose_rate=500.0, budget=1000.0).needs[0]
    assert (need.frames_in_budget, need.frames_in_budget_low) == (50, 33)


def test_a_slow_camera_gives_a_whole_frame():
    need = plan("unet", Result, dose_rate=1000.0, camera_rate=10.0, budget=1000.0).needs[0]
    assert (need.frames_to_sum, need.dose_of_sum, need.frames_in_budget) == (1, 100, 10)


def test_of_one_structure_nothing_is_certain():
    class One(Result):
        first_detection = Result.first_detection.model_copy(update={"noise_only": True, "at_or_below": True})
        dose_50_area = Result.dose_50_area.model_copy(update={"noise_only": True})
        dose_converged = 100.0

    detected, half, converged = plan("unet", One, dose_rate=500.0, budget=1000.0).needs
    assert (detected.frames_in_budget, detected.frames_in_budget_low) == (50, None)
    assert (detected.noise_only, detected.at_or_below) == (True, True)
    assert (half.noise_only, half.at_or_below) == (False, False)
    assert converged.noise_only
    assert "at or below 20 e/Å2 (15 to 30 by the noise of one structure)" in _line(detected)
    assert "(one structure has no interval)" in _line(converged)
    assert "(none for certain)" in _line(converged)
    assert "50 e/Å2 (40 to beyond the tested doses)" in _line(half)


@pytest.mark.parametrize("values", [{"dose_rate": 0.0}, {"dose_rate": 5.0, "budget": float("nan")}])
def test_numbers_that_are_none_are_refused(values):
    with pytest.raises(ConfigurationError, match="must be positive"):
        plan("unet", Result, **values)
