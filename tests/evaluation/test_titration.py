"""Titrated frames against frames simulated at the low dose, within five standard errors that wrong models exceed."""

from functools import cache

import numpy as np
import pytest

from framedose.camera.mtf import TransferCurve, nyquist_frequencies
from framedose.camera.noise import Camera, detect
from framedose.camera.passport import Interval, load_passport
from framedose.errors import CalibrationError, ConfigurationError, ImageError
from framedose.evaluation.baselines import MatchedLattice
from framedose.evaluation.titration import counted_singly, in_electrons, share_of_dose, titrate, titrated
from framedose.micrograph import Micrograph
from framedose.random import generator

SIZE, FIELD, FRAMES = 64, 128, 150
INSIDE = slice(32, 96)
# Electrons per pixel of the low dose, 10 e/Å2 at 0.075 Å/px, and readout that is large enough to be missed.
LOW, READOUT = 0.05, 0.05
CAMERAS = {
    "poisson": Camera(c0=0.3, c3=2.5, readout=READOUT),
    "gaussian": Camera(c0=0.3, c3=2.5, readout=READOUT, readout_noise="gaussian"),
    "excess noise": Camera(
        c0=0.3,
        c3=2.5,
        readout=READOUT,
        readout_noise="gaussian",
        excess_noise=1.5,
        noise_transfer=TransferCurve(frequency=(0, 1), value=(1, 0.5)),
    ),
}


def specimen():
    """Fringes of 12 pixels in a disc, vacuum around it: expected intensity on the large field."""
    y, x = np.mgrid[:FIELD, :FIELD] - FIELD / 2
    disc = 1 / (1 + np.exp((np.hypot(y, x) - 20) / 2))
    return (1 - 0.1 * disc + 0.3 * disc * np.cos(2 * np.pi * (0.8 * x + 0.6 * y) / 12)).astype(np.float32)


@cache
def simulated(electrons, kind, name):
    """Frames (n, y, x) cropped from a larger field, as real ones are."""
    views = [detect(specimen(), electrons, CAMERAS[kind], generator(0, name, i)) for i in range(FRAMES)]
    return np.stack(views)[:, INSIDE, INSIDE]


@cache
def titrations(share, kind):
    frames = simulated(LOW / share, kind, f"high {share}")
    return np.stack([titrated(f, CAMERAS[kind], share, generator(0, "t", i)) for i, f in enumerate(frames)])


def moments(frames):
    """Return for each frame its mean, its variance, and its noise power below c0 and on 16 rings up to Nyquist."""
    away = frames - frames.mean(axis=0)
    spectra = np.abs(np.fft.rfft2(away)) ** 2 / SIZE**2
    q = nyquist_frequencies((SIZE, SIZE))
    regions = [q < 0.3, *((q * 16).astype(int) == ring for ring in range(16))]
    power = [spectra[:, region].mean(axis=1) for region in regions]
    return np.stack([frames.mean(axis=(1, 2)), away.var(axis=(1, 2)), *power], axis=1)


def deviations(frames, others):
    """Return the differences of the mean moments in standard errors, which the scatter of the frames gives."""
    ours, theirs = moments(frames), moments(others)
    error = np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / FRAMES)
    return (ours.mean(axis=0) - theirs.mean(axis=0)) / error


@pytest.mark.parametrize("kind", list(CAMERAS))
@pytest.mark.parametrize("share", [0.1, 0.01])
def test_mean_variance_and_spectrum_are_those_of_the_low_dose(share, kind):
    found = deviations(titrations(share, kind), simulated(LOW, kind, "low"))
    assert np.abs(found).max() < 5, found


def test_the_contrast_of_the_specimen_is_that_of_the_low_dose():
    pattern = specimen()[INSIDE, INSIDE]
    pattern -= pattern.mean()
    both = titrations(0.1, "poisson"), simulated(LOW, "poisson", "low")
    ours, theirs = ((frames * pattern).mean(axis=(1, 2)) for frames in both)
    error = np.sqrt((ours.var() + theirs.var()) / FRAMES)
    assert abs(ours.mean() - theirs.mean()) < 5 * error < theirs.mean()


