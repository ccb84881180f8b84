"""The draws against the Poisson distribution itself, at means where a normal approximation would be found out."""

import numpy as np
import pytest
from scipy.stats import chi2, norm, poisson

from framedose.camera.noise import Camera, detect
from framedose.camera.poisson import _distribution, _tables
from framedose.camera.poisson import poisson as draw

COUNT = 1_000_000
FIVE_SIGMA = norm.sf(5)


def chance(counts, mean):
    """Return the probability of a greater chi2 than that of counts of one mean; bins with few counts are joined."""
    counts = np.asarray(counts).astype(int).ravel()
    low, high = poisson.ppf([1e-5, 1 - 1e-5], mean).astype(int)
    edges = np.unique(np.linspace(low, high + 1, min(high - low + 2, 200)).astype(int))
    cumulative = np.concatenate([[0.0], poisson.cdf(edges - 1, mean), [1.0]])
    expected = np.diff(cumulative) * counts.size
    found = np.bincount(np.searchsorted(edges, counts, side="right"), minlength=expected.size)
    merged = expected > 5
    found, expected = (
        np.append(values[merged], values[~merged].sum()) if (~merged).any() else values for values in (found, expected)
    )
    valid = expected > 0
    statistic = ((found - expected)[valid] ** 2 / expected[valid]).sum()
    return chi2.sf(statistic, valid.sum() - 1)


# The rest alone, one digit of each place, all four places, either side of a carry, and beyond the tables.
MEANS = (0.01, 0.3, 1 - 1e-9, 1.0, 4.7, 20.0, 31.99, 32.0, 50.3, 999.4, 1024.0, 5600.7, 32767.9, 40000.0)


@pytest.mark.parametrize("mean", MEANS)
def test_counts_have_the_poisson_distribution(mean):
    counts = draw(np.full((1000, COUNT // 1000), mean), np.random.default_rng(1))
    assert counts.dtype == np.float32
    assert counts.shape == (1000, COUNT // 1000)
    assert chance(counts, mean) > FIVE_SIGMA


@pytest.mark.parametrize("mean", [20.0, 50.0])
def test_the_test_would_catch_a_normal_approximation(mean):
    rng = np.random.default_rng(2)
    normal = np.clip(np.rint(rng.normal(mean, np.sqrt(mean), COUNT)), 0, None)
    assert chance(normal, mean) < FIVE_SIGMA
    assert chance(rng.poisson(mean * 1.003, COUNT), mean) < FIVE_SIGMA
    assert chance(rng.poisson(mean, COUNT), mean) > FIVE_SIGMA


def test_every_table_is_its_poisson_distribution():
    """What an alias table draws can be summed up, entry by entry."""
    starts, bits, firsts, shares, others = _tables()
    for place in range(4):
        for digit in range(1, 32):
            table, mean = place * 32 + digit, digit * 32.0 ** (place - 1)
            size = 1 << bits[table]
            entries = slice(starts[table], starts[table] + size)
            own = shares[entries] / 2.0**64
            drawn = (own + np.bincount(others[entries], 1 - own, size)) / size
            expected = poisson.pmf(firsts[table] + np.arange(size), mean)
            assert np.abs(drawn - expected).max() < 1e-9 * expected.max()  # SciPy is no better
            first, probability = _distribution(mean)
            assert poisson.cdf(first - 1, mean) + poisson.sf(first + probability.size - 1, mean) < 1e-20


def test_each_pixel_has_its_own_mean_and_neighbours_are_independent():
    means = np.tile(np.geomspace(0.02, 20000, 64).astype(np.float32), (4000, 1))
    scores = (draw(means, np.random.default_rng(3)) - means) / np.sqrt(means)
    assert np.abs(scores.mean(axis=0)).max() < 5 / np.sqrt(4000)
    kurtosis = 2 + 1 / means[0].astype(float)
    assert (np.abs(scores.var(axis=0) - 1) < 5 * np.sqrt(kurtosis / 4000)).all()
    assert abs((scores[:, 1:] * scores[:, :-1]).mean()) < 5 / np.sqrt(scores.size)


def test_the_random_bits_are_those_of_numpys_sfc64():
    """One count of a mean below 1/32 takes one number, and is 0 unless that is in the last 1/32."""
    means, rng = np.full(2000, 1 / 33), np.random.default_rng(4)
    numbers = np.random.SFC64(np.random.default_rng(4).integers(2**32, size=8)).random_raw(2000)
    uniform = (numbers >> np.uint64(11)) * 2.0**-53
    assert np.array_equal(draw(means, rng) > 0, uniform >= np.exp(-1 / 33))


def test_the_same_generator_gives_the_same_counts():
    means = np.random.default_rng(0).uniform(0, 100, (50, 40))
    first, again, other = (draw(means, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    rng = np.random.default_rng(5)
    assert np.array_equal(draw(means.T, rng), draw(np.ascontiguousarray(means.T), np.random.default_rng(5)))
    assert not np.array_equal(draw(means, rng), first)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_means_that_are_none_are_refused(bad):
    with pytest.raises(ValueError, match="lam"):
        draw(np.array([1.0, bad]), np.random.default_rng(0))


@pytest.mark.parametrize("readout", [0.01, 0.4, 3.0])
def test_readout_has_the_poisson_distribution_in_every_frame(readout):
    cameras = [Camera(c0=0.4, c3=2.5, readout=readout), Camera(c0=0.4, c3=2.5, readout=readout / 2)]
    frames = detect(np.zeros((2, 500, 1000), np.float32), 1.0, cameras, np.random.default_rng(7))
    for frame, camera in zip(frames, cameras, strict=True):
        assert chance(np.rint(frame), camera.readout) > FIVE_SIGMA
    # The total varies too: it is no fixed number of counts.
    rng = np.random.default_rng(8)
    totals = [detect(np.zeros((30, 30), np.float32), 1.0, cameras[0], rng).sum() for _ in range(400)]
    assert np.var(totals) / (900 * readout) == pytest.approx(1, abs=5 * np.sqrt(2 / 400))
