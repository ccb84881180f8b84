"""The observers that know the signal, against analytic cases and against their own statistics on drawn frames."""

import numpy as np
import pytest
from scipy.stats import norm

from framedose.camera.mtf import TransferCurve
from framedose.camera.noise import Camera, detect, sum_pixels
from framedose.errors import ImageError
from framedose.evaluation.physics.counts import (
    count_separation,
    count_skewness,
    electrons_to_count,
    log_likelihood_ratio,
)
from framedose.evaluation.physics.frames import FrameModel
from framedose.evaluation.physics.prewhitening import (
    electrons_for,
    frame_d_prime,
    frame_separation,
    observer_statistic,
    observer_template,
    patch_d_primes,
    signal_d_prime,
)
from framedose.random import generator

SIZE = 48
IDEAL = Camera(mtf_table=TransferCurve(frequency=(0, 2), value=(1, 1)), readout=0.0)
REAL = Camera(c0=0.3, c3=2.5, readout=0.3)
FRAMES = 1500


def images(contrast=0.1, size=SIZE):
    """Expected images with and without a disc of fringes on an uneven background."""
    y, x = np.mgrid[:size, :size]
    disc = (y - 20) ** 2 + (x - 26) ** 2 < (size / 4) ** 2
    without = 1 + 0.05 * np.cos(2 * np.pi * (x + y) / 24)
    return without + contrast * disc * (0.5 * np.cos(2 * np.pi * x / 8) + np.cos(2 * np.pi * y / 5)), without, disc


def test_white_noise_has_the_analytic_value():
    one, zero, _ = images()
    model = FrameModel(IDEAL, (SIZE, SIZE))
    electrons = np.array([0.5, 2.0, 30.0])
    expected = np.sqrt(electrons * ((one - zero) ** 2).sum() / 1.1)
    assert frame_d_prime(model, one - zero, electrons, mean=1.1) == pytest.approx(expected, rel=1e-10)
    # White readout adds to white shot noise.
    noisy = FrameModel(IDEAL.model_copy(update={"readout": 0.7}), (SIZE, SIZE))
    expected = np.sqrt(4.0 * ((one - zero) ** 2).sum() / (2.0 + 0.7))
    assert frame_d_prime(noisy, one - zero, 2.0) == pytest.approx(expected, rel=1e-10)


def test_it_is_the_sum_over_the_whole_plane_as_written():
    for shape in ((24, 30), (25, 31)):
        difference = np.random.default_rng(1).normal(size=shape)
        q = 2 * np.hypot(*np.meshgrid(np.fft.fftfreq(shape[0]), np.fft.fftfreq(shape[1]), indexing="ij"))
        power = REAL.mtf(q) ** 2
        terms = power * np.abs(np.fft.fft2(difference)) ** 2 / (2.0 * 0.9 * power + REAL.readout)
        expected = np.sqrt(2.0**2 / difference.size * terms.sum())
        assert frame_d_prime(FrameModel(REAL, shape), difference, 2.0, mean=0.9) == pytest.approx(expected, rel=1e-10)


def test_no_difference_is_not_seen():
    one, zero, disc = images(contrast=0.0)
    model = FrameModel(REAL, (SIZE, SIZE))
    assert frame_d_prime(model, one - zero, 5.0) == 0
    assert electrons_for(model, one - zero, 3.0) == np.inf
    counts = count_separation(one, zero, [1.0, 10.0])
    assert counts.d_prime.tolist() == [0, 0]
    assert counts.auc.tolist() == [0.5, 0.5]
    assert counts.found(0.01).tolist() == [0.01, 0.01]
    assert electrons_to_count(one, zero) == np.inf
    assert count_skewness(one, zero, 1.0) == 0
    assert patch_d_primes(model, one - zero, disc, 6, 1.0).max() == 0


def drawn(binning, image, camera=REAL, electrons=3.0, name="frames"):
    batch = np.broadcast_to(image.astype(np.float32), (FRAMES, *image.shape))
    return sum_pixels(detect(batch, electrons, camera, generator(5, name)), binning)


