import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framedose.microscope.conditions import ConditionRanges, Conditions
from framedose.microscope.optics import (
    expected_intensity,
    expected_view,
    expected_views,
    fourier_resample,
    wave_spectrum,
)
from framedose.microscope.transfer import transfer_function
from framedose.units import wavelength

EXTENT = 20.0


def conditions(**changes):
    base = {"defocus": 60.0, "cs": 5e4, "focal_spread": 10.0, "blur": 0.0, "sampling": 0.1, "dose": 1e3}
    return Conditions(**{**base, **changes})


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


@pytest.mark.parametrize(("kind", "tolerance"), [(np.complex64, 1e-6), (np.complex128, 1e-13)])
def test_vacuum_is_exactly_one(kind, tolerance):
    c = conditions(blur=0.4, drift=2.0, drift_angle=20.0, astigmatism=50.0, coma=800.0, trefoil=900.0)
    image = expected_intensity(np.ones((64, 64), kind), EXTENT, 180, 300e3, c)
    assert np.abs(image - 1).max() < tolerance
    assert image.dtype == np.real(kind()).dtype


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


def test_blur_and_drift_conserve_the_mean():
    wave = random_wave(np.random.default_rng(7))
    sharp = expected_intensity(wave, EXTENT, 150, 300e3, conditions())
    for changes in ({"blur": 0.8}, {"drift": 3.0, "drift_angle": 77.0}, {"blur": 0.3, "drift": 1.0}):
        soft = expected_intensity(wave, EXTENT, 150, 300e3, conditions(**changes))
        assert soft.mean() == pytest.approx(sharp.mean(), rel=1e-12)
        assert soft.std() < 0.95 * sharp.std()


@pytest.mark.parametrize("angle", [0.0, 90.0, 35.0, 200.0])
def test_drift_is_the_mean_of_images_along_a_straight_way(angle):
    """Against the mean of 200 shifted images; the direction goes from x (columns) towards y (rows)."""
    image = expected_intensity(random_wave(np.random.default_rng(8)), EXTENT, 150, 300e3, conditions())
    q = np.fft.fftfreq(150, EXTENT / 150)
    dx, dy = 2.5 * np.cos(np.deg2rad(angle)), 2.5 * np.sin(np.deg2rad(angle))
    steps = (np.arange(200) + 0.5) / 200 - 0.5
    shifts = np.exp(-2j * np.pi * np.multiply.outer(steps, dy * q[:, None] + dx * q[None, :]))
    expected = np.fft.ifft2(np.fft.fft2(image) * shifts.mean(axis=0)).real
    moved = conditions(drift=2.5, drift_angle=angle)
    drifted = expected_intensity(random_wave(np.random.default_rng(8)), EXTENT, 150, 300e3, moved)
    assert np.abs(drifted - expected).max() < 1e-4 * image.std()
    assert np.abs(drifted - image).max() > image.std()


