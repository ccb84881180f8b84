"""Spectra against known ones; tolerances are five standard errors."""

import numpy as np
import pytest

from framedose.camera.leakage import ring_matrix, ring_nodes
from framedose.camera.mtf import mtf
from framedose.camera.noise import Camera, detect
from framedose.camera.paper_fit import fit_floors, fit_frame
from framedose.camera.spectrum import measure_spectrum, ring_frequencies, tile_size
from framedose.errors import ImageError
from framedose.random import generator

CAMERA = Camera(c0=0.28, c3=2.2, readout=0.01)


def vacuum(electrons, index=0, size=512, camera=CAMERA):
    """A crop out of a larger field: nothing in it is periodic."""
    field = np.ones((size + 128, size + 128), np.float32)
    return detect(field, electrons, camera, generator(3, "vacuum", index))[64:-64, 64:-64]


def power_of(electrons, nodes):
    return electrons * mtf(nodes, CAMERA.c0, CAMERA.c3) ** 2 + CAMERA.readout


def deviations(electrons, expected, frames=12):
    """Deviation of ring averages, in bands of ten rings, over their standard error from the tiles."""
    spectra = [measure_spectrum(vacuum(electrons, i)) for i in range(frames)]
    difference = np.mean([s.power for s in spectra], axis=0) - expected
    covariance = np.mean([s.covariance[:-1, :-1] for s in spectra], axis=0) / frames
    bands = np.kron(np.eye(6), np.ones(10))
    difference, covariance = difference[:60], covariance[:60, :60]
    return (bands @ difference) / np.sqrt(np.diag(bands @ covariance @ bands.T))


@pytest.mark.parametrize("electrons", [0.06, 0.6, 6.0])
def test_a_cropped_frame_has_the_windowed_spectrum_of_equation_3(electrons):
    expected = ring_matrix(128) @ power_of(electrons, ring_nodes(128))
    assert np.abs(deviations(electrons, expected)).max() < 5


@pytest.mark.parametrize(
    "wrong",
    [
        lambda q, n: n * mtf(q, 0.28, 2.2) ** 2,  # readout forgotten
        lambda q, n: n * mtf(q, 0.28, 2.2) + 0.01,  # root of the MTF
        lambda q, n: (n * mtf(q, 0.28, 2.2) + 0.01) ** 2,  # amplitude for power
        lambda q, n: 1.03 * power_of(n, q),  # window not normalised
    ],
)
def test_a_wrong_spectrum_is_noticed(wrong):
    expected = ring_matrix(128) @ wrong(ring_nodes(128), 0.6)
    assert np.abs(deviations(0.6, expected)).max() > 5


def test_leakage_of_white_noise_is_none_and_of_a_peak_is_by_brute_force():
    assert ring_matrix(64) @ np.ones(len(ring_nodes(64))) == pytest.approx(1)
    # White noise filtered in a large periodic field, windowed without a gradient's removal: any radial power will do.
    rng, power = np.random.default_rng(0), lambda q: 1 / (1 + (q / 0.05) ** 2)
    q = np.hypot(2 * np.fft.fftfreq(512)[:, None], 2 * np.fft.rfftfreq(512)[None, :])
    total = []
    for _ in range(12):
        noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(512, 512))) * np.sqrt(power(q)))
        total.append(measure_spectrum(noise[:256, :256]).power)
    expected = ring_matrix(64) @ power(ring_nodes(64))
    ratio = np.mean(total, axis=0) / expected
    naive = np.mean(total, axis=0) / power(ring_frequencies(64))
    assert abs(ratio[:4].mean() - 1) < 0.05
    assert abs(naive[8:].mean() - 1) > abs(ratio[8:].mean() - 1)


def test_a_gradient_does_not_reach_the_rings():
    image = vacuum(2.0)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    tilted = image + 0.004 * y - 0.007 * x
    assert measure_spectrum(tilted).power == pytest.approx(measure_spectrum(image).power, rel=2e-3)


def test_lines_are_left_out():
    image = vacuum(2.0)
    clean = measure_spectrum(image)
    x = np.arange(image.shape[1])
    fringes = image + 0.3 * np.sin(2 * np.pi * 0.17 * x)[None, :]
    spectrum = measure_spectrum(fringes)
    assert not clean.lines.any()
    assert spectrum.lines.any()
    assert spectrum.power == pytest.approx(clean.power, rel=0.1)
    unmasked = clean.power[np.argmin(abs(clean.frequency - 0.34))] + 0.3**2 / 4 * 128
    assert spectrum.power.max() < unmasked


def test_the_scatter_between_tiles_is_that_between_frames_even_for_sparse_counts():
    """Readout counts at 0.01 a pixel make all rings vary together, five times more than Gaussian noise would."""
    spectra = [measure_spectrum(vacuum(0.06, i, size=256)) for i in range(60)]
    high = np.array([s.power[s.frequency > 0.6].mean() for s in spectra])
    chosen = np.append(spectra[0].frequency > 0.6, False) / (spectra[0].frequency > 0.6).sum()
    told = np.sqrt(np.mean([chosen @ s.covariance @ chosen for s in spectra]))
    modes = spectra[0].modes[spectra[0].frequency > 0.6].sum()
    assert told == pytest.approx(high.std(), rel=5 / np.sqrt(2 * 60))
    assert told > 3 * high.mean() / np.sqrt(modes)


def test_tiles_with_bad_pixels_are_left_out():
    image = vacuum(2.0)
    broken, bad = image.copy(), np.zeros(image.shape, bool)
    broken[100], bad[100] = 50.0, True
    assert measure_spectrum(broken, bad=bad).power == pytest.approx(measure_spectrum(image).power, rel=0.15)
    with pytest.raises(ImageError, match="bad pixels leave"):
        measure_spectrum(image, bad=np.ones(image.shape, bool))


def test_small_regions():
    assert tile_size((4096, 4096)) == 128
    assert tile_size((64, 500)) == 32
    with pytest.raises(ImageError, match="too small"):
        tile_size((63, 500))


@pytest.mark.parametrize(("dose", "c0", "c3", "floor"), [(10, 0.227, 2.67, 0.38), (1300, 0.277, 2.23, 0.013)])
def test_a_constant_camera_drifts_in_fits_of_single_frames(dose, c0, c3, floor):
    """c0 0.28, c3 2.2, N_0 0.01 at 0.075 Å/px without any noise; the figures are those of an independent fit."""
    q = np.linspace(1 / 64, 1, 64)
    fit = fit_frame(q, power_of(dose * 0.075**2, q))
    assert fit.c0 == pytest.approx(c0, abs=0.002)
    assert fit.c3 == pytest.approx(c3, abs=0.03)
    assert fit.floor == pytest.approx(floor, abs=0.005)
    assert fit.good


def test_equation_2_from_floors():
    n = np.geomspace(0.05, 7, 20)
    fit = fit_floors(n, np.sqrt(0.012 / (0.012 + n)))
    assert fit.readout == pytest.approx(0.012, rel=1e-6)
    assert fit.r2 == pytest.approx(1)
