"""Synthetic series with known limits.

Structure s has its own limit, log10 d_s ~ Normal(log10 50, SPREAD), and the area ratio
Phi((log10 d - log10 d_s) / WIDTH) plus noise of each frame. The expected mean over structures is
Phi((log10 d - log10 50) / sqrt(WIDTH^2 + SPREAD^2)), so it is 0.5 at 50 e/Å2 exactly.
"""

import numpy as np
import pytest
from scipy.stats import norm

from framedose.evaluation.limits import (
    crossing,
    dose_50_area,
    dose_converged,
    finite,
    isotonic,
    percentile_interval,
    resampled_means,
)
from framedose.random import generator

DOSES = np.geomspace(10, 1e4, 13)
LIMIT, WIDTH, SPREAD = 50.0, 0.25, 0.3


def synthetic_ratios(rng, structures=24):
    own = rng.normal(np.log10(LIMIT), SPREAD, size=(structures, 1))
    clean = norm.cdf((np.log10(DOSES) - own) / WIDTH)
    return clean + rng.normal(0, 0.05, size=clean.shape)


def expected_ratio():
    return norm.cdf((np.log10(DOSES) - np.log10(LIMIT)) / np.hypot(WIDTH, SPREAD))


def test_limit_of_the_expected_curve_is_the_true_one():
    # Linear interpolation of the curve between doses a factor 1.78 apart costs 1 %.
    assert crossing(DOSES, expected_ratio()) == pytest.approx(LIMIT, rel=0.01)


def test_limit_of_many_structures_is_the_true_one():
    ratios = synthetic_ratios(np.random.default_rng(0), structures=4000)
    result = dose_50_area(DOSES, ratios, resamples=200, rng=generator(0))
    # Five standard errors: log10 of the limit varies by hypot(SPREAD, noise over the slope) over sqrt(structures).
    assert abs(np.log10(result.value / LIMIT)) < 5 * 0.32 / np.sqrt(4000)
    assert result.low < result.value < result.high
    assert not result.at_or_below


def coverage(shrink, series=200, level=0.95):
    """Return the share of series whose interval, its log width times ``shrink``, holds the limit."""
    target = np.log10(crossing(DOSES, expected_ratio()))
    hits = 0
    for index in range(series):
        ratios = synthetic_ratios(generator(1, "series", index))
        limit = dose_50_area(DOSES, ratios, level=level, resamples=400, rng=generator(1, "bootstrap", index))
        value, low, high = np.log10([limit.value, limit.low, limit.high])
        hits += value + shrink * (low - value) <= target <= value + shrink * (high - value)
    return hits / series


def test_interval_covers_the_limit_as_often_as_it_says():
    error = 3 * np.sqrt(0.95 * 0.05 / 200)
    assert abs(coverage(1) - 0.95) < error
    # The test can tell: intervals of half the width and of twice the width fail it.
    assert coverage(0.5) < 0.95 - error
    assert coverage(2, level=0.68) > 0.68 + 3 * np.sqrt(0.68 * 0.32 / 200)


def test_interval_at_another_level_covers_accordingly():
    assert abs(coverage(1, level=0.68) - 0.68) < 3 * np.sqrt(0.68 * 0.32 / 200)


def test_fit_is_monotone_and_nearest():
    rng = np.random.default_rng(2)
    ratio = np.linspace(0, 1, 30) + rng.normal(0, 0.2, 30)
    fit = isotonic(ratio)
    assert np.all(np.diff(fit) >= 0)
    assert fit.mean() == pytest.approx(ratio.mean())
    for other in (np.sort(ratio), np.maximum.accumulate(ratio), np.minimum.accumulate(ratio[::-1])[::-1]):
        assert np.sum((fit - ratio) ** 2) <= np.sum((other - ratio) ** 2)
    np.testing.assert_array_equal(isotonic(np.sort(ratio)), np.sort(ratio))


def test_a_single_early_outlier_is_not_a_crossing():
    assert crossing([10, 20, 40, 80], [0.0, 0.55, 0.1, 0.9]) > 40


def test_never_crossing_is_no_limit():
    result = dose_50_area(DOSES, np.full((5, 13), 0.3), rng=generator(0))
    assert (result.value, result.low, result.high, result.at_or_below) == (None, None, None, False)


def test_sometimes_crossing_leaves_the_upper_end_open():
    ratios = 0.9 * synthetic_ratios(np.random.default_rng(3))
    ratios[:10] = 0
    result = dose_50_area(DOSES, ratios, rng=generator(0))
    assert result.low is not None
    assert result.high is None


def test_crossed_before_the_least_dose_is_flagged():
    result = dose_50_area(DOSES, np.full((5, 13), 0.8), rng=generator(0))
    assert (result.value, result.low, result.high, result.at_or_below) == (10, 10, 10, True)


def test_an_area_that_falls_with_dose_is_pooled_and_flagged():
    falling = np.tile(np.linspace(3, 1, 13), (5, 1))
    np.testing.assert_allclose(isotonic(falling[0]), 2)
    assert dose_50_area(DOSES, falling, rng=generator(0)).at_or_below


def test_order_of_structures_does_not_matter():
    ratios = synthetic_ratios(np.random.default_rng(4))
    one = dose_50_area(DOSES, ratios, resamples=4000, rng=generator(0))
    two = dose_50_area(DOSES, ratios[::-1], resamples=4000, rng=generator(0))
    assert one.value == pytest.approx(two.value, rel=1e-12)
    # The resamples differ, so the ends agree within the error of 4000 resamples.
    assert [one.low, one.high] == pytest.approx([two.low, two.high], rel=0.03)


def test_same_seed_same_interval():
    ratios = synthetic_ratios(np.random.default_rng(5))
    assert dose_50_area(DOSES, ratios, rng=generator(7)) == dose_50_area(DOSES, ratios, rng=generator(7))


def test_resamples_keep_doses_together():
    # Structures that are constant over dose stay so in every resample; drawing doses apart would mix them.
    values = np.repeat(np.arange(6.0)[:, np.newaxis], 4, axis=1)
    means = resampled_means(values, resamples=500, rng=generator(0))
    np.testing.assert_allclose(means, means[:, :1] * np.ones(4))
    # Variance of a mean of 6 draws from 0..5 is (35 / 12) / 6.
    assert means[:, 0].var() == pytest.approx(35 / 72, rel=5 * np.sqrt(2 / 500))


def test_interval_takes_infinite_samples():
    samples = np.r_[np.arange(960.0), np.full(40, np.inf)]
    low, high = percentile_interval(samples, level=0.95, structures=10**6)
    assert low in (24, 25)
    assert finite(high) is None


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        ([0, 0.5, 0.9, 1, 1, 1], 10**2.5),  # the band begins at 0.95, half way from 0.9 to 1 in log dose
        ([2, 1.5, 1.1, 1, 1, 1], 10**2.5),  # the same from above
        ([0, 1, 0.5, 1, 1, 1], 10**2.9),  # a dip after the first arrival
        ([1, 1, 1, 1, 1, 1], 10),  # never outside
        ([0, 0.1, 0.2, 0.5, 0.7, 1], None),  # still rising
        ([0, 0, 0, 0, 0, 0], None),  # nothing predicted
        ([0, 0, 0, 1, 0.9, 0.95], None),  # only the last dose inside
    ],
)
def test_convergence(ratio, expected):
    doses = 10.0 ** np.array([1, 1.5, 2, 3, 3.5, 4])
    result = dose_converged(doses, ratio, plateau_from=1e3)
    assert result == (None if expected is None else pytest.approx(expected))
