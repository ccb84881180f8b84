import numpy as np
import pytest
import yaml

from framedose.camera.mtf import TransferCurve, mtf
from framedose.camera.noise import Camera, CameraRanges, detect
from framedose.camera.passport import (
    CameraPassport,
    Interval,
    PassportMTF,
    load_passport,
    shipped_passports,
    write_passport,
)
from framedose.camera.spectrum import measure_spectrum
from framedose.config import Range
from framedose.errors import CalibrationError, ConfigurationError
from framedose.micrograph import Micrograph
from framedose.random import generator


def test_passports_out_of_the_paper_know_no_gain():
    """A camera of 20 counts an electron had 20 times its dose by the gain of 1 that stood there."""
    for name in ("mtf1", "mtf2", "mtf3", "mtf4", "mtf5", "oneview"):
        assert load_passport(name).gain is None
        assert load_passport(name).dose(100.0, 0.1) is None
    # These count electrons.
    for name in ("counting", "merlin200", "merlin300"):
        assert load_passport(name).dose(2.0, 0.1) == pytest.approx(200)


@pytest.mark.parametrize("cut", [(slice(12, None), slice(None)), (slice(26, None), slice(None, -26))])
def test_borders_without_data_have_no_part_in_a_dose(cut):
    frame = np.zeros((256, 256), np.float32)
    frame[cut] = generator(0, "border").poisson(2.0, frame[cut].shape)
    told = load_passport("counting").dose_of(Micrograph(frame, 0.1))
    assert told == pytest.approx(200, rel=0.02)


def test_what_ships():
    assert set(shipped_passports()) == {
        *("mtf1", "mtf2", "mtf3", "mtf4", "mtf5", "oneview", "counting", "merlin200", "merlin300")
    }
    # Table 3 of the paper; its readout is 0.005 to 0.015 electrons per pixel in all of them.
    for number, c0, c3 in (
        (1, (0.4, 0.6), (2, 3)),
        (2, (0.4, 0.6), (1, 5)),
        (3, (0.2, 0.3), (1, 5)),
        (4, (0.25, 0.6), (2, 5)),
        (5, (0.6, 0.8), (2, 5)),
    ):
        readout = Range(low=0.005, high=0.015)
        ranges = CameraRanges(c0=Range(low=c0[0], high=c0[1]), c3=Range(low=c3[0], high=c3[1]), readout=readout)
        assert load_passport(f"MTF{number}").ranges() == ranges
    oneview = load_passport("oneview").simulated()
    assert (oneview.c0, oneview.c3, oneview.readout, oneview.readout_noise) == (0.28, 2.15, 0.01, "poisson")


@pytest.mark.parametrize(("name", "table"), [("merlin200", "200keV-SPCM016"), ("merlin300", "300keV-SPCM100")])
def test_merlin_passports_fit_the_measured_tables(real_data, name, table):
    measured = np.loadtxt(real_data / "emilys_thonrings" / f"Merlin-{table}.mtf")[1:]
    passport = load_passport(name)
    residual = measured - passport.simulated().mtf(np.linspace(0, 1, len(measured)))
    assert np.sqrt((residual**2).mean()) == pytest.approx(passport.mtf.residual_rms, rel=1e-3)
    assert np.abs(residual).max() == pytest.approx(passport.mtf.residual_max, rel=1e-3)
    assert passport.mtf.residual_max < 0.02


def test_a_passport_survives_its_file(tmp_path):
    passport = CameraPassport(
        camera="C",
        source="made up",
        mtf=PassportMTF(table=TransferCurve(frequency=(0, 0.5, 1), value=(1, 0.6, 0.2))),
        readout=Interval(value=1e-5, low=0, high=2e-5),
        noise_transfer=TransferCurve(frequency=(0, 1), value=(1, 0.9)),
        flags=("one",),
    )
    write_passport(tmp_path / "c.yaml", passport)
    assert load_passport(tmp_path / "c.yaml") == passport
    assert passport.simulated().mtf(0.25) == pytest.approx(0.8)
    drawn = passport.ranges().draw(np.random.default_rng(0))
    assert drawn.mtf(0.25) == pytest.approx(0.8)
    assert drawn.noise_transfer == passport.noise_transfer
    assert 0 <= drawn.readout <= 2e-5


def test_ranges_draw_the_camera_of_the_passport():
    merlin = load_passport("merlin300")
    drawn = merlin.ranges().draw(np.random.default_rng(0))
    assert drawn.mtf(np.array([0.0, 0.5, 1.0])) == pytest.approx(
        merlin.simulated().mtf(np.array([0, 0.5, 1])), abs=2e-3
    )
    assert drawn.floor == merlin.mtf.floor