@pytest.fixture(scope="module", params=[1, 2])
def monte_carlo(request):
    """The statistic of (b) on frames by Eq. 3 with and without the particle, and what it was made with."""
    one, zero, _ = images()
    binning, electrons = request.param, 3.0
    model = FrameModel(REAL, (SIZE // binning,) * 2, binning)
    template = observer_template(model, one - zero, electrons)
    background = model.expected(zero, electrons)
    seen = [
        observer_statistic(drawn(binning, image, name=f"{i}"), template, background)
        for i, image in enumerate((zero, one))
    ]
    return model, one - zero, electrons, seen


def test_prewhitening_formula_holds_for_its_statistic_on_frames(monte_carlo):
    model, difference, electrons, (null, found) = monte_carlo
    d = float(frame_d_prime(model, difference, electrons))
    assert abs(null.mean()) < 5 * null.std() / np.sqrt(FRAMES)
    measured = (found.mean() - null.mean()) / np.sqrt((null.var() + found.var()) / 2)
    assert abs(measured / d - 1) < 5 * ratio_error(d)
    for scores in (null, found):
        # The relative standard error of a normal variance.
        assert abs(scores.var() / d**2 - 1) < 5 * np.sqrt(2 / FRAMES)


def ratio_error(d):
    """Relative standard error of a measured d': means of both, and one pooled variance of twice the frames."""
    return np.sqrt(2 / FRAMES / d**2 + 1 / (4 * FRAMES))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda q: (REAL.mtf(q), 0.0),  # forgets the readout
        lambda q: (REAL.mtf(q) ** 2, REAL.readout),  # squares the MTF
        lambda q: (REAL.mtf(q) ** 0.5, REAL.readout),  # roots the MTF
    ],
)
def test_wrong_models_are_told_from_it(monte_carlo, wrong):
    model, difference, electrons, (null, found) = monte_carlo
    grid = np.linspace(0, 2, 400)
    values, readout = wrong(grid)
    camera = Camera(mtf_table=TransferCurve(frequency=tuple(grid), value=tuple(values)), readout=readout)
    other = FrameModel(camera, model.shape, model.binning)
    d = float(frame_d_prime(other, difference, electrons))
    measured = (found.mean() - null.mean()) / np.sqrt((null.var() + found.var()) / 2)
    assert abs(measured / d - 1) > 5 * ratio_error(d)


def test_no_other_linear_template_does_better():
    one, zero, _ = images()
    model, electrons = FrameModel(REAL, (SIZE, SIZE)), 3.0
    signal = electrons * model.transferred(one - zero)
    noise, best = model.noise(electrons), observer_template(model, one - zero, electrons)
    rng = np.random.default_rng(2)

    def d_prime(template):
        variance = model.over_plane(np.abs(np.fft.rfft2(template)) ** 2 * noise) / template.size
        return (template * signal).sum() / np.sqrt(variance)

    assert d_prime(best) == pytest.approx(frame_d_prime(model, one - zero, electrons), rel=1e-9)
    for other in (signal, *(best + 0.3 * best.std() * rng.normal(size=best.shape) for _ in range(5))):
        assert d_prime(other) < d_prime(best)