def filtered(values, camera):
    transfer = camera.mtf(nyquist_frequencies(values.shape[-2:]))
    return np.fft.irfft2(np.fft.rfft2(values) * transfer, s=values.shape[-2:])


def thinned(frame, share, camera, rng):
    return rng.binomial(np.rint(np.maximum(frame, 0)).astype(int), share)


WRONG = {
    "thinning of a float frame": thinned,
    "thinning, then the MTF once more": lambda f, p, c, rng: filtered(thinned(f, p, c, rng), c),
    "no readout": lambda f, p, c, rng: titrated(f, c.model_copy(update={"readout": 1e-9}), p, rng),
    "no new noise": lambda f, p, c, rng: p * f,
    "white counting noise": lambda f, p, c, rng: (
        p * f
        + rng.poisson(p * (1 - p) * max(f.mean() - READOUT, 0), f.shape)
        - p * (1 - p) * (f.mean() - READOUT)
        + rng.poisson((1 - p**2) * READOUT, f.shape)
        - p * (1 - p) * READOUT
    ),
    "mean of the readout": lambda f, p, c, rng: titrated(f, c, p, rng) + p * (1 - p) * READOUT,
    "a readout of zero mean": lambda f, p, c, rng: titrated(f, c, p, rng) - p * READOUT,
}


@pytest.mark.parametrize("name", list(WRONG))
def test_wrong_models_are_caught(name):
    share, camera = 0.1, CAMERAS["poisson"]
    frames = simulated(LOW / share, "poisson", f"high {share}")
    wrong = np.stack([WRONG[name](f, share, camera, generator(0, "w", i)) for i, f in enumerate(frames)])
    assert np.abs(deviations(wrong, simulated(LOW, "poisson", "low"))).max() > 5


@pytest.mark.parametrize("share", [0.1, 0.05])
def test_the_added_noise_has_the_power_that_is_missing(share):
    """On a flat frame nothing else is there: p (1 - p) N MTF² + (1 - p²) N_0, and a factor p for p (1 - p) fails."""
    camera, electrons, size = Camera(c0=0.6, c3=2.0, readout=0.02), 20.0, 400
    flat = np.full((size, size), electrons + 0.02)
    added = titrated(flat, camera, share, generator(0, "flat")) - share * flat
    q = nyquist_frequencies(flat.shape)
    expected = share * (1 - share) * electrons * camera.mtf(q) ** 2 + (1 - share**2) * 0.02
    ratio = (np.abs(np.fft.rfft2(added)) ** 2 / size**2 / expected)[(q < 0.6) & (q > 0)]
    # Every frequency of the half plane once, of relative deviation 1; some of the first column stand there twice.
    error = np.sqrt(2 / ratio.size)
    assert abs(ratio.mean() - 1) < 5 * error < share
    assert added.mean() == pytest.approx((1 - share) * 0.02, abs=5 * np.sqrt(expected.max()) / size)


# A detector's curve: a lattice filter on fringes of Au at 0.3 Å/px, from 3000 e/Å2 down.
SAMPLING, FULL, DOSES, STRUCTURES = 0.3, 3000.0, (300.0, 100.0, 30.0), 32
CAMERA = Camera(c0=0.3, c3=2.5, readout=0.05)


def lattice(rng):
    """Expected intensity of the lattice of Au along [110] in a disc, on the large field."""
    y, x = (np.mgrid[:FIELD, :FIELD] - FIELD / 2) * SAMPLING
    disc, turned = np.hypot(y, x) < rng.uniform(5, 8), rng.uniform(0, np.pi)
    fringes = sum(
        0.15 * np.cos(2 * np.pi * (y * np.sin(turned + angle) + x * np.cos(turned + angle)) / spacing)
        for spacing, angle in ((2.355, 0.9553), (2.355, -0.9553), (2.039, 0.0))
    )
    return (1 + disc * fringes).astype(np.float32)


@cache
def lattices(dose):
    """Frames of all structures at a dose, cropped from a larger field."""
    structures = [lattice(generator(0, "structure", i)) for i in range(STRUCTURES)]
    electrons = dose * SAMPLING**2
    views = [detect(each, electrons, CAMERA, generator(0, f"{dose}", i)) for i, each in enumerate(structures)]
    return np.stack(views)[:, INSIDE, INSIDE]


