import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter

from framedose.networks.preprocess import normalise


def images(seed=0, shape=(2, 60, 44)):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


@pytest.mark.parametrize("window", [None, 21])
def test_gain_and_offset_of_a_camera_do_not_matter(window):
    counts = images() * 40 + 900
    assert torch.allclose(normalise(counts, window), normalise(images(), window), atol=2e-3)


def test_whole_image_gets_zero_mean_and_unit_variance():
    result = normalise(images() * 7 + 3)
    assert result.shape == (2, 1, 60, 44)
    assert result.mean(dim=(-2, -1)).abs().max() < 1e-5
    assert (result.square().mean(dim=(-2, -1)) - 1).abs().max() < 1e-5


def test_window_against_scipy_away_from_the_edges():
    image = images(shape=(1, 60, 44)) * 3 + 10
    found = normalise(image, 11)[0, 0].numpy()
    pixels = image[0].numpy().astype(np.float64)
    mean = uniform_filter(pixels, 11)
    deviation = np.sqrt(uniform_filter(pixels**2, 11) - mean**2)
    inside = (slice(6, -6), slice(6, -6))
    assert found[inside] == pytest.approx(((pixels - mean) / deviation)[inside], abs=1e-3)


def test_a_window_takes_out_a_background_and_far_contrast():
    noise = images(shape=(1, 200, 200))
    ramp = torch.linspace(0, 8, 200)[None, None, :]
    far = torch.zeros(1, 200, 200)
    far[..., 150:] = 20 * torch.sin(torch.arange(50.0))
    plain = normalise(noise, 31)
    near = (..., slice(20, 180), slice(20, 120))
    assert (normalise(noise + ramp, 31) - plain)[near].abs().mean() < 0.1
    assert (normalise(noise + far, 31) - plain)[near].abs().max() < 1e-3
    # Over the whole image both change the input by more than its own size.
    assert (normalise(noise + ramp) - normalise(noise))[near].abs().mean() > 0.5


def test_a_flat_part_stays_flat_and_finite():
    image = images(shape=(1, 80, 80))
    image[..., :40] = 0.25
    result = normalise(image, 15)
    assert torch.isfinite(result).all()
    assert result[..., :30].abs().max() < 0.05
