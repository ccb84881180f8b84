import numpy as np
import pytest
from scipy.special import expit

from framedose.area_interval import AreaInterval, area_interval, least_frames
from framedose.config import build
from framedose.errors import ConfigurationError, ImageError


def frames(count, rng, *, bias=0.0, noise=1.5):
    """Probabilities of a network that is off by ``bias`` and noise of its own in each frame, and the true masks."""
    y, x = np.mgrid[:48, :48]
    radius = rng.uniform(5, 18, (count, 1, 1))
    distance = radius - np.hypot(y - 24, x - 24)
    logits = distance + bias + rng.normal(0, noise, (count, 1, 1))
    return expit(logits).astype(np.float32), distance > 0


def coverage(interval, probability, masks):
    held = 0
    for frame, mask in zip(probability, masks, strict=True):
        low, high = interval.of(frame)
        held += low <= mask.mean() <= high
    return held / len(masks)


@pytest.mark.parametrize("level", [0.68, 0.9])
@pytest.mark.parametrize("bias", [0.0, 2.0])
def test_new_structures_are_held_as_often_as_it_says(level, bias):
    rng = np.random.default_rng(0)
    rates = []
    for _ in range(40):
        interval = area_interval(*frames(60, rng, bias=bias), level=level)
        rates.append(coverage(interval, *frames(50, rng, bias=bias)))
    error = np.std(rates) / np.sqrt(len(rates))
    assert level - 5 * error < np.mean(rates) < level + 1 / 61 + 0.02 + 5 * error


def test_an_interval_of_another_network_fails():
    rng = np.random.default_rng(1)
    interval = area_interval(*frames(60, rng), level=0.9)
    assert coverage(interval, *frames(200, rng, bias=4.0)) < 0.8


def test_the_frames_that_it_was_found_on_are_held():
    rng = np.random.default_rng(2)
    probability, masks = frames(99, rng)
    interval = area_interval(probability, masks, level=0.9)
    # 90 of 99 by construction, to the last frame: rounding must leave none out.
    assert coverage(interval, probability, masks) == pytest.approx(90 / 99)
    low, high = interval.of(probability[0])
    assert 0 <= low <= (probability[0] >= 0.5).mean() <= high <= 1


def test_a_perfect_network_has_an_interval_of_no_width():
    masks = frames(20, np.random.default_rng(3))[1]
    probability = np.where(masks, 0.99, 0.01).astype(np.float32)
    interval = area_interval(probability, masks)
    assert interval.upper == pytest.approx(0.5, abs=1e-6)
    assert interval.of(probability[4]) == (masks[4].mean(), masks[4].mean())


def test_a_network_that_is_surely_wrong_gets_the_whole_frame():
    masks = np.zeros((20, 8, 8), dtype=bool)
    interval = area_interval(np.ones((20, 8, 8), dtype=np.float32), masks)
    assert interval.upper == 1
    assert interval.of(np.full((8, 8), 0.5, dtype=np.float32)) == (0, 1)


def test_too_few_frames_for_a_level_are_refused():
    assert (least_frames(0.9), least_frames(0.95), least_frames(0.5)) == (9, 19, 1)
    probability, masks = frames(8, np.random.default_rng(4))
    with pytest.raises(ImageError, match="90% needs at least 9 frames, got 8"):
        area_interval(probability, masks)
    with pytest.raises(ConfigurationError, match="needs at least 19 frames"):
        build(AreaInterval, {"level": 0.95, "upper": 0.8, "frames": 10}, where="test")
