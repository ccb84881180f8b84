"""Noise against Eq. 3 at low dose. Every tolerance is five standard errors of the estimate, so a wrong model fails."""

import numpy as np
import pytest

from framedose.camera.mtf import mtf, nyquist_frequencies
from framedose.camera.noise import Camera, CameraRanges, detect, sum_pixels
from framedose.random import generator

SIZE, FRAMES = 128, 160
VACUUM = np.ones((SIZE, SIZE), np.float32)
SAMPLING = 0.075


def frames(dose, camera, name="noise"):
    electrons = dose * SAMPLING**2
    return np.stack([detect(VACUUM, electrons, camera, generator(0, name, i)) for i in range(FRAMES)]), electrons


def measured_spectrum(stack):
    """Mean periodogram of the fluctuations, electrons squared per pixel; zero frequency left out."""
    spectra = np.abs(np.fft.rfft2(stack - stack.mean(axis=(1, 2), keepdims=True))) ** 2 / SIZE**2
    return spectra.mean(axis=0)


def rings(spectrum):
    """Average over rings of 1/16 Nyquist up to Nyquist; return means and their standard errors."""
    q = nyquist_frequencies((SIZE, SIZE))
    # Columns with a mirror image in the left half plane count twice in the plane but carry one independent value.
    index = np.minimum((q * 16).astype(int), 16)
    index[0, 0] = 16
    return [spectrum[index == ring] for ring in range(16)], [q[index == ring] for ring in range(16)]


@pytest.mark.parametrize("readout_noise", ["poisson", "gaussian"])
@pytest.mark.parametrize("dose", [10.0, 100.0, 1000.0])
def test_vacuum_has_the_mean_and_spectrum_of_equation_3(dose, readout_noise):
    camera = Camera(c0=0.4, c3=2.5, readout=0.01, readout_noise=readout_noise)
    stack, electrons = frames(dose, camera)
    mean = electrons + (0.01 if readout_noise == "poisson" else 0.0)
    pixels = stack.size
    assert abs(stack.mean() - mean) < 5 * np.sqrt((electrons + 0.01) / pixels)
    values, frequencies = rings(measured_spectrum(stack))
    for value, q in zip(values, frequencies, strict=True):
        expected = (electrons * mtf(q, 0.4, 2.5) ** 2 + 0.01).mean()
        # A periodogram value has a relative standard deviation of 1, and each is averaged over the frames.
        error = expected / np.sqrt(len(q) * FRAMES / 2)
        assert abs(value.mean() - expected) < 5 * error


@pytest.mark.parametrize(
    "wrong",
    [
        lambda q, n: n + 0 * q + 0.01,  # filters the expectation: white noise
        lambda q, n: n * mtf(q, 0.4, 2.5) ** 2,  # forgets readout
        lambda q, n: n * mtf(q, 0.4, 2.5) + 0.01,  # root of the MTF
        lambda q, n: n * mtf(q, 0.4, 2.5) ** 4 + 0.01,  # square of the MTF
        lambda q, n: n * (0.08 / 0.075) ** 2 * mtf(q, 0.4, 2.5) ** 2 + 0.01,  # another pixel size
    ],
)
def test_the_spectrum_test_would_catch_a_wrong_model(wrong):
    stack, electrons = frames(10.0, Camera(c0=0.4, c3=2.5, readout=0.01))
    values, frequencies = rings(measured_spectrum(stack))
    deviations = []
    for value, q in zip(values, frequencies, strict=True):
        expected = wrong(q, electrons).mean()
        deviations.append(abs(value.mean() - expected) / (expected / np.sqrt(len(q) * FRAMES / 2)))
    assert max(deviations) > 5


def test_camera_conserves_electrons_of_an_image():
    rng = np.random.default_rng(0)
    intensity = (1 + 0.5 * rng.random((SIZE, SIZE))).astype(np.float32)
    camera = Camera(c0=0.3, c3=2.0, readout=0.0)
    stack = np.stack([detect(intensity, 2.0, camera, generator(1, "c", i)) for i in range(100)])
    assert abs(stack.mean() - 2 * intensity.mean()) < 5 * np.sqrt(2 * intensity.mean() / stack.size)
    # The signal goes through the MTF as the noise does; what is left of the mean frame is its share of the noise.
    q = np.fft.fftfreq(SIZE)
    transfer = mtf(2 * np.hypot(q[:, None], q[None, :]), 0.3, 2.0)
    expected = np.fft.ifft2(np.fft.fft2(2.0 * intensity) * transfer).real
    left = ((stack.mean(axis=0) - expected) ** 2).mean()
    assert left == pytest.approx(2 * intensity.mean() * (transfer**2).mean() / 100, rel=0.15)


def test_frames_are_real_numbers_that_may_be_negative():
    frame = detect(VACUUM, 0.05, Camera(c0=0.4, c3=4.0, readout=0.01), generator(0, "n", 0))
    assert frame.dtype == np.float32
    assert frame.min() < -1e-3
    assert not np.allclose(frame, frame.round(), atol=1e-3)


def test_summed_pixels_keep_the_total_and_have_the_aliased_spectrum():
    """Summing b x b pixels multiplies by the Dirichlet kernel and folds the frequencies."""
    camera = Camera(c0=0.4, c3=2.5, readout=0.01)
    stack, electrons = frames(100.0, camera, "sum")
    binned = np.stack([sum_pixels(frame, 4) for frame in stack])
    assert binned.sum(dtype=np.float64) == pytest.approx(stack.sum(dtype=np.float64), rel=1e-6)
    q = np.fft.fftfreq(SIZE)
    full = electrons * mtf(2 * np.hypot(q[:, None], q[None, :]), 0.4, 2.5) ** 2 + 0.01
    kernel = np.abs(np.exp(-2j * np.pi * np.outer(q, np.arange(4))).sum(axis=1)) ** 2
    weighted = full * kernel[:, None] * kernel[None, :]
    n = SIZE // 4
    expected = weighted.reshape(4, n, 4, n).sum(axis=(0, 2)) / 4**2
    spectra = np.abs(np.fft.fft2(binned - binned.mean(axis=(1, 2), keepdims=True))) ** 2 / n**2
    ratio = (spectra.mean(axis=0) / expected).ravel()[1:]
    assert abs(ratio.mean() - 1) < 5 / np.sqrt(FRAMES * (n * n - 1) / 2)
    assert np.abs(ratio - 1).max() < 6 / np.sqrt(FRAMES / 2)


def test_cameras_are_drawn_within_their_ranges():
    ranges = CameraRanges()
    drawn = [ranges.draw(generator(0, "draw", index)) for index in range(50)]
    for name in ("c0", "c3", "readout"):
        values, limits = [getattr(camera, name) for camera in drawn], getattr(ranges, name)
        assert limits.low <= min(values) < max(values) <= limits.high
        assert max(values) - min(values) > 0.8 * (limits.high - limits.low)


def test_mtf_limits():
    q = np.linspace(0, 1.4, 50)
    assert mtf(q, 0.3, 2.2, 0.1)[0] == 1
    assert mtf(np.array(1e6), 0.3, 2.2, 0.1) == pytest.approx(0.1, abs=1e-6)
    assert (np.diff(mtf(q, 0.3, 2.2)) < 0).all()
    assert nyquist_frequencies((8, 8)).max() == pytest.approx(np.sqrt(2))
