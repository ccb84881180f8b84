"""The averaged observer: the known one where nothing is averaged, and calibrated where its prior is the truth."""

import numpy as np
import pytest
from scipy.stats import norm

from framedose.camera.noise import Camera, detect, sum_pixels
from framedose.errors import ConfigurationError, ImageError
from framedose.evaluation.limits import dose_limit
from framedose.evaluation.physics.frames import FrameModel
from framedose.evaluation.physics.limits import detection
from framedose.evaluation.physics.prewhitening import frame_d_prime, observer_statistic, observer_template
from framedose.evaluation.physics.task import (
    TemplateBank,
    log_evidence,
    log_evidences,
    particle_probability,
    template_bank,
)
from framedose.random import generator

SIZE, BINNING = 32, 2
CAMERA = Camera(c0=0.4, c3=2.5, readout=0.05, readout_noise="gaussian")
MODEL = FrameModel(CAMERA, (SIZE // BINNING,) * 2, BINNING)
ELECTRONS = 20.0


def templates(contrast=0.11):
    """Four particles of different fringes and sizes: difference images and masks."""
    y, x = np.mgrid[:SIZE, :SIZE]
    differences, masks = [], []
    for period, radius, angle in ((8, 6, 0.0), (8, 9, 1.0), (6, 6, 2.0), (10, 8, 2.6)):
        disc = (y - 14) ** 2 + (x - 14) ** 2 < radius**2
        fringes = np.cos(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
        differences.append(contrast * disc * fringes)
        masks.append(disc[::BINNING, ::BINNING])
    return np.array(differences), np.array(masks)


def frames_of(images, name):
    frames = detect(np.asarray(images, np.float32), ELECTRONS, CAMERA, generator(7, name))
    return sum_pixels(frames, BINNING).astype(np.float64)


def test_one_template_at_one_place_is_the_observer_that_knows_the_signal():
    (difference, *_), (mask, *_) = templates()
    here = np.zeros(MODEL.shape, bool)
    here[0, 0] = True
    bank = template_bank(MODEL, [difference], mask[None], shifts=here)
    frames = frames_of(np.broadcast_to(1 + difference, (6, SIZE, SIZE)), "one")
    background = MODEL.expected(np.ones((SIZE, SIZE)), ELECTRONS)
    d = frame_d_prime(MODEL, difference, ELECTRONS)
    known = observer_statistic(frames, observer_template(MODEL, difference, ELECTRONS), background) - d**2 / 2
    evidences = log_evidences(frames - background, bank, ELECTRONS)
    assert evidences[:, 0] == pytest.approx(known, rel=1e-9)
    assert log_evidence(evidences) == pytest.approx(known, rel=1e-9)
    # The one place is all that the posterior can say: the mask times the probability that there is a particle.
    probability = particle_probability(frames - background, bank, ELECTRONS, evidences, prior=0.3)
    present = 1 / (1 + np.exp(-known) * 0.7 / 0.3)
    assert probability == pytest.approx(present[:, None, None] * mask, abs=1e-6)


def test_evidence_is_the_mean_over_all_that_may_be():
    differences, masks = templates()
    allowed = np.zeros(MODEL.shape, bool)
    allowed[:3, 5] = True
    amplitudes = (0.5, 1.0)
    bank = template_bank(MODEL, differences, masks, shifts=allowed, amplitudes=amplitudes)
    residual = frames_of(np.ones((1, SIZE, SIZE)), "mean") - ELECTRONS * BINNING**2
    terms = []
    for difference in differences:
        d = frame_d_prime(MODEL, difference, ELECTRONS)
        for shift in np.argwhere(allowed):
            moved = np.roll(difference, shift * BINNING, axis=(0, 1))
            t = observer_statistic(residual[0], observer_template(MODEL, moved, ELECTRONS), 0.0)
            terms += [np.exp(a * t - a**2 * d**2 / 2) for a in amplitudes]
    evidence = log_evidence(log_evidences(residual, bank, ELECTRONS))
    assert evidence[0] == pytest.approx(np.log(np.mean(terms)), rel=1e-9)


def prior_frames(count):
    """Frames drawn from the prior: half without a particle, else any template anywhere; and their masks."""
    differences, masks = templates()
    rng = np.random.default_rng(11)
    shown, truth = np.ones((count, SIZE, SIZE)), np.zeros((count, *MODEL.shape), bool)
    for i in np.flatnonzero(rng.random(count) < 0.5):
        k, shift = rng.integers(len(differences)), rng.integers(MODEL.shape[0], size=2)
        shown[i] += np.roll(differences[k], shift * BINNING, axis=(0, 1))
        truth[i] = np.roll(masks[k], shift, axis=(0, 1))
    bank = template_bank(MODEL, differences, masks)
    residuals = frames_of(shown, "prior") - MODEL.expected(np.ones((SIZE, SIZE)), ELECTRONS)
    return residuals, truth, bank


def reliability(probability, truth, bins=10):
    """Mean of probability less truth in each bin, in standard errors over frames: pixels of a frame go together."""
    deviations = []
    index = np.minimum((probability * bins).astype(int), bins - 1)
    for which in range(bins):
        sums = np.where(index == which, probability - truth, 0).sum(axis=(1, 2))
        if np.count_nonzero(sums) > 35:
            deviations.append(sums.mean() / (sums.std() / np.sqrt(len(sums))))
    return np.array(deviations)


def test_probabilities_are_calibrated_on_frames_drawn_from_the_prior():
    residuals, truth, bank = prior_frames(600)
    evidences = log_evidences(residuals, bank, ELECTRONS)
    probability = particle_probability(residuals, bank, ELECTRONS, evidences)
    assert probability.min() >= 0
    assert probability.max() <= 1
    # Neither hopeless nor certain: the test says something.
    present = truth.any(axis=(1, 2))
    called = log_evidence(evidences) > 0
    assert 0.7 < (called == present).mean() < 0.95
    deviations = reliability(probability, truth)
    assert len(deviations) >= 8
    assert np.abs(deviations).max() < 5
    # It tells: with another prior, or another dose, they are not calibrated.
    for wrong in (
        particle_probability(residuals, bank, ELECTRONS, evidences, prior=0.1),
        particle_probability(residuals, bank, 2 * ELECTRONS, log_evidences(residuals, bank, 2 * ELECTRONS)),
    ):
        assert np.abs(reliability(wrong, truth)).max() > 5


def test_evidence_averages_to_one_without_a_particle():
    # Little contrast: the mean of the exponential of a strong statistic is made by frames that are too rare to draw.
    differences, masks = templates(contrast=0.05)
    residuals = frames_of(np.ones((1000, SIZE, SIZE)), "null") - ELECTRONS * BINNING**2
    ratio = np.exp(log_evidence(log_evidences(residuals, template_bank(MODEL, differences, masks), ELECTRONS)))
    assert ratio.std() > 0.05
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / np.sqrt(len(ratio))


def test_an_unknown_level_does_not_matter_to_an_observer_without_it():
    differences, masks = templates()
    blind = FrameModel(CAMERA, MODEL.shape, BINNING, level_known=False)
    bank = template_bank(blind, differences - 0.02, masks)
    residual = frames_of(np.ones((2, SIZE, SIZE)), "level") - ELECTRONS * BINNING**2
    assert log_evidences(residual + 5.0, bank, ELECTRONS) == pytest.approx(
        log_evidences(residual, bank, ELECTRONS), rel=1e-6
    )


def test_single_precision_is_enough():
    residuals, _, bank = prior_frames(8)
    single = TemplateBank(MODEL, bank.spectra.astype(np.complex64), bank.masks)
    exact, found = (
        log_evidences(values, each, ELECTRONS)
        for values, each in ((residuals, bank), (residuals.astype(np.float32), single))
    )
    assert found == pytest.approx(exact, abs=1e-3)


def test_detection_dose_of_known_scores_is_the_analytic_one():
    """Scores of spread 1 and distance sqrt(dose): 95 % at 1 % false where the distance is 2.326 + 1.645."""
    rng = np.random.default_rng(12)
    doses = np.geomspace(4, 64, 9)
    scores = rng.normal(size=(200, 4, 9)) + np.sqrt(doses)
    found = detection(doses, scores, rng.normal(size=(4000, 9)), resamples=100, rng=rng)
    exact = (norm.isf(0.01) + norm.isf(0.05)) ** 2
    assert found.dose.low < exact < found.dose.high
    assert found.dose.value == pytest.approx(exact, rel=0.1)
    expected = norm.cdf(np.sqrt(doses) - norm.isf(0.01))
    assert np.abs(np.array(found.found) - expected).max() < 0.06


def test_few_null_frames_and_single_structures_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ConfigurationError, match="at least 100 frames"):
        detection([1, 2], np.zeros((3, 2, 2)), np.zeros((99, 2)), rng=rng)
    with pytest.raises(ConfigurationError, match="at least two"):
        detection([1, 2], np.zeros((1, 2, 2)), np.zeros((100, 2)), rng=rng)


def test_never_found_has_no_dose_and_always_found_is_flagged():
    rng = np.random.default_rng(1)
    null = rng.normal(size=(200, 3))
    never = detection([1, 2, 4], np.full((4, 2, 3), -9.0), null, resamples=50, rng=rng)
    assert never.dose.value is None
    always = detection([1, 2, 4], np.full((4, 2, 3), 9.0), null, resamples=50, rng=rng)
    assert (always.dose.value, always.dose.at_or_below) == (1.0, True)


def test_dose_reached_is_the_crossing_of_the_mean():
    shares = np.array([[0.0, 0.4, 1.0], [0.2, 0.8, 1.0]])
    limit = dose_limit([1, 10, 100], shares, target=0.8, resamples=100, rng=np.random.default_rng(0))
    assert limit.value == pytest.approx(10 * 10**0.5)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda d, m: template_bank(MODEL, d[:0], m), "at least one template"),
        (lambda d, m: template_bank(MODEL, d, m[:2]), "mask"),
        (lambda d, m: template_bank(MODEL, d, m, amplitudes=(0.0,)), "amplitudes"),
        (lambda d, m: template_bank(MODEL, d, m, shifts=np.zeros(MODEL.shape, bool)), "shifts"),
        (lambda d, m: log_evidences(np.zeros((2, 4, 4)), template_bank(MODEL, d, m), 1.0), "residuals"),
        (
            lambda d, m: particle_probability(
                np.zeros((1, *MODEL.shape)), template_bank(MODEL, d, m), 1.0, np.zeros((1, 4)), prior=1.0
            ),
            "prior",
        ),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ImageError, match=says):
        call(*templates())