def test_dose_from_the_mean_count():
    passport = load_passport("oneview").model_copy(
        update={"gain": Interval(value=20, low=19, high=21), "offset": Interval(value=100, low=99, high=101)}
    )
    assert passport.dose(mean=120, sampling=0.1) == pytest.approx(100)
    product = passport.model_copy(update={"gain": Interval(value=20, low=19, high=21, quantity="g F")})
    assert product.dose(mean=120, sampling=0.1) is None


@pytest.mark.parametrize("dose", [10, 100])
def test_a_frame_of_the_camera_has_its_dose_by_its_mean(dose):
    """Without an offset the mean of a Poisson readout is in the counts."""
    one = Interval(value=1, low=1, high=1)
    passport, sampling = load_passport("oneview").model_copy(update={"gain": one}), 0.075
    electrons = dose * sampling**2
    counts = detect(np.ones((800, 800), np.float32), electrons, passport.simulated(), generator(0, "dose", dose))
    error = np.sqrt((electrons + 0.01) / counts.size) / sampling**2
    assert passport.dose(float(counts.mean()), sampling) == pytest.approx(dose, abs=5 * error)
    assert 5 * error < 0.01 / sampling**2


def test_passports_that_cannot_be_used(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_passport("no-such-camera")
    (tmp_path / "x.yaml").write_text("camera: x\nsource: y\nmtf: {}\nfloor: 1\n")
    with pytest.raises(ConfigurationError, match="floor"):
        load_passport(tmp_path / "x.yaml")
    ratio = CameraPassport(
        camera="C",
        source="one dose",
        mtf=PassportMTF(c0=Interval(value=0.3, low=0.3, high=0.3), c3=Interval(value=2, low=2, high=2)),
        readout=Interval(value=0.1, low=0.1, high=0.1, quantity="N_0 / (F N)"),
    )
    with pytest.raises(CalibrationError, match="--dose"):
        ratio.simulated()
    with pytest.raises(ValueError, match="either c0 and c3, or mtf_table"):
        Camera(readout=0.01, c0=0.3)


def test_a_counting_detector_blurs_the_signal_and_not_the_noise():
    """Different tables for signal and noise, and excess noise: each is seen where it belongs."""
    signal = TransferCurve(frequency=(0, 1), value=(1, 0.4))
    noise = TransferCurve(frequency=(0, 1), value=(1, 0.7))
    camera = Camera(mtf_table=signal, noise_transfer=noise, excess_noise=1.5, readout=0.0)
    x = np.arange(640)
    wave = (1 + 0.5 * np.cos(2 * np.pi * 0.25 * x))[None, :] * np.ones((640, 1))
    frames = [detect(wave.astype(np.float32), 4.0, camera, generator(0, "c", i)) for i in range(4)]
    mean = np.mean(frames, axis=(0, 1))
    amplitude = 2 * np.abs(np.fft.rfft(mean)[160]) / 640
    assert amplitude == pytest.approx(4 * 0.5 * signal.at(0.5), abs=5 * 4 / np.sqrt(4 * 640 * 640 / 4))
    flat = detect(np.ones((640, 640), np.float32), 4.0, camera, generator(0, "flat"))
    spectrum = measure_spectrum(flat)
    ratio = spectrum.power / (1.5 * 4.0 * noise.at(spectrum.frequency) ** 2)
    assert ratio.mean() == pytest.approx(1, abs=0.02)
    assert np.polyfit(spectrum.frequency, ratio, 1)[0] == pytest.approx(0, abs=0.05)


def test_the_ideal_counter_is_a_square_pixel_with_white_noise():
    camera = load_passport("counting").simulated()
    assert camera.mtf(1.0) == pytest.approx(2 / np.pi, abs=1e-4)
    noise = measure_spectrum(detect(np.ones((512, 512), np.float32), 3.0, camera, generator(0, "n"))).power
    assert noise == pytest.approx(3.0, rel=0.1)
    assert mtf(1.0, 0.5, 2) < 0.3


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("mtf", {"c0": None}, "c0 and c3, or a table"),
        ("mtf", {"c0": {"value": 0.3, "low": -0.1, "high": 0.4}}, r"c0\.low must be positive"),
        ("mtf", {"floor": 1.0}, "less than 1"),
        ("gain", {"value": 0.0, "low": 0.0, "high": 1.0}, r"gain\.value must be positive"),
        ("readout", {"value": -1.0, "low": -2.0, "high": 0.0}, r"readout\.value must not be negative"),
    ],
)
def test_what_no_camera_has_is_refused_when_the_passport_is_read(place, value, said, tmp_path):
    content = load_passport("oneview").model_dump(mode="json")
    content[place] = (content[place] or {}) | value
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigurationError, match=said):
        load_passport(tmp_path / "c.yaml")
