"""The baselines on a lattice in a disc, simulated with a camera, and on vacuum."""

from functools import cache

import numpy as np
import pytest

from framedose.camera.noise import Camera, detect
from framedose.errors import CalibrationError, ImageError
from framedose.evaluation.baselines import BraggOtsu, LocalVariance, MatchedLattice, Tuning, tune
from framedose.evaluation.measure import measure
from framedose.random import generator

SIZE, SAMPLING = 96, 0.3
CAMERA = Camera(c0=0.4, c3=2.5, readout=0.01)
DOSES = (300.0, 1000.0, 3000.0)
PARTICLES, EMPTY = 6, 4
BASELINES = [BraggOtsu(), LocalVariance(), MatchedLattice()]
# F1 that each must reach on frames that it was not tuned on.
LEAST_F1 = {"bragg_otsu": 0.7, "local_variance": 0.6, "matched_lattice": 0.8}


def particle(rng, contrast=0.06):
    """Three sets of fringes of Au along [110] in a disc, anywhere and in any orientation."""
    y, x = (np.mgrid[:SIZE, :SIZE] - SIZE / 2) * SAMPLING
    centre, radius, turned = rng.uniform(-3, 3, 2), rng.uniform(6, 8), rng.uniform(0, np.pi)
    mask = np.hypot(y - centre[0], x - centre[1]) < radius
    fringes = 0
    for spacing, angle in ((2.355, 54.74), (2.355, -54.74), (2.039, 0.0)):
        direction = turned + np.deg2rad(angle)
        phase = 2 * np.pi * (y * np.sin(direction) + x * np.cos(direction)) / spacing
        fringes = fringes + contrast * np.cos(phase + rng.uniform(0, 2 * np.pi))
    return (1 + mask * (fringes - 0.03)).astype(np.float32), mask


@cache
def series(name, dose):
    """Frames and masks of particles at a dose, then of vacuum."""
    drawn = [particle(generator(0, name, i)) for i in range(PARTICLES)]
    drawn += [(np.ones((SIZE, SIZE), np.float32), np.zeros((SIZE, SIZE), bool))] * EMPTY
    electrons = dose * SAMPLING**2
    frames = [detect(each, electrons, CAMERA, generator(1, name, f"{dose}", i)) for i, (each, _) in enumerate(drawn)]
    return np.stack(frames), np.stack([mask for _, mask in drawn])


def validation():
    parts = [series("validation", dose) for dose in DOSES]
    return tuple(np.concatenate(items) for items in zip(*parts, strict=True))


@cache
def tuned(baseline):
    frames, masks = validation()
    some = [baseline.model_copy(update={"smoothing": value}) for value in (2.0, 3.0)]
    return tune(baseline, frames, masks, SAMPLING, variants=some)


