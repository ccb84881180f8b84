"""The same noise from torch: a batch of cameras and doses against Eq. 3, within five standard errors."""

import numpy as np
import pytest
import torch

from framedose.camera.mtf import mtf, nyquist_frequencies
from framedose.camera.noise import Camera, detect, sum_pixels

SIZE, FRAMES = 128, 160
ELECTRONS = (0.05, 0.5, 6.0)
CAMERAS = [
    Camera(c0=0.4, c3=2.5, readout=0.01),
    Camera(c0=0.3, c3=3.0, readout=0.05),
    Camera(c0=0.6, c3=2.0, readout=0.02),
]


def vacuum_frames(kind):
    """Frames (camera, frame, y, x) of vacuum, one camera and one dose to each item of a batch."""
    cameras = [camera.model_copy(update={"readout_noise": kind}) for camera in CAMERAS]
    electrons = torch.tensor(ELECTRONS).reshape(3, 1, 1, 1)
    return detect(torch.ones(3, FRAMES, SIZE, SIZE), electrons, cameras, torch.Generator().manual_seed(3))


def deviations(frames, model):
    """Deviation of the noise spectrum from a model in rings of 1/16 Nyquist, in standard errors over the frames."""
    spectra = np.abs(np.fft.rfft2(frames - frames.mean(axis=(1, 2), keepdims=True))) ** 2 / SIZE**2
    q = nyquist_frequencies((SIZE, SIZE))
    ring = (q * 16).astype(int)
    ring[0, 0] = 16
    result = []
    for i in range(16):
        values = spectra[:, ring == i].mean(axis=1)
        result.append((values.mean() - model(q[ring == i]).mean()) / (values.std() / np.sqrt(FRAMES)))
    return np.abs(result)


def test_the_curves_of_a_batch_are_those_of_each_camera():
    frames = torch.full((3, 2, 48, 40), 1e9)
    frames[..., 20, 20] = 2e9
    quiet = [camera.model_copy(update={"readout": 0.0, "floor": 0.1 * i}) for i, camera in enumerate(CAMERAS)]
    # So many electrons that their noise is less than the rounding.
    seen = detect(frames, 1e6, quiet, torch.Generator().manual_seed(0))
    for image, camera in zip(seen[:, 0].numpy(), quiet, strict=True):
        spread = np.fft.rfft2(image - image.mean()) / 1e15
        expected = camera.mtf(nyquist_frequencies((48, 40))) * np.fft.rfft2(frames[0, 0].numpy() - 1e9) / 1e9
        np.testing.assert_allclose(np.abs(spread).ravel()[1:], np.abs(expected).ravel()[1:], atol=1e-3)


@pytest.mark.parametrize("kind", ["poisson", "gaussian"])
def test_vacuum_has_the_mean_variance_and_spectrum_of_equation_3(kind):
    frames = vacuum_frames(kind)
    assert frames.dtype == torch.float32
    for frame, n, camera in zip(frames.numpy(), ELECTRONS, CAMERAS, strict=True):
        mean = n + (camera.readout if kind == "poisson" else 0.0)
        assert abs(frame.mean() - mean) < 5 * np.sqrt((n + camera.readout) / frame.size)
        q = np.fft.fftfreq(SIZE)
        transfer = mtf(2 * np.hypot(q[:, None], q[None, :]), camera.c0, camera.c3)
        variances = frame.reshape(FRAMES, -1).var(axis=1)
        expected = (n * transfer**2 + camera.readout).mean() - (n + camera.readout) / SIZE**2
        assert abs(variances.mean() - expected) < 5 * variances.std() / np.sqrt(FRAMES)
        assert deviations(frame, lambda q, n=n, c=camera: n * mtf(q, c.c0, c.c3) ** 2 + c.readout).max() < 5


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t, n, readout: n + 0 * t + readout,  # filters the expectation
        lambda t, n, readout: n * t**2,  # forgets readout
        lambda t, n, readout: n * t + readout,  # root of the MTF
        lambda t, n, readout: n * t**4 + readout,  # square of the MTF
    ],
)
def test_the_spectrum_would_catch_a_wrong_model(wrong):
    for frame, n, camera in zip(vacuum_frames("poisson").numpy(), ELECTRONS, CAMERAS, strict=True):
        assert deviations(frame, lambda q, n=n, c=camera: wrong(mtf(q, c.c0, c.c3), n, c.readout)).max() > 5


def test_torch_noise_follows_its_generator_and_the_intensity():
    intensity = torch.ones(64, 64)
    intensity[:, 32:] = 3.0
    first, again, other = (
        detect(intensity, 50.0, CAMERAS[0], torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first[:, 40:56].mean() / first[:, 8:24].mean() == pytest.approx(3.0, rel=0.05)


def test_a_batch_of_numpy_has_one_camera_and_dose_to_each_item():
    rng = np.random.default_rng(0)
    frames = detect(np.ones((3, SIZE, SIZE), np.float32), np.reshape(ELECTRONS, (3, 1, 1)), CAMERAS, rng)
    for frame, n, camera in zip(frames, ELECTRONS, CAMERAS, strict=True):
        assert abs(frame.mean() - n - camera.readout) < 5 * np.sqrt((n + camera.readout) / SIZE**2)
    assert np.allclose(sum_pixels(frames, 4)[1], sum_pixels(frames[1], 4))
    assert torch.allclose(sum_pixels(torch.from_numpy(frames), 4)[2], torch.from_numpy(sum_pixels(frames[2], 4)))


def test_cameras_that_do_not_fit_the_batch_are_refused():
    with pytest.raises(ValueError, match="3 settings"):
        detect(np.ones((2, 16, 16), np.float32), 1.0, CAMERAS, np.random.default_rng(0))
    mixed = [CAMERAS[0], CAMERAS[1].model_copy(update={"readout_noise": "gaussian"})]
    with pytest.raises(ValueError, match="readout_noise"):
        detect(np.ones((2, 16, 16), np.float32), 1.0, mixed, np.random.default_rng(0))
