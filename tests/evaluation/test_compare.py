"""Two made-up networks on the same structures, whose doses of half of the particle have a known ratio."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from framedose.errors import ConfigurationError
from framedose.evaluation.compare import compare, indices_at_false_area
from framedose.evaluation.measure import Measured, threshold_grid
from framedose.evaluation.summary import EvaluationConfig

# Steps of a tenth of a decade: half the dose is three of them, so that interpolation between doses cancels.
DOSES = np.geomspace(10, 1e4, 31)
HALF = 10**-0.3
GRID = threshold_grid(0.7, 0.99)
EDGES = np.log(GRID.astype(float) / (1 - GRID.astype(float)))
CONFIG = EvaluationConfig(resamples=300)
PIXELS, AREA, STRUCTURES = 4000, 800, 24


def histogram(logits, pixels, rng):
    """Numbers (..., B + 1) of pixels with normal logits about the given means (...), of width 2: drawn, or expected."""
    cumulative = 1 / (1 + np.exp(-1.7 * (EDGES - np.asarray(logits)[..., None]) / 2))
    if rng is None:
        return np.diff(np.rint(pixels * cumulative).astype(int), prepend=0, append=pixels, axis=-1)
    bins = np.diff(cumulative, prepend=0, append=1, axis=-1)
    return rng.multinomial(pixels, bins / bins.sum(axis=-1, keepdims=True))


def network(limit, null=-5.0, *, seed=0, structures=STRUCTURES):
    """A network whose mean logit on the particle passes that of 0.9 at ``limit`` e/Å2, and is ``null`` elsewhere."""
    rng, own = None if seed is None else np.random.default_rng(seed), np.random.default_rng(99)
    hard = own.normal(0, 0.3, (structures, 1))  # The same structures for every network.
    mean = np.log(9) + 4 * (np.log10(DOSES) - np.log10(limit) - hard)
    zeros = np.zeros((structures, DOSES.size), dtype=int)
    return Measured(
        doses=DOSES,
        thresholds=GRID,
        particle=histogram(mean, AREA, rng),
        background=histogram(np.full(mean.shape, null), PIXELS - AREA, rng),
        vacuum=histogram(np.full((12, DOSES.size), null), PIXELS, rng),
        support=histogram(np.full((6, DOSES.size), null), PIXELS, rng),
        threshold=0.9,
        boundary=np.zeros(mean.shape),
        found=zeros,
        particles=zeros + 1,
        false=zeros,
        vacuum_objects=zeros[:12],
        support_objects=zeros[:6],
    )


def test_the_ratio_of_known_limits_is_found():
    # Expected numbers: with drawn ones the threshold of equal false area, and so the ratio, is off by some percent.
    first, second = network(40, seed=None), network(40 / HALF, seed=None)
    result = compare(first, second, CONFIG, seed=0, names=("A", "B"))
    for setting in (result.equal_threshold, result.equal_false_area, result.equal_false_area_and_precision):
        for ratios in (setting.area_dose_ratio, setting.true_positive_dose_ratio):
            ratio = ratios["0.5"]
            assert ratio.low < HALF * 1.01
            assert ratio.high > HALF * 0.99
            assert ratio.value == pytest.approx(HALF, rel=0.01)
    assert result.verdict == "A needs less dose for half of the particle at equal false area."
    back = compare(second, first, CONFIG, seed=0, names=("B", "A"))
    assert back.verdict == result.verdict
    assert np.all(np.array(back.equal_threshold.f1_difference.mean) <= 0)


def test_series_without_bare_support():
    one, other = (
        replace(each, support=each.support[:0], support_objects=each.support_objects[:0])
        for each in (network(40), network(80, seed=1))
    )
    result = compare(one, other, CONFIG, seed=0, names=("A", "B"))
    assert result.equal_false_area.true_positive_dose_ratio["0.5"].value == pytest.approx(0.5, rel=0.2)


def test_the_order_does_not_decide_who_needs_less_dose():
    sees, never = network(50, seed=None), network(1e9, seed=None)
    forth, back = (compare(*pair, CONFIG, seed=0, names=("A", "B")) for pair in ((sees, never), (never, sees)))
    assert forth.verdict == "A needs less dose for half of the particle at equal false area."
    assert back.verdict == "B needs less dose for half of the particle at equal false area."
    assert back.equal_threshold.area_dose_ratio["0.5"].certainly == "more"
    neither = compare(never, never, CONFIG, seed=0, names=("A", "B"))
    assert neither.verdict.startswith("No difference")


def test_series_of_one_structure_has_a_ratio_and_no_interval():
    result = compare(network(40, structures=1), network(80, structures=1), CONFIG, seed=0)
    ratio = result.equal_threshold.area_dose_ratio["0.5"]
    assert ratio.value == pytest.approx(0.5, rel=0.1)
    assert ratio.low is ratio.high is None
    band = result.equal_threshold.f1_difference
    assert band.low == band.mean == band.high
    assert "No difference" in result.verdict


def test_pairing_takes_out_what_is_hard_for_both():
    result = compare(network(40, seed=1), network(40 / HALF, seed=2), CONFIG, seed=0)
    paired = result.equal_threshold.area_dose_ratio["0.5"]
    # Structures spread by a factor of 2 either way; unpaired, the ratio would be uncertain by 0.3 sqrt(2 / 24).
    assert np.log10(paired.high / paired.low) < 0.2 * 2 * 1.96 * 0.3 * np.sqrt(2 / 24)


def test_identical_networks_differ_by_nothing():
    result = compare(network(40, seed=1), network(40, seed=1), CONFIG, seed=0)
    ratio = result.equal_threshold.true_positive_dose_ratio["0.5"]
    assert (ratio.value, ratio.low, ratio.high) == (1, 1, 1)
    assert "No difference" in result.verdict


def test_equal_networks_with_other_noise_differ_by_nothing_within_the_interval():
    result = compare(network(40, seed=1), network(40, seed=2), CONFIG, seed=0)
    ratio = result.equal_false_area.true_positive_dose_ratio["0.5"]
    assert ratio.low <= 1 <= ratio.high


def test_a_network_that_sees_more_because_it_fires_everywhere_is_caught():
    # The same network with all logits raised by 3: half the area at less dose, and much of the vacuum.
    honest = network(300, seed=1)
    eager = network(300 / 10**0.75, null=-2.0, seed=1)
    result = compare(eager, honest, CONFIG, seed=0, names=("eager", "honest"))
    assert result.equal_threshold.area_dose_ratio["0.5"].high < 0.5
    assert result.false_area_first > 5 * result.false_area_second
    ratio = result.equal_false_area.true_positive_dose_ratio["0.5"]
    assert ratio.low < 1 < ratio.high
    assert ratio.value == pytest.approx(1, abs=0.2)
    assert result.verdict.startswith("eager shows half of the area at less dose at equal threshold, but not")


def test_intervals_at_equal_false_area_hold_the_ratio_as_often_as_they_say():
    config, held = CONFIG.model_copy(update={"resamples": 100, "level": 0.68}), 0
    for seed in range(40):
        pair = network(60, seed=10 + seed), network(60 / HALF, seed=100 + seed)
        ratio = compare(*pair, config, seed=seed).equal_false_area.true_positive_dose_ratio["0.5"]
        held += ratio.low <= HALF <= ratio.high
    # 68 % of 40, within three standard errors; thresholds are common to many structures, so more is no mistake.
    assert held >= 27.2 - 3 * np.sqrt(40 * 0.68 * 0.32)


def test_thresholds_at_equal_false_area_allow_no_more():
    measured = network(40, null=-2.0, seed=3)
    indices = indices_at_false_area(measured, 0.001)
    counts = measured.counts_at(indices)
    assert counts.vacuum_false_area.max() <= 0.001
    assert counts.support_false_area.max() <= 0.001
    lower = measured.counts_at(indices - 1)
    assert np.all((lower.vacuum_false_area > 0.001) | (lower.support_false_area > 0.001))
    # Normal tails of width 2 about -2 leave 0.1 % at a logit of about -2 + 2 ln(999) / 1.7.
    assert expit(-2 + 2 * np.log(999) / 1.7) == pytest.approx(float(np.median(GRID[indices])), abs=5e-3)


def test_where_no_threshold_is_honest_enough_nothing_may_be_called_particle():
    measured = network(40, seed=3)
    full = measured.vacuum.copy()
    full[...] = 0
    full[..., -1] = PIXELS
    result = compare(replace(measured, vacuum=full), measured, CONFIG, seed=0)
    assert result.equal_false_area.thresholds_first == [1] * DOSES.size
    assert result.equal_false_area.precision_first == [None] * DOSES.size
    assert result.equal_false_area.area_dose_ratio["0.5"].value is None


def test_what_is_false_beside_a_particle_costs_dose_at_equal_precision_only():
    clean = network(40, seed=1)
    # Beside particles, but not on empty frames, one pixel in seven is as bright as a particle at its limit.
    halo = clean.background + histogram(np.full(DOSES.size, np.log(9)), AREA // 3, None)
    result = compare(replace(clean, background=halo), clean, CONFIG, seed=0)
    blind, honest = result.equal_false_area, result.equal_false_area_and_precision
    assert blind.true_positive_dose_ratio["0.5"].value == 1
    assert min(blind.precision_first) < 0.8
    assert honest.true_positive_dose_ratio["0.5"].low > 1.2
    assert min(share for share in honest.precision_first if share is not None) >= 0.9
    # No stricter than that needs, and never milder than the false area does.
    tighter = np.array(honest.thresholds_first) > blind.thresholds_first
    assert np.all(tighter | np.equal(honest.thresholds_first, blind.thresholds_first))
    assert np.median(np.array(honest.precision_first, float)[tighter]) < 0.91
    # Of the other the precision was high enough.
    assert honest.thresholds_second == blind.thresholds_second


@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan")])
@pytest.mark.parametrize("name", ["false_area", "precision"])
def test_shares_that_are_none_are_refused(name, value):
    with pytest.raises(ConfigurationError, match=f"--{name.replace('_', '-')} must be at least 0 and below 1, got"):
        compare(network(40), network(40), CONFIG, seed=0, **{name: value})


def test_a_threshold_that_was_not_measured_is_refused():
    with pytest.raises(ConfigurationError, match=r"threshold 0\.83 was not measured"):
        compare(network(40), network(40), CONFIG.model_copy(update={"threshold": 0.83}), seed=0)


def test_different_series_are_refused():
    with pytest.raises(ConfigurationError, match="same frames"):
        compare(network(40), network(40, structures=20), CONFIG, seed=0)
