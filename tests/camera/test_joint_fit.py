"""The joint fit on cameras that are known. Frames are crops of larger fields, so nothing in them is periodic."""

import numpy as np
import pytest

from framedose.camera.joint_fit import fit_jointly
from framedose.camera.noise import Camera, detect
from framedose.camera.passport import load_passport
from framedose.camera.spectrum import measure_spectrum
from framedose.errors import ImageError
from framedose.random import generator

SAMPLING = 0.075
GAIN, OFFSET = 20.0, 100.0
CAMERA = Camera(c0=0.28, c3=2.2, readout=0.01)


def frame(electrons, camera=CAMERA, size=320, gain=GAIN, offset=OFFSET, **keys):
    """Counts of one vacuum frame."""
    margin = 32
    field = np.ones((size + 2 * margin, size + 2 * margin), np.float32)
    image = detect(field, electrons, camera, generator(5, *(f"{k}{v}" for k, v in keys.items())))
    return gain * image[margin:-margin, margin:-margin] + offset


def ramp(camera=CAMERA, count=8, low=10, high=1000, **options):
    electrons = np.geomspace(low, high, count) * SAMPLING**2
    return [measure_spectrum(frame(n, camera, index=i, **options)) for i, n in enumerate(electrons)], electrons


def within(estimate, truth, errors=5.0):
    return abs(estimate.value - truth) < errors * (estimate.high - estimate.low) / 2


@pytest.fixture(scope="module")
def poisson_ramp():
    return ramp(size=512)


def test_a_known_dose_gives_everything(poisson_ramp):
    spectra, electrons = poisson_ramp
    fit = fit_jointly(spectra, electrons=electrons)
    assert (fit.gain.quantity, fit.readout.quantity) == ("g", "N_0")
    assert within(fit.gain, GAIN)
    # The mean of a Poisson readout cannot be told from an offset.
    assert within(fit.offset, OFFSET + GAIN * 0.01)
    assert within(fit.excess_noise, 1.0)
    assert fit.c0.value == pytest.approx(0.28, rel=0.02)
    assert fit.c3.value == pytest.approx(2.2, rel=0.03)
    assert fit.readout.value == pytest.approx(0.01, rel=0.05)
    assert fit.probability > 1e-3
    assert not fit.flags


def test_an_unknown_dose_gives_the_products(poisson_ramp):
    spectra, electrons = poisson_ramp
    fit = fit_jointly(spectra)
    assert (fit.gain.quantity, fit.readout.quantity) == ("g F", "N_0 / F^2")
    assert within(fit.gain, GAIN)
    assert within(fit.offset, OFFSET + GAIN * 0.01)
    assert fit.excess_noise is None
    assert fit.electrons == pytest.approx(electrons, rel=0.08)
    assert any("unknown dose" in flag for flag in fit.flags)


def test_the_offset_may_be_given(poisson_ramp):
    spectra, _ = poisson_ramp
    fit = fit_jointly(spectra, offset=OFFSET + GAIN * 0.01)
    free = fit_jointly(spectra)
    assert within(fit.gain, GAIN)
    assert fit.gain.high - fit.gain.low < free.gain.high - free.gain.low


def test_a_constant_camera_stays_constant_over_the_dose():
    """Low and high doses alone give one camera; the paper's fits of single frames drift (see test_spectrum)."""
    dim = fit_jointly(ramp(count=8, low=10, high=60)[0])
    bright = fit_jointly(ramp(count=8, low=200, high=1300)[0])
    for fit in (dim, bright):
        assert within(fit.c0, 0.28)
        assert within(fit.c3, 2.2)
    assert dim.c0.value == pytest.approx(0.28, abs=0.02)


def test_one_dose_gives_products_and_says_so():
    spectra = [measure_spectrum(frame(2.0, index=f"one{i}")) for i in range(3)]
    known = fit_jointly(spectra, electrons=[2.0] * 3)
    assert (known.gain.quantity, known.readout.quantity) == ("g sqrt(F)", "N_0 / F")
    assert within(known.gain, GAIN)
    assert within(known.readout, 0.01)
    assert known.offset is None
    unknown = fit_jointly(spectra)
    assert unknown.gain is None
    assert unknown.readout.quantity == "N_0 / (F N)"
    assert within(unknown.readout, 0.01 / 2.0)
    single = fit_jointly(spectra[:1])
    assert within(single.c0, 0.28)