def found(frames):
    """Return the share of each frame that the lattice filter calls particle."""
    return (MatchedLattice(smoothing=3.0, azimuths=36).score(frames, SAMPLING) > 0.85).mean(axis=(1, 2))


@cache
def found_at(dose):
    return found(lattices(dose))


def deviation_of_the_curve(model):
    """Return the greatest difference of the found area over the doses, in standard errors over structures."""
    result = []
    for dose in DOSES:
        low = [model(f, dose / FULL, CAMERA, generator(1, f"{dose}", i)) for i, f in enumerate(lattices(FULL))]
        difference = found(np.stack(low)) - found_at(dose)
        result.append(difference.mean() / (difference.std(ddof=1) / np.sqrt(STRUCTURES)))
    return np.abs(result).max()


def test_the_curve_of_a_detector_is_that_of_frames_at_the_low_dose():
    """What titration is for. The curve itself must fall for that to mean something."""
    areas = [found_at(dose).mean() for dose in DOSES]
    assert areas[0] > 1.2 * areas[1] > 1.2**2 * areas[2]
    assert deviation_of_the_curve(lambda f, p, c, rng: titrated(f, c, p, rng)) < 5


@pytest.mark.parametrize("name", ["thinning of a float frame", "thinning, then the MTF once more", "no new noise"])
def test_the_curve_of_wrong_models_is_another(name):
    assert deviation_of_the_curve(WRONG[name]) > 5


def test_counts_of_a_counting_camera_are_thinned_exactly():
    camera, rng = load_passport("counting").simulated(), np.random.default_rng(0)
    frame = rng.poisson(3.0, (400, 400)).astype(np.float32)
    assert counted_singly(frame, camera)
    low = titrated(frame, camera, 0.5, rng)
    assert (low <= frame).all()
    np.testing.assert_array_equal(low, np.rint(low))
    # Poisson counts stay Poisson: mean and variance 1.5, and what was taken off is independent of what was left.
    assert abs(low.mean() - 1.5) < 5 * np.sqrt(1.5 / low.size)
    assert abs(low.var() - 1.5) < 5 * np.sqrt((1.5 + 2 * 1.5**2) / low.size)
    assert abs(np.corrcoef(low.ravel(), (frame - low).ravel())[0, 1]) < 5 / np.sqrt(low.size)


def test_a_frame_that_is_not_whole_numbers_is_not_thinned():
    camera, rng = load_passport("counting").simulated(), np.random.default_rng(0)
    frame = rng.poisson(30.0, (200, 200)) + np.float32(0.25)
    assert not counted_singly(frame, camera)
    low = titrated(frame, camera, 0.1, rng)
    assert abs(low.var() - 3.0) < 5 * np.sqrt((3.0 + 2 * 3.0**2) / low.size)


