import numpy as np
import pytest
import torch

from framedose.random import generator
from framedose.training import disturb
from framedose.training.config import Disturbances

NOISE = np.random.default_rng(0).normal(1.0, 0.5, (96, 80)).astype(np.float32)
LABEL = NOISE > 1


def both(image, label, settings, rng):
    return (part.numpy() for part in disturb.disturbed(torch.from_numpy(image), torch.from_numpy(label), settings, rng))


def disturbed(image, settings, rng):
    shown, label = both(image, LABEL, settings, rng)
    if not settings.dark_share:
        assert np.array_equal(label, LABEL)
    return shown


def power(image):
    return np.abs(np.fft.rfft2(image - image.mean())) ** 2


def test_nothing_asked_changes_nothing():
    assert np.array_equal(disturbed(NOISE, Disturbances(), generator(0, "d")), NOISE)


def test_background_is_as_strong_as_drawn():
    added = [disturbed(NOISE, Disturbances(background=0.7), generator(0, "d", i)) - NOISE for i in range(40)]
    strengths = np.array([surface.std() / NOISE.std() for surface in added])
    assert strengths.max() <= 0.7 + 1e-3
    assert strengths.max() > 0.6
    assert strengths.min() < 0.1


def test_a_background_is_a_slope_that_cannot_be_taken_for_a_particle():
    y, x = np.mgrid[-1:1:96j, -1:1:80j]
    plane = np.stack([np.ones_like(x), x, y, x * y], axis=-1).reshape(-1, 4)
    for index in range(20):
        added = disturbed(NOISE, Disturbances(background=0.7), generator(0, "d", index)) - NOISE
        left = np.linalg.lstsq(plane, added.ravel(), rcond=None)[1][0]
        assert left < 0.1 * added.size * added.var()


def test_coarse_pixels_lose_what_they_cannot_hold_and_keep_the_mean():
    settings = Disturbances(coarse_share=1.0, coarse={"low": 2.0, "high": 2.0})
    coarse = disturbed(NOISE, settings, generator(0, "d"))
    assert coarse.shape == NOISE.shape
    assert coarse.mean() == pytest.approx(NOISE.mean(), abs=5e-3)
    before, after = power(NOISE), power(coarse)
    assert after[32:64, 26:].mean() < 0.03 * before[32:64, 26:].mean()
    assert after[1:8, 1:8].mean() > 0.7 * before[1:8, 1:8].mean()


def test_share_of_coarse_images():
    settings = Disturbances(coarse_share=0.3)
    changed = [not np.array_equal(disturbed(NOISE, settings, generator(0, "d", i)), NOISE) for i in range(200)]
    assert np.mean(changed) == pytest.approx(0.3, abs=5 * np.sqrt(0.21 / 200))


def test_what_is_drawn_for_one_disturbance_does_not_depend_on_another():
    one, other = (Disturbances(background=0.7, dark_share=share) for share in (0, 0.5))
    shown = [[disturbed(NOISE, settings, generator(0, "d", i)) for settings in (one, other)] for i in range(40)]
    # The others have a dark part.
    assert 10 < sum(np.array_equal(*pair) for pair in shown) < 30


def test_nothing_is_particle_in_the_dark():
    lost = []
    for index in range(30):
        counts = np.random.default_rng(index).poisson(50, (320, 280)).astype(np.float32) / 50
        shown, label = both(counts, np.ones((320, 280), bool), Disturbances(dark_share=1), generator(0, "d", index))
        assert label.dtype == bool
        if label.all():
            continue
        lost.append(1 - label.mean())
        assert shown[~label].mean() < 0.2
        assert shown[label].mean() > 0.5
    assert len(lost) > 20
    assert 0.1 < np.mean(lost) < 0.6


@pytest.mark.parametrize("light", [0.03, 0.3, 0.8])
def test_counts_that_are_darkened_are_counts_of_a_lower_dose(light):
    rng = np.random.default_rng(3)
    counts = torch.from_numpy(rng.poisson(40, (400, 400)).astype(np.float32))
    noise = torch.from_numpy(rng.normal(size=(400, 400)).astype(np.float32))
    dark = disturb.darkened(counts, torch.full((400, 400), light), noise)
    assert float(dark.mean()) == pytest.approx(40 * light, rel=0.02)
    # Poisson: variance is mean. Counts that are only multiplied would have light times that.
    assert float(dark.var()) == pytest.approx(40 * light, rel=0.03)
