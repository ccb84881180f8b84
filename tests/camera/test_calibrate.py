"""From frames to passport and back, and what is said of frames that are not as they should be."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from framedose.camera.calibrate import calibrate
from framedose.camera.frames import one_sampling, repaired
from framedose.camera.issue import issue_passport
from framedose.camera.noise import Camera, detect
from framedose.camera.page import draw_calibration
from framedose.camera.passport import load_passport, write_passport
from framedose.camera.vacuum import Region
from framedose.errors import CalibrationError, ConfigurationError, ImageError
from framedose.random import generator

SAMPLING, SIZE = 0.075, 320
WHOLE = Region(0, 0, SIZE, SIZE)
CAMERA = Camera(c0=0.28, c3=2.2, readout=0.01)
DOSES = np.geomspace(10, 1000, 6)


def frame(dose, index, camera=CAMERA, intensity=None, gain=10.0, offset=5.0):
    field = np.ones((SIZE + 64, SIZE + 64), np.float32) if intensity is None else intensity
    image = detect(field, dose * SAMPLING**2, camera, generator(9, "calibrate", index))
    return (gain * image + offset)[32:-32, 32:-32]


@pytest.fixture(scope="module")
def ramp():
    return [frame(dose, index) for index, dose in enumerate(DOSES)]


def holds(interval, truth, errors=4.0):
    return abs(interval.value - truth) <= errors * (interval.high - interval.low) / 2


@pytest.mark.parametrize("name", ["oneview", "mtf4"])
def test_round_trip_of_a_passport(name, tmp_path):
    """Simulate with a passport, calibrate, write, read: the same camera within its intervals."""
    camera = load_passport(name).simulated()
    frames = [frame(dose, f"{name}{i}", camera) for i, dose in enumerate(DOSES)]
    result = calibrate(frames, sampling=SAMPLING, doses=DOSES, region=WHOLE)
    write_passport(tmp_path / "camera.yaml", issue_passport(result, camera=name))
    measured = load_passport(tmp_path / "camera.yaml")
    assert holds(measured.mtf.c0, camera.c0)
    assert holds(measured.mtf.c3, camera.c3)
    assert holds(measured.readout, camera.readout)
    assert holds(measured.gain, 10.0)
    assert measured.readout_noise == "poisson"
    assert measured.simulated().c0 == pytest.approx(camera.c0, rel=0.05)
    assert measured.hardware.sampling == SAMPLING
    curve = measured.curves["noise_transfer"][0]
    away = (np.array(curve.value) - camera.mtf(np.array(curve.frequency))) / np.array(curve.error)
    assert np.sqrt((away**2).mean()) < 2


def test_the_kind_of_readout_is_told_by_the_skew():
    for kind in ("poisson", "gaussian"):
        camera = CAMERA.model_copy(update={"readout_noise": kind})
        frames = [frame(dose, f"{kind}{i}", camera) for i, dose in enumerate(DOSES)]
        assert calibrate(frames, sampling=SAMPLING, doses=DOSES, region=WHOLE).readout_noise == kind


def test_vacuum_beside_a_specimen_gives_the_camera():
    rng = np.random.default_rng(0)
    size = 640
    grain = gaussian_filter(rng.normal(size=(size, size)), 3)
    intensity = np.ones((size, size))
    intensity[:, : size // 2] = (0.9 + 0.2 * grain / grain.std())[:, : size // 2]
    frames = [frame(dose, f"specimen{i}", intensity=intensity.astype(np.float32)) for i, dose in enumerate(DOSES)]
    result = calibrate(frames, sampling=SAMPLING, doses=DOSES)
    assert result.region.x0 >= size // 2 - 32
    assert result.joint.c0.value == pytest.approx(0.28, rel=0.1)
    assert result.joint.readout.value == pytest.approx(0.01, rel=0.2)


def test_a_fixed_pattern_is_measured_and_taken_out(ramp):
    pattern = 1 + 0.03 * np.random.default_rng(1).normal(size=(SIZE, SIZE))
    patterned = [(image - 5) * pattern + 5 for image in ramp]
    result = calibrate(patterned, sampling=SAMPLING, doses=DOSES, region=WHOLE)
    assert result.pattern.rms == pytest.approx(0.03, rel=0.15)
    assert result.joint.readout.value == pytest.approx(0.01, rel=0.1)
    assert result.joint.c0.value == pytest.approx(0.28, rel=0.06)
    assert result.joint.excess_noise.value == pytest.approx(1, abs=0.1)
    assert calibrate(ramp, sampling=SAMPLING, doses=DOSES, region=WHOLE).pattern is None


def test_differences_remove_what_does_not_move():
    x = np.arange(SIZE + 64)
    intensity = (1 + 0.3 * np.sin(2 * np.pi * x / 9))[None, :] * (1 + 0.3 * np.sin(2 * np.pi * x / 13))[:, None]
    doses = np.repeat(np.geomspace(20, 1000, 4), 2)
    frames = [frame(dose, f"moves{i}", intensity=intensity.astype(np.float32)) for i, dose in enumerate(doses)]
    result = calibrate(frames, sampling=SAMPLING, doses=doses, differences=True)
    assert holds(result.joint.c0, 0.28)
    assert holds(result.joint.readout, 0.01)
    assert holds(result.joint.gain, 10.0)


def test_dqe_needs_a_dose_and_an_mtf(ramp):
    result = calibrate(ramp, sampling=SAMPLING, doses=DOSES, region=WHOLE, independent_mtf=CAMERA.mtf)
    q, electrons = result.spectra[0].frequency, DOSES[:, None] * SAMPLING**2
    expected = electrons * CAMERA.mtf(q) ** 2 / (electrons * CAMERA.mtf(q) ** 2 + 0.01)
    assert (result.dqe / expected).mean() == pytest.approx(1, abs=0.03)
    with pytest.raises(CalibrationError, match="--dose"):
        calibrate(ramp, sampling=SAMPLING, region=WHOLE, independent_mtf=CAMERA.mtf)


def test_the_page_and_passport_of_poor_data(tmp_path, ramp):
    """One frame, unknown dose: drawn, written, flagged, and not to be simulated."""
    result = calibrate(ramp[-1:], sampling=SAMPLING, region=WHOLE)
    draw_calibration(tmp_path / "page.png", result, ramp[-1], "one frame")
    assert (tmp_path / "page.png").stat().st_size > 10_000
    assert "one frame only" in result.flags
    passport = issue_passport(result, camera="one frame")
    write_passport(tmp_path / "camera.yaml", passport)
    with pytest.raises(CalibrationError):
        load_passport(tmp_path / "camera.yaml").simulated()


def test_bad_pixels_are_filled_and_constant_rows_left_out(ramp):
    broken = [image.copy() for image in ramp]
    for image in broken:
        image[40] = 7.0
        image[200, 100] = np.nan
        image[250, 17] = 1e5
    clean = calibrate(ramp, sampling=SAMPLING, doses=DOSES, region=WHOLE)
    result = calibrate(broken, sampling=SAMPLING, doses=DOSES, region=WHOLE)
    assert result.joint.c0.value == pytest.approx(clean.joint.c0.value, rel=0.05)
    assert result.joint.readout.value == pytest.approx(clean.joint.readout.value, rel=0.05)
    assert any("1 constant rows" in flag for flag in result.flags)
    assert any("2 bad pixels" in flag for flag in result.flags)


def test_noise_is_not_taken_for_bad_pixels():
    for dose in (10, 300):
        for kind in ("poisson", "gaussian"):
            image = frame(dose, 0, Camera(c0=0.3, c3=2.5, readout=0.01, readout_noise=kind)).astype(np.float32)
            _, bad, words = repaired(image)
            assert not bad.any()
            assert not words


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"frames": []}, ConfigurationError, "no frames"),
        ({"doses": [1.0, 2.0]}, ConfigurationError, "one for each of the 6 frames"),
        ({"doses": [0.0] * 6}, ConfigurationError, "--dark"),
        ({"sampling": -0.1}, CalibrationError, "sampling must be a positive number of Å per pixel, got -0.1"),
        ({"dark": [np.zeros((64, 64))]}, ImageError, "one shape"),
        ({"frames": [np.zeros((SIZE, SIZE))]}, ImageError, "has the value 0"),
        ({"frames": [np.full((SIZE, SIZE), np.nan)]}, ImageError, "no finite pixel"),
        ({"region": Region(0, 0, 1000, 50)}, ConfigurationError, "outside"),
        ({"frames": [np.zeros((3, SIZE, SIZE))]}, ImageError, r"shape \(y, x\)"),
    ],
)
def test_what_cannot_be_calibrated(ramp, change, error, message):
    arguments = {"frames": ramp, "sampling": SAMPLING, "region": WHOLE} | change
    with pytest.raises(error, match=message):
        calibrate(arguments.pop("frames"), **arguments)


def test_carbon_is_not_vacuum(real_data):
    """Thon rings fill these frames: no vacuum to be found, and the differences do not fit either, and say so."""
    paths = [real_data / "emilys_thonrings" / f"img_{index}.raw" for index in range(1, 5)]
    frames = [np.fromfile(path, "<u2").reshape(512, 512).astype(np.float32) for path in paths]
    with pytest.raises(ImageError, match="No vacuum.*--differences"):
        calibrate(frames, sampling=1.354)
    result = calibrate(frames, sampling=1.354, differences=True)
    assert any("does not fit" in flag for flag in result.flags)
    assert not any(fit.good for fit in result.frame_fits)
    assert 0.5 < result.joint.c0.value < 0.9


def test_fringes_of_a_vacuum_hologram_are_masked(real_data):
    h5py = pytest.importorskip("h5py")
    with h5py.File(real_data / "holospy_ultrascan_vacuum" / "00_ref_Vbp_130V_0V_bin2_crop.hdf5") as file:
        frame = np.asarray(next(iter(file["Experiments"].values()))["data"], np.float32)
    result = calibrate([frame], sampling=9.198, region=Region(0, 0, 512, 512))
    assert result.spectra[0].lines.any()
    assert result.frame_fits[0].good
    assert result.joint.probability > 0.01
    # Fringes left in would stand ten thousand times above the noise.
    assert (np.diff(result.spectra[0].power) < 0.15 * result.spectra[0].power[:-1]).all()


def test_mixed_frames(ramp):
    with pytest.raises(ImageError, match="Mixed frames"):
        calibrate([ramp[0], ramp[1][:200]], sampling=SAMPLING)
    with pytest.raises(CalibrationError, match="Mixed pixel sizes"):
        one_sampling([0.075, 0.075, 0.08])
    assert one_sampling([0.075, 0.07501]) == 0.075