def test_dark_frames_give_the_offset_of_one_dose():
    spectra = [measure_spectrum(frame(2.0, index=f"one{i}")) for i in range(3)]
    dark = [measure_spectrum(frame(0.0, index=f"dark{i}")) for i in range(2)]
    fit = fit_jointly(spectra, dark=dark)
    assert within(fit.offset, OFFSET + GAIN * 0.01)
    assert within(fit.gain, GAIN)
    full = fit_jointly(spectra, dark=dark, electrons=[2.0] * 3)
    assert within(full.gain, GAIN)
    assert within(full.excess_noise, 1.0)


def test_excess_noise_is_told_from_gain_by_the_dose_only():
    noisy = Camera(c0=0.4, c3=3, readout=0.01, excess_noise=1.5)
    spectra, electrons = ramp(noisy, which="excess")
    known, unknown = fit_jointly(spectra, electrons=electrons), fit_jointly(spectra)
    assert within(known.gain, GAIN)
    assert within(known.excess_noise, 1.5)
    assert not within(known.excess_noise, 1.0)
    assert within(unknown.gain, 1.5 * GAIN)
    assert within(unknown.readout, 0.01 / 1.5**2)


def test_wrong_doses_are_noticed(poisson_ramp):
    spectra, electrons = poisson_ramp
    wrong = electrons * np.where(np.arange(len(electrons)) % 2, 1.05, 0.95)
    fit = fit_jointly(spectra, electrons=wrong)
    assert any("doses scatter" in flag for flag in fit.flags)
    assert within(fit.gain, GAIN)


def test_frames_of_two_cameras_do_not_fit():
    mixed = ramp(count=4)[0] + ramp(Camera(c0=0.5, c3=3, readout=0.01), count=4)[0]
    assert any("does not fit" in flag for flag in fit_jointly(mixed).flags)


def test_an_ideal_counter_has_white_noise_and_its_gain_is_known():
    counter = load_passport("counting").simulated()
    spectra, electrons = ramp(counter, which="counter")
    fit = fit_jointly(spectra, electrons=electrons)
    assert within(fit.gain, GAIN)
    assert within(fit.excess_noise, 1.0)
    assert any("flat" in flag for flag in fit.flags)


def test_too_few_electrons():
    empty = Camera(c0=0.3, c3=2, readout=0.01, readout_noise="gaussian")
    readout_only = [measure_spectrum(frame(0.0, empty, index=f"none{i}")) for i in range(4)]
    with pytest.raises(ImageError, match="Too few electrons"):
        fit_jointly(readout_only, electrons=[0.001, 0.002, 0.003, 0.004])
    with pytest.raises(ImageError, match="Too few electrons"):
        fit_jointly(readout_only[:1])
    with pytest.raises(ImageError, match="one number for each of the 4 frames"):
        fit_jointly(readout_only, electrons=[1.0])


@pytest.mark.parametrize("readout_noise", ["poisson", "gaussian"])
def test_intervals_hold_what_they_promise(readout_noise):
    """Pulls of g, c0, c3 and N_0 on a few cameras; benchmarks/calibration.py is the whole campaign.

    Intervals of the likelihood alone would be up to six times too narrow for N_0 of sparse counts.
    """
    pulls = []
    for index in range(12):
        rng = generator(11, "camera", index)
        camera = Camera(
            c0=rng.uniform(0.25, 0.6),
            c3=rng.uniform(2, 5),
            readout=rng.uniform(0.005, 0.015),
            readout_noise=readout_noise,
        )
        spectra, electrons = ramp(camera, count=6, size=256, camera_number=index)
        truth = {"gain": GAIN, "c0": camera.c0, "c3": camera.c3, "readout": camera.readout}
        for given in (electrons, None):
            fit = fit_jointly(spectra, electrons=given)
            estimates = [(getattr(fit, name), value) for name, value in truth.items()]
            pulls.append([2 * (e.value - value) / (e.high - e.low) for e, value in estimates])
    squares = np.square(pulls).mean(axis=0)
    # 12 independent cameras: the mean square of a pull scatters by 0.4, and by more for correlated estimates.
    assert (squares < 2.6).all()
    assert 0.5 < squares.mean() < 1.8
    assert 0.55 < (np.abs(pulls) < 1).mean() < 0.82
