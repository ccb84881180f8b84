import numpy as np
import pytest
from scipy.stats import norm

from framedose.evaluation.measure import Measured, threshold_grid
from framedose.evaluation.summary import EvaluationConfig, summarise

CONFIG = EvaluationConfig(resamples=200)


def fake_measured(limit, final, false, seed):
    """What a network gives that finds half of a particle at ``limit`` e/Å2 and ``final`` of it at high dose."""
    rng = np.random.default_rng(seed)
    doses = CONFIG.doses.values()
    pixels = 128 * 128
    truth = np.repeat(rng.uniform(0.08, 0.35, (24, 1)) * pixels, doses.size, axis=1).astype(int)
    own = np.log10(limit) + rng.normal(0, 0.2, (24, 1))
    hits = (truth * final * norm.cdf((np.log10(doses) - own) / 0.25)).astype(int)
    spurious = (truth * rng.uniform(0.02, 0.06, truth.shape) * hits / truth).astype(int)
    fall = false * pixels * (10 / doses) ** 0.7
    objects = rng.poisson(0.2, (24, doses.size))
    return Measured(
        doses=doses,
        thresholds=threshold_grid(*(0.7, 0.99)),
        particle=two_bins(hits, truth),
        background=two_bins(spurious, pixels - truth),
        vacuum=two_bins(rng.poisson(fall, (12, doses.size)), pixels),
        support=two_bins(rng.poisson(2 * fall, (12, doses.size)), pixels),
        threshold=0.9,
        boundary=np.where(hits > 0, 0.2 * (1 + truth / (hits + 1)), np.nan),
        found=(hits > truth / 2).astype(int),
        particles=np.ones_like(truth),
        false=objects,
        vacuum_objects=objects[:12],
        support_objects=objects[12:],
    )


def two_bins(above, total):
    """A histogram with ``above`` pixels just above 0.9 and the others near 0."""
    grid = threshold_grid(0.7, 0.99)
    bins = np.zeros((*np.shape(above), grid.size + 1), dtype=np.int64)
    bins[..., np.searchsorted(grid, np.float32(0.9), side="right")] = above
    bins[..., 0] = total - above
    return bins


@pytest.fixture(scope="session")
def networks():
    """Results of two made-up networks, of the kind that the quick study gives."""
    return {
        "unet": summarise(fake_measured(45, 0.95, 0.004, seed=1), CONFIG, seed=1),
        "msdnet": summarise(fake_measured(25, 0.88, 0.03, seed=2), CONFIG, seed=1),
    }


@pytest.fixture(scope="session")
def frames():
    """One made-up structure: frames (D, y, x), their doses, the true mask and two networks' masks (D, y, x)."""
    rng = np.random.default_rng(3)
    doses = np.array([10.0, 31.6, 100.0, 1000.0])
    y, x = np.mgrid[:128, :128]
    mask = (y - 60) ** 2 + (x - 66) ** 2 < 34**2
    lattice = np.cos(2 * np.pi * (x + 0.4 * y) / 7.8) * np.cos(2 * np.pi * (x - 1.1 * y) / 8.5)
    expected = 1 + 0.25 * mask * lattice - 0.05 * mask
    images = np.stack([rng.poisson(dose * 0.3**2 * expected) for dose in doses]).astype(np.float32)
    shift = [np.roll(mask & ((x + y) % 23 < size), size - 20, axis=1) for size in (0, 6, 16, 23)]
    return images, doses, mask, {"unet": np.stack(shift), "msdnet": np.stack(shift[::-1])}
