import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from framedose.camera.mtf import mtf, nyquist_frequencies
from framedose.inference.thon_rings import thon_defocus
from framedose.microscope.conditions import Conditions
from framedose.microscope.transfer import transfer_function

SAMPLING = 0.3


def carbon(defocus, energy=300e3, *, shape=(512, 540), seed=0):
    """Counts of a weak phase object with a white spectrum: the intensity of its wave behind the lens."""
    rng = np.random.default_rng(seed)
    lens = Conditions(defocus=defocus, cs=0, focal_spread=40, blur=0, sampling=SAMPLING, dose=2000)
    qy, qx = np.fft.fftfreq(shape[0], SAMPLING)[:, None], np.fft.fftfreq(shape[1], SAMPLING)
    wave = np.exp(0.1j * rng.normal(size=shape))
    image = np.abs(np.fft.ifft2(np.fft.fft2(wave) * transfer_function(qy, qx, energy, lens))) ** 2
    return rng.poisson(image * lens.dose * SAMPLING**2).astype(np.float32)


@pytest.mark.parametrize(
    ("defocus", "energy"),
    [
        (-3000, 300e3),
        (-900, 300e3),
        (500, 300e3),
        (1500, 300e3),
        (5000, 300e3),
        (-900, 80e3),
        (1500, 80e3),
        (2500, 200e3),
    ],
)
def test_the_defocus_of_a_weak_phase_object(defocus, energy):
    assert thon_defocus(carbon(defocus, energy), SAMPLING, energy) == pytest.approx(abs(defocus), rel=0.03, abs=25)


def test_only_wavelength_times_defocus_is_seen():
    image = carbon(2000, 300e3)
    assert thon_defocus(image, SAMPLING, 80e3) == pytest.approx(2000 * 0.019687 / 0.041757, rel=0.03)


def test_the_defocus_of_real_carbon(real_data):
    """Eight frames at "about -475 nm", says their source; its notebook takes 300 keV."""
    for path in sorted((real_data / "emilys_thonrings").glob("*.raw")):
        image = np.fromfile(path, "<u2").reshape(512, 512)
        assert thon_defocus(image, 1.35355, 300e3) == pytest.approx(4750, rel=0.02)


@pytest.mark.parametrize("defocus", [-250, -120, 0, 120, 250])
def test_near_focus_no_large_defocus_is_found(defocus):
    found = [thon_defocus(carbon(defocus, seed=seed), SAMPLING, 300e3) for seed in range(4)]
    assert all(value is None or value < 1.25 * 250 for value in found), found


def test_without_amorphous_matter_there_is_none():
    rows, columns = np.mgrid[:400, :400]
    for seed in range(5):
        rng = np.random.default_rng(seed)
        white = rng.normal(100, 10, (400, 400))
        turned = np.fft.irfft2(np.fft.rfft2(white - 100) * mtf(nyquist_frequencies((400, 400)), 0.3, 2.2), (400, 400))
        inside = np.hypot(rows - 180, columns - 220) < 90
        lattice = sum(
            np.cos(2 * np.pi * (rows * np.cos(a) + columns * np.sin(a)) * SAMPLING / 2.35) for a in (0.3, 1.5)
        )
        for image in (white, turned, gaussian_filter(white, 1), white + 0.1 * rows, turned + 20 * inside * lattice):
            assert thon_defocus(image, SAMPLING, 300e3) is None


def test_a_small_field_has_too_few_rings():
    assert thon_defocus(carbon(1500, shape=(120, 120)), SAMPLING, 300e3) is None


def test_strong_spots_do_not_hide_the_rings():
    image = carbon(1500, shape=(400, 400))
    rows, columns = np.mgrid[:400, :400]
    lattice = np.cos(2 * np.pi * rows * SAMPLING / 2.35) + np.cos(2 * np.pi * columns * SAMPLING / 2.04)
    inside = np.hypot(rows - 180, columns - 220) < 90
    assert thon_defocus(image + 3 * image.std() * inside * lattice, SAMPLING, 300e3) == pytest.approx(1500, rel=0.03)
