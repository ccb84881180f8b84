import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from framedose.camera.mtf import mtf, nyquist_frequencies
from framedose.camera.noise_fall import noise_fall


def coloured(c0, c3, seed, shape=(256, 256)):
    """White noise times the MTF of Eq. 1."""
    white = np.random.default_rng(seed).normal(size=shape)
    return np.fft.irfft2(np.fft.rfft2(white) * mtf(nyquist_frequencies(shape), c0, c3), shape)


def test_white_noise_does_not_fall():
    falls = [noise_fall(np.random.default_rng(seed).normal(7, 3, (200, 300))) for seed in range(8)]
    assert np.mean(falls) == pytest.approx(0, abs=0.02)
    assert np.std(falls) < 0.05


@pytest.mark.parametrize(("c0", "c3"), [(0.3, 2.2), (0.6, 3.0), (1.2, 4.0)])
def test_an_mtf_makes_it_fall_as_its_square_does(c0, c3):
    q = nyquist_frequencies((512, 512))
    power = np.log(mtf(q, c0, c3) ** 2)
    expected = power[(q >= 0.75) & (q < 1)].mean() - power[(q >= 0.5) & (q < 0.75)].mean()
    falls = [noise_fall(1000 + coloured(c0, c3, seed)) for seed in range(6)]
    assert np.mean(falls) == pytest.approx(expected, abs=0.03)


def test_smoothing_shows_and_gain_gradient_and_fringes_do_not():
    noise = np.random.default_rng(0).normal(size=(256, 256))
    plain = noise_fall(noise)
    rows, columns = np.mgrid[:256, :256]
    fringes = 5 * np.sin(2 * np.pi * (columns + 0.3 * rows) / 7)
    assert noise_fall(30 * noise + 4000 + 2 * rows) == pytest.approx(plain, abs=0.02)
    assert noise_fall(noise + fringes) == pytest.approx(plain, abs=0.05)
    assert noise_fall(gaussian_filter(noise, 0.6)) < plain - 0.5


def test_what_has_no_noise_has_no_fall():
    assert noise_fall(np.random.default_rng(0).normal(size=(63, 300))) is None
    assert noise_fall(np.ones((80, 80))) is None
