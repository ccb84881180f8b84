import numpy as np
import pytest
from scipy.stats import norm

from framedose.evaluation.counts import SeriesCounts
from framedose.evaluation.summary import EvaluationConfig, summarise

CONFIG = EvaluationConfig(resamples=200)


def fake_counts(limit, final, false, seed):
    """Counts of a network that finds half of a particle at ``limit`` e/Å2 and ``final`` of it at high dose."""
    rng = np.random.default_rng(seed)
    doses = CONFIG.doses.values()
    pixels = 128 * 128
    truth = np.repeat(rng.uniform(0.08, 0.35, (24, 1)) * pixels, doses.size, axis=1).astype(int)
    own = np.log10(limit) + rng.normal(0, 0.2, (24, 1))
    hits = (truth * final * norm.cdf((np.log10(doses) - own) / 0.25)).astype(int)
    spurious = (truth * rng.uniform(0.02, 0.06, truth.shape) * hits / truth).astype(int)
    fall = false * pixels * (10 / doses) ** 0.7
    return SeriesCounts(
        doses=doses,
        true_positive=hits,
        predicted=hits + spurious,
        truth=truth,
        vacuum_predicted=rng.poisson(fall, (12, doses.size)),
        support_predicted=rng.poisson(2 * fall, (12, doses.size)),
        pixels=pixels,
    )


@pytest.fixture(scope="session")
def networks():
    """Results of two made-up networks, of the kind that the quick study gives."""
    return {
        "unet": summarise(fake_counts(45, 0.95, 0.004, seed=1), CONFIG, seed=1),
        "msdnet": summarise(fake_counts(25, 0.88, 0.03, seed=2), CONFIG, seed=1),
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