class Unseen:
    """A series for :func:`measure`."""

    doses = np.array(DOSES)

    def __init__(self):
        self.masks = series("test", DOSES[0])[1][:PARTICLES]

    def samplings(self, kind):
        return np.full({"particle": PARTICLES, "vacuum": len(self.vacuum(0)), "support": 0}[kind], SAMPLING)

    def images(self, dose_index):
        return series("test", DOSES[dose_index])[0][:PARTICLES]

    def vacuum(self, dose_index):
        return series("test", DOSES[dose_index])[0][PARTICLES:]

    def support(self, dose_index):
        return np.zeros((0, SIZE, SIZE), np.float32)


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda item: item.name)
class TestEach:
    def test_a_lattice_is_found_and_vacuum_is_not(self, baseline):
        result = tuned(baseline)
        counts = measure(result.baseline.predictor(SAMPLING), Unseen(), threshold=result.baseline.threshold).counts()
        assert counts.f1[:, -1].mean() > LEAST_F1[baseline.name]
        false = counts.vacuum_predicted / counts.pixels
        if baseline.name == "bragg_otsu":
            # Otsu parts noise into two classes as well: what the null test is there for.
            assert false.mean() > 0.2
            assert result.false_area > 0.1
        else:
            assert false.mean() < result.false_area + 5 * false.std() / np.sqrt(false.size) + 0.01
            assert result.false_area < 0.2

    def test_gain_and_offset_change_nothing(self, baseline):
        frames = series("test", 1000.0)[0][:2]
        score = baseline.score(frames, SAMPLING)
        assert score.shape == frames.shape
        assert score.dtype == np.float32
        assert 0 <= score.min() < score.max() <= 1
        np.testing.assert_allclose(baseline.score(37 * frames.astype(float) + 1000, SAMPLING), score, atol=1e-4)

    def test_frames_do_not_see_each_other(self, baseline):
        frames = series("test", 1000.0)[0][:2]
        np.testing.assert_array_equal(baseline.score(frames, SAMPLING)[1:], baseline.score(frames[1:], SAMPLING))

    def test_the_tuning_goes_through_json(self, baseline):
        result = Tuning(baseline=baseline, f1=0.5, false_area=0.1, frames=3)
        assert Tuning.model_validate_json(result.model_dump_json()) == result
        assert type(Tuning.model_validate_json(result.model_dump_json()).baseline) is type(baseline)

    @pytest.mark.parametrize(
        "frames", [np.ones((4, 4)), np.zeros((0, 4, 4)), np.full((1, 4, 4), np.nan), np.ones((1, 4, 4))]
    )
    def test_wrong_frames(self, baseline, frames):
        with pytest.raises(ImageError, match="frames must"):
            baseline.score(frames, SAMPLING)

    @pytest.mark.parametrize("sampling", [0.0, -1.0, float("nan")])
    def test_wrong_sampling(self, baseline, sampling):
        with pytest.raises(CalibrationError, match="sampling must be"):
            baseline.score(np.random.default_rng(0).random((1, 8, 8)), sampling)

    def test_pixels_too_coarse_for_the_lattice(self, baseline):
        frames = np.random.default_rng(0).random((1, 32, 32))
        if baseline.name == "local_variance":
            assert baseline.score(frames, 1.1).shape == frames.shape
        else:
            with pytest.raises(CalibrationError, match=r"1\.1 Å/px is too coarse .* 2\.039 Å"):
                baseline.score(frames, 1.1)


def test_tuning_finds_the_best_threshold():
    baseline, (frames, masks) = LocalVariance(smoothing=3.0), series("validation", 3000.0)
    result = tune(baseline, frames, masks, SAMPLING, variants=[baseline])
    score = baseline.score(frames, SAMPLING)

    def mean_f1(threshold):
        found = score >= threshold
        hit, total = (found & masks).sum(axis=(1, 2)), found.sum(axis=(1, 2)) + masks.sum(axis=(1, 2))
        return np.where(total > 0, 2 * hit / np.maximum(total, 1), 1).mean()

    assert result.f1 == pytest.approx(mean_f1(np.float32(result.baseline.threshold)))
    assert result.f1 >= max(mean_f1(threshold) for threshold in baseline.thresholds()) - 1e-12
    found = score >= np.float32(result.baseline.threshold)
    assert result.false_area == pytest.approx((found & ~masks).sum() / (~masks).sum())


def test_the_lattice_filter_knows_its_noise():
    """On white noise each sum of three powers over their expectation has the mean 3, of any azimuth."""
    frame = np.random.default_rng(0).normal(size=(1, 256, 256))
    score = MatchedLattice(azimuths=1).score(frame, SAMPLING)
    evidence = score / (1 - score)
    # About (77 Å)² / (4 pi 4² / 2 Å2) = 59 independent places and three powers each.
    assert evidence.mean() == pytest.approx(1, abs=5 / np.sqrt(3 * 59))


def test_the_lattice_filter_is_for_this_lattice():
    """Fringes of a spacing that Au does not have stay below those of Au."""
    x = np.arange(SIZE) * SAMPLING
    noise = np.random.default_rng(0).normal(size=(SIZE, SIZE))
    scores = [MatchedLattice().score((noise + np.cos(2 * np.pi * x / d))[np.newaxis], SAMPLING) for d in (2.355, 3.1)]
    assert np.median(scores[0]) > 0.9 > 0.8 > np.median(scores[1])


def test_tuning_needs_particles_and_equal_shapes():
    frames = np.random.default_rng(0).random((2, 16, 16))
    with pytest.raises(ImageError, match="all are empty"):
        tune(LocalVariance(), frames, np.zeros(frames.shape, bool), SAMPLING)
    with pytest.raises(ImageError, match="one shape"):
        tune(LocalVariance(), frames, np.ones((2, 8, 8), bool), SAMPLING)