def test_summing_pixels_and_an_unknown_level_can_only_lose():
    one, zero, _ = images()
    lost = [float(frame_d_prime(FrameModel(REAL, (SIZE // b,) * 2, b), one - zero, 3.0)) for b in (1, 2, 4)]
    assert lost[0] > lost[1] > lost[2]
    known = FrameModel(REAL, (SIZE, SIZE))
    blind = FrameModel(REAL, (SIZE, SIZE), level_known=False)
    raised = one - zero + 0.01
    assert frame_d_prime(blind, raised, 3.0) == pytest.approx(frame_d_prime(blind, one - zero, 3.0), rel=1e-9)
    assert frame_d_prime(known, raised, 3.0) > frame_d_prime(known, one - zero, 3.0)


def test_noise_of_summed_white_frames_is_the_sum_of_variances():
    camera = IDEAL.model_copy(update={"readout": 0.2, "excess_noise": 1.5})
    for size, binning in ((12, 4), (15, 3)):
        spectrum = FrameModel(camera, (size, size), binning).noise(2.0)
        assert spectrum == pytest.approx(np.full(spectrum.shape, binning**2 * (1.5 * 2.0 + 0.2)))


@pytest.mark.parametrize("electrons", [2.0, 8.0])
def test_counts_follow_the_exact_moments_and_the_normal_formula(electrons):
    one, zero, _ = images(contrast=0.3)
    zero, one = zero.clip(0), one.clip(0)
    expected = count_separation(one, zero, electrons)
    rng = np.random.default_rng(3)
    n = 2000
    null, found = (
        log_likelihood_ratio(rng.poisson(electrons * image, (n, SIZE, SIZE)), one, zero, electrons)
        for image in (zero, one)
    )
    spread = np.hypot(expected.deviation_without, expected.deviation_with)
    assert abs(found.mean() - null.mean() - expected.distance) < 5 * spread / np.sqrt(n)
    for scores, deviation in ((null, expected.deviation_without), (found, expected.deviation_with)):
        assert abs(scores.var() / deviation**2 - 1) < 5 * np.sqrt(2 / n)
    # L itself is the log of a ratio of probabilities: exp(L) has mean 1 without the particle, if it is drawn at all.
    share = (found > np.quantile(null, 0.99)).mean()
    assert abs(share - expected.found(0.01)) < 0.03
    auc = (found[:, None] > null[None, ::10]).mean()
    assert abs(auc - expected.auc) < 0.02


def test_likelihood_ratio_averages_to_one_without_the_particle():
    one, zero, _ = images(contrast=0.02)
    counts = np.random.default_rng(4).poisson(2.0 * zero, (2000, SIZE, SIZE))
    ratio = np.exp(log_likelihood_ratio(counts, one, zero, 2.0))
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / np.sqrt(len(ratio))


def test_few_electrons_are_flagged_by_the_skewness():
    zero = np.full((8, 8), 0.02)
    one = zero.copy()
    one[2, 2] = 1.0
    assert count_skewness(one, zero, 1.0) > 2
    assert count_skewness(one, zero, 1e4) == pytest.approx(count_skewness(one, zero, 1.0) / 100)


def test_dark_pixels_stay_finite():
    zero = np.ones((4, 4))
    one = zero.copy()
    one[1, 1] = 0.0
    assert np.isfinite(log_likelihood_ratio(np.ones((4, 4)), one, zero, 1.0))
    # An electron on the dark pixel speaks against it as strongly as the least intensity says.
    assert log_likelihood_ratio(np.ones((4, 4)), one, zero, 1.0, least=1e-3) == pytest.approx(np.log(1e-3) + 1 - 1e-3)


def test_dose_for_a_target_reaches_it():
    one, zero, _ = images()
    model = FrameModel(REAL, (SIZE, SIZE))
    target = norm.isf(0.01) + norm.isf(0.05)
    electrons = electrons_for(model, one - zero, target)
    assert float(frame_separation(frame_d_prime(model, one - zero, electrons)).found(0.01)) == pytest.approx(0.95)
    assert count_separation(one, zero, electrons_to_count(one, zero)).found(0.01) == pytest.approx(0.95)
    # The camera and the linear form cost dose; the floor is below.
    assert electrons_to_count(one, zero) < electrons


def test_likelihood_ratio_and_ideal_camera_agree_for_little_contrast():
    one, zero, _ = images(contrast=0.01)
    flat = np.ones_like(zero)
    weak = flat + (one - zero)
    linear = frame_d_prime(FrameModel(IDEAL, (SIZE, SIZE)), weak - flat, 50.0)
    assert count_separation(weak, flat, 50.0).d_prime == pytest.approx(linear, rel=1e-3)


def test_patches_tile_the_particle():
    one, zero, disc = images()
    model = FrameModel(IDEAL, (SIZE, SIZE))
    found = patch_d_primes(model, one - zero, disc, 6, [1.0, 4.0])
    assert found.shape[1] == 2
    assert 4 <= len(found) <= disc.sum() / 36
    # White noise: the d'^2 of the patches add up to at most that of the particle.
    whole = frame_d_prime(model, one - zero, 1.0)
    assert 0.3 * whole**2 < (found[:, 0] ** 2).sum() <= whole**2
    assert found[:, 1] == pytest.approx(2 * found[:, 0])
    assert patch_d_primes(model, one - zero, disc, 40, [1.0, 4.0]).shape == (0, 2)
    half = FrameModel(IDEAL, (SIZE // 2,) * 2, 2)
    assert len(patch_d_primes(half, one - zero, disc[::2, ::2], 3, 1.0)) > 3


def test_margin_is_cropped_and_the_mean_frame_is_right():
    one, _, _ = images()
    model = FrameModel(REAL, (16, 16), 2, 8)
    assert model.detected == (SIZE, SIZE)
    frames = drawn(1, one, name="margin")[:300, 8:-8, 8:-8]
    mean = sum_pixels(frames, 2).mean(axis=0)
    error = np.sqrt(4 * (3.0 * 1.3 + REAL.readout) / 300)
    assert np.abs(mean - model.expected(one, 3.0)).max() < 5 * error
    assert signal_d_prime(model, model.transferred(one), 1.0) == frame_d_prime(model, one, 1.0)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: FrameModel(REAL, (8, 8), 0), "binning"),
        (lambda: frame_d_prime(FrameModel(REAL, (8, 8)), np.ones((9, 8)), 1.0), "camera pixels"),
        (lambda: count_separation(np.ones((3, 3)), np.ones((3, 4)), 1.0), "one shape"),
        (lambda: count_separation(np.ones((3, 3)), np.ones((3, 3)), 1.0, least=0.0), "least"),
        (lambda: patch_d_primes(FrameModel(REAL, (8, 8)), np.ones((8, 8)), np.ones((8, 8)), 0, 1.0), "side"),
        (lambda: patch_d_primes(FrameModel(REAL, (8, 8)), np.ones((8, 8)), np.ones((4, 8)), 2, 1.0), "mask"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ImageError, match=says):
        call()