@given(st.integers(9, 70), st.integers(9, 300))
@settings(max_examples=40, deadline=None)
def test_squaring_the_wave_aliases_nothing_into_the_image(n, gpts):
    """Against an image on a grid four times as fine, from which every frequency is taken by itself."""
    rng = np.random.default_rng(n)
    wave = 1 + 0.2 * (rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n)))
    # Of an even grid the Nyquist frequency is dropped, by definition.
    wave = fourier_resample(fourier_resample(wave, n + 1), n) if n % 2 == 0 else wave
    image = expected_intensity(wave, n * 0.2, gpts, 300e3, conditions(focal_spread=0.0, defocus=0.0, cs=0.0))
    fine = np.fft.fft2(np.abs(fourier_resample(wave, 4 * n)) ** 2) / (4 * n) ** 2
    ours = np.fft.fft2(image) / gpts**2
    keep = min((gpts - 1) // 2, n)
    inside = np.arange(-keep, keep + 1)
    assert np.abs(ours[np.ix_(inside, inside)] - fine[np.ix_(inside, inside)]).max() < 1e-12


@pytest.mark.parametrize(("kind", "tolerance"), [(np.complex64, 3e-6), (np.complex128, 1e-12)])
def test_what_envelope_and_blur_leave_out_is_below_rounding(kind, tolerance):
    """Against all frequencies, where the strongest blur and the widest focal spread cut most of them."""
    phase = np.random.default_rng(6).normal(size=(160, 160))
    wave, c = np.exp(0.5j * phase), conditions(focal_spread=20.0, blur=0.8)
    q = np.fft.fftfreq(160, EXTENT / 160)
    lens = transfer_function(q[:, None], q[None, :], 300e3, c)
    lens[80], lens[:, 80] = 0, 0
    fine = fourier_resample(np.fft.ifft2(np.fft.fft2(wave) * lens), 320)
    q = np.fft.fftfreq(320, EXTENT / 320)
    blur = np.exp(-2 * np.pi**2 * c.blur**2 * (q[:, None] ** 2 + q[None, :] ** 2))
    expected = np.fft.ifft2(np.fft.fft2(np.abs(fine) ** 2) * blur).real
    image = expected_intensity(wave.astype(kind), EXTENT, 320, 300e3, c)
    assert np.abs(image - expected).max() < tolerance
    assert expected.std() > 0.001


@pytest.mark.parametrize("gpts", [80, 81, 1])
def test_a_view_is_the_middle_of_the_image(gpts):
    wave, c = random_wave(np.random.default_rng(9)), conditions(blur=0.3, drift=1.0)
    whole = expected_intensity(wave, EXTENT, 149, 300e3, c)
    first = (149 - gpts) // 2
    view = expected_view(wave_spectrum(wave), EXTENT, 149, gpts, 300e3, c)
    assert np.abs(view - whole[first : first + gpts, first : first + gpts]).max() < 1e-13


def some_conditions(count):
    ranges = ConditionRanges.model_validate(
        {
            name: {"low": 0.0, "high": high}
            for name, high in (("astigmatism", 100.0), ("coma", 3e3), ("trefoil", 3e3), ("drift", 2.0))
        }
        | {"sampling": {"low": 0.1, "high": 0.2}}
    )
    rng = np.random.default_rng(5)
    return [ranges.draw(rng) for _ in range(count)]


@pytest.mark.parametrize("package", ["numpy", "torch"])
def test_a_batch_has_the_images_of_its_items(package):
    items, rng = some_conditions(3), np.random.default_rng(3)
    waves = np.stack([[random_wave(rng), random_wave(rng)] for _ in items])
    given_waves = torch.from_numpy(waves) if package == "torch" else waves
    batch = np.asarray(expected_intensity(given_waves, EXTENT, 130, 300e3, items))
    assert batch.shape == (3, 2, 130, 130)
    for wave, item, images in zip(waves, items, batch, strict=True):
        assert np.abs(images - expected_intensity(wave, EXTENT, 130, 300e3, item)).max() < 1e-12
    assert np.abs(batch[0] - expected_intensity(waves[0], EXTENT, 130, 300e3, items[1])).max() > 1e-2


def test_views_of_a_batch_are_cropped_at_their_own_pixel_size():
    items, rng = some_conditions(3), np.random.default_rng(4)
    waves = np.stack([random_wave(rng) for _ in items])
    views = expected_views(waves, EXTENT, 80, 300e3, items)
    for wave, item, view in zip(waves, items, views, strict=True):
        cell = round(EXTENT / item.sampling)
        first = (cell - 80) // 2
        whole = expected_intensity(wave, EXTENT, cell, 300e3, item)
        assert np.abs(view - whole[first : first + 80, first : first + 80]).max() < 1e-12
    assert len({round(EXTENT / item.sampling) for item in items}) == 3
    with pytest.raises(ValueError, match="gpts must be at most"):
        expected_views(waves, EXTENT, 200, 300e3, items)


@pytest.mark.parametrize("shape", [(3, 16, 16), (16, 16)])
def test_conditions_that_do_not_match_the_batch_are_refused(shape):
    with pytest.raises(ValueError, match="give one object, or one for each item"):
        expected_intensity(np.ones(shape, complex), EXTENT, 32, 300e3, some_conditions(2))


def test_torch_in_single_precision_gives_numpys_images():
    items, rng = some_conditions(4), np.random.default_rng(2)
    waves = np.stack([random_wave(rng) for _ in items])
    reference = expected_intensity(waves, EXTENT, 96, 300e3, items)
    ours = expected_intensity(torch.from_numpy(waves.astype(np.complex64)), EXTENT, 96, 300e3, items)
    assert ours.dtype == torch.float32
    assert np.abs(ours.numpy() - reference).max() < 1e-4


def test_new_conditions_leave_the_old_draws_as_they_were():
    """The first six values are those of Table 1 alone, drawn in this order; what is not asked for is 0."""
    drawn = ConditionRanges().draw(np.random.default_rng(11))
    rng, ranges = np.random.default_rng(11), ConditionRanges()
    for name in ("defocus", "cs", "focal_spread", "blur", "sampling", "dose"):
        assert getattr(drawn, name) == getattr(ranges, name).draw(rng)
    assert drawn.astigmatism == drawn.coma == drawn.trefoil == drawn.drift == 0
    angles = [ConditionRanges().draw(rng).coma_angle for _ in range(400)]
    assert np.histogram(angles, bins=4, range=(0, 360))[0].min() > 50
