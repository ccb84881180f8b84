import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framedose.microscope.conditions import Conditions
from framedose.microscope.optics import expected_intensity, fourier_resample, transfer_function
from framedose.units import wavelength

EXTENT = 20.0


def conditions(**changes):
    base = {"defocus": 60.0, "cs": 5e4, "focal_spread": 10.0, "blur": 0.0, "sampling": 0.1, "dose": 1e3}
    return Conditions(**{**base, **changes})


def abtem_ctf(q, energy, c):
    """abTEM's transfer function along x in double precision: the independent reference."""
    import abtem

    with abtem.config.set({"precision": "float64"}):
        ctf = abtem.CTF(energy=energy, defocus=c.defocus, Cs=c.cs, focal_spread=c.focal_spread, semiangle_cutoff=np.inf)
        return ctf._evaluate_from_angular_grid(q * wavelength(energy), np.zeros_like(q))


@settings(max_examples=25, deadline=None)
@given(st.floats(-200, 200), st.floats(0, 1.245e5), st.floats(5, 20), st.sampled_from([80e3, 200e3, 300e3]))
def test_transfer_function_is_abtems(defocus, cs, focal_spread, energy):
    c = conditions(defocus=defocus, cs=cs, focal_spread=focal_spread)
    q = np.linspace(0, 2.5, 400)
    ours = transfer_function(q**2, energy, c)
    assert np.abs(ours - abtem_ctf(q, energy, c)).max() < 1e-6


def test_weak_phase_object_vanishes_at_the_zeros_of_the_ctf():
    """A cosine phase grating at a zero of sin(chi) gives no contrast; between two zeros it gives 2 eps |sin(chi)|."""
    c = conditions(cs=0.0, focal_spread=0.0, defocus=200.0)
    length, eps = wavelength(300e3), 1e-3
    for chi_over_pi, expected in ((1.0, 0.0), (2.0, 0.0), (0.5, 2 * eps), (1.5, 2 * eps)):
        # chi = -pi lambda defocus q^2: choose the cell so that its 4th harmonic has this chi.
        q = np.sqrt(chi_over_pi / (length * c.defocus))
        extent = 4 / q
        x = np.arange(128) * extent / 128
        wave = np.broadcast_to(np.exp(1j * eps * np.cos(2 * np.pi * q * x)), (128, 128))
        image = expected_intensity(wave, extent, 128, 300e3, c)
        contrast = np.abs(np.fft.fft(image[0])[4]) * 2 / 128
        assert contrast == pytest.approx(expected, abs=5e-6)


def test_underfocus_shows_a_phase_object_dark():
    """Positive defocus is underfocus: an atom, which advances the phase, is dark there (and bright at overfocus)."""
    y, x = np.meshgrid(*[np.arange(128) * EXTENT / 128 - 10] * 2, indexing="ij")
    wave = np.exp(0.1j * np.exp(-(x**2 + y**2)))
    under = expected_intensity(wave, EXTENT, 128, 300e3, conditions(defocus=80, cs=0.0))
    over = expected_intensity(wave, EXTENT, 128, 300e3, conditions(defocus=-80, cs=0.0))
    assert under[64, 64] < 0.995 < 1.005 < over[64, 64]


def test_vacuum_is_exactly_one():
    image = expected_intensity(np.ones((64, 64), np.complex64), EXTENT, 180, 300e3, conditions(blur=0.4))
    assert np.abs(image - 1).max() < 1e-5
    assert image.dtype == np.float32


def random_wave(rng, n=64):
    phase = rng.normal(size=(n, n))
    q2 = np.add.outer(*[np.fft.fftfreq(n, EXTENT / n) ** 2] * 2)
    return np.fft.ifft2(np.fft.fft2(np.exp(0.3j * phase)) * (q2 < 1.4**2))


def test_mean_is_the_sum_of_the_spectrum_under_the_envelope():
    """The envelope removes electrons, blur and phase plate do not; nothing is renormalised."""
    wave = random_wave(np.random.default_rng(0))
    c = conditions(focal_spread=20.0, blur=0.5)
    q2 = np.add.outer(*[np.fft.fftfreq(64, EXTENT / 64) ** 2] * 2)
    envelope = np.exp(-((np.pi * wavelength(300e3) * c.focal_spread * q2 / 2) ** 2))
    expected = (np.abs(np.fft.fft2(wave) / 64**2) ** 2 * envelope**2).sum()
    image = expected_intensity(wave, EXTENT, 150, 300e3, c)
    assert image.mean() == pytest.approx(expected, rel=1e-10)
    assert image.mean() < (np.abs(wave) ** 2).mean() * 0.999


def test_blur_is_a_gaussian_of_the_stated_width():
    wave = random_wave(np.random.default_rng(1))
    sharp = expected_intensity(wave, EXTENT, 160, 300e3, conditions())
    soft = expected_intensity(wave, EXTENT, 160, 300e3, conditions(blur=0.35))
    ratio = np.abs(np.fft.fft2(soft)[3, 7] / np.fft.fft2(sharp)[3, 7])
    assert ratio == pytest.approx(np.exp(-2 * np.pi**2 * 0.35**2 * (3**2 + 7**2) / EXTENT**2))


@given(st.integers(20, 61), st.integers(62, 120), st.integers(-9, 9), st.integers(-9, 9))
@settings(max_examples=30, deadline=None)
def test_resampling_keeps_plane_waves(small, large, ky, kx):
    def plane(n):
        y, x = np.meshgrid(np.arange(n) / n, np.arange(n) / n, indexing="ij")
        return np.exp(2j * np.pi * (ky * y + kx * x))

    assert np.abs(fourier_resample(plane(small), large) - plane(large)).max() < 1e-9
    assert np.abs(fourier_resample(plane(large), small) - plane(small)).max() < 1e-9


def test_torch_gives_the_same_as_numpy():
    wave = random_wave(np.random.default_rng(2))
    c = conditions(blur=0.3)
    ours = expected_intensity(torch.from_numpy(wave), EXTENT, 96, 300e3, c)
    assert np.abs(ours.numpy() - expected_intensity(wave, EXTENT, 96, 300e3, c)).max() < 1e-10