def test_the_same_generator_gives_the_same_frame():
    frame, camera = simulated(LOW / 0.1, "poisson", "high 0.1")[0], CAMERAS["poisson"]
    one, two = (titrated(frame, camera, 0.1, generator(1, "x")) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert one.dtype == np.float32


@pytest.mark.parametrize("share", [0.0, -0.1, 0.11, 2.0, float("nan")])
def test_shares_out_of_range_are_refused(share):
    with pytest.raises(ConfigurationError, match=r"share must lie above 0 and not above 0\.1"):
        titrated(np.ones((8, 8)), CAMERAS["poisson"], share, generator(0))


@pytest.mark.parametrize("frame", [np.ones(8), np.full((8, 8), np.nan), np.zeros((8, 8)), np.full((4, 4), 0.01)])
def test_frames_that_hold_nothing_are_refused(frame):
    with pytest.raises(ImageError, match="frame must"):
        titrated(frame, CAMERAS["poisson"], 0.1, generator(0))


def micrograph(image=None, **changes):
    image = np.random.default_rng(0).normal(1000, 30, (48, 48)).astype(np.float32) if image is None else image
    return Micrograph(**{"image": image, "sampling": 0.1, "origin": "frame.tif"} | changes)


def passport(**changes):
    return load_passport("oneview").model_copy(update={"gain": exactly(1.0)} | changes)


def exactly(value, **more):
    return Interval(value=value, low=value, high=value, **more)


class TestElectrons:
    def test_counts_become_electrons_by_gain_and_offset(self):
        image = micrograph().image
        plain = in_electrons(micrograph(), passport(gain=exactly(2.0)))
        np.testing.assert_allclose(plain.image, image / 2, rtol=1e-6)
        assert plain.dose_per_area == pytest.approx((image.mean() / 2 - 0.01) / 0.01, rel=1e-6)
        # A measured offset holds the mean of the Poisson readout; simulated frames have it.
        off = in_electrons(micrograph(), passport(gain=exactly(2.0), offset=exactly(100.0)))
        np.testing.assert_allclose(off.image, (image - 100) / 2 + 0.01, rtol=1e-6)
        assert off.dose_per_area == pytest.approx((image.mean() - 100) / 2 / 0.01, rel=1e-6)
        assert off.quantity == "electrons"

    def test_electrons_stay(self):
        same = in_electrons(micrograph(quantity="electrons"), passport(gain=None, readout_noise="gaussian"))
        np.testing.assert_array_equal(same.image, micrograph().image)

    @pytest.mark.parametrize(
        ("changes", "of_frame", "words"),
        [
            ({"gain": None}, {}, "does not know the gain"),
            ({"gain": exactly(2.0, quantity="g F")}, {}, "Calibrate with --dose"),
            ({"readout": None}, {}, "no readout noise in electrons"),
            ({}, {"quantity": "normalised"}, "cannot become electrons"),
            ({"offset": exactly(1e4)}, {}, "no electrons are left"),
        ],
    )
    def test_what_is_not_known_is_refused(self, changes, of_frame, words):
        with pytest.raises(CalibrationError, match=words):
            in_electrons(micrograph(**of_frame), passport(**changes))


class TestDoses:
    def test_dose_and_image_of_the_result(self):
        frame = in_electrons(micrograph(), passport())
        low = titrate(frame, passport().simulated(), 1000.0, rng=generator(0))
        assert low.dose_per_area == 1000.0
        assert low.image.mean() == pytest.approx(10.01, rel=0.02)
        assert titrate(frame, passport().simulated(), 10.0, full_dose=100.0, rng=generator(0)).image.mean() > 90

    def test_a_tenth_is_allowed_and_more_is_not(self):
        camera = passport().simulated()
        frame = micrograph(quantity="electrons", dose_per_area=300.0)
        assert share_of_dose(frame, camera, 30.0) == pytest.approx(0.1)
        with pytest.raises(ConfigurationError, match=r"frame\.tif: .*a tenth .* at most 30 e/Å2, got 31"):
            share_of_dose(frame, camera, 31.0)
        counts = micrograph(np.rint(frame.image), quantity="electrons", dose_per_area=300.0)
        assert share_of_dose(counts, load_passport("counting").simulated(), 200.0) == pytest.approx(2 / 3)
        for dose in (0.0, -1.0, float("nan"), float("inf")):
            with pytest.raises(ConfigurationError, match="doses must be positive"):
                share_of_dose(frame, camera, dose)

    @pytest.mark.parametrize("flag", ["8-bit: values 0 to 255", "resampled: its pixels", "smoothed: less noise"])
    def test_frames_that_are_not_raw_are_refused(self, flag):
        frame = micrograph(quantity="electrons", dose_per_area=300.0, flags=("dead rows: 1 dead row (3)", flag))
        with pytest.raises(ImageError, match=f"not raw: {flag}"):
            titrate(frame, passport().simulated(), 3.0, rng=generator(0))

    def test_borders_without_data_are_to_be_cropped(self):
        image = micrograph().image.copy()
        image[:5] = 0
        with pytest.raises(ImageError, match=r"frame\.tif: has borders without data, beyond rows 5 to 48 .* Crop them"):
            in_electrons(micrograph(image), passport())

    def test_a_dead_line_is_no_reason(self):
        frame = micrograph(quantity="electrons", dose_per_area=300.0, flags=("dead rows: 1 dead row (3)",))
        assert share_of_dose(frame, passport().simulated(), 3.0) == pytest.approx(0.01)

    def test_counts_are_refused(self):
        with pytest.raises(CalibrationError, match="in_electrons"):
            titrate(micrograph(), passport().simulated(), 3.0, rng=generator(0))
