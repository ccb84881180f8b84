import numpy as np
import pytest

from framedose.camera.noise import Camera
from framedose.camera.passport import Interval, load_passport
from framedose.errors import CalibrationError, ConfigurationError, ImageError
from framedose.micrograph import Micrograph
from framedose.study.recorded import RecordedSeries, doses_of

CAMERA = Camera(c0=0.4, c3=2.5, readout=0.01)


def frame(mean, *, sampling=0.2, size=16, quantity="counts", dose=None):
    image = np.full((size, size), mean, dtype=np.float32)
    image[0, 0] += 1
    image[0, 1] -= 1
    return Micrograph(image, sampling, quantity, origin="series.tif", dose_per_area=dose)


def series(frames, doses):
    return RecordedSeries(frames, doses, CAMERA, made_from="", seed=0)


def test_frames_are_put_in_the_order_of_their_doses():
    recorded = series([frame(3.0), frame(1.0), frame(2.0)], [300, 100, 200])
    assert recorded.doses.tolist() == [100, 200, 300]
    assert [recorded.images(i).mean() for i in range(3)] == pytest.approx([1, 2, 3])


def test_the_truth_is_the_mean_of_what_is_seen_in_the_last_frames():
    recorded = series([frame(value) for value in (1.0, 2.0, 3.0)], [1, 2, 3])

    def predict(frames, samplings):
        assert samplings.tolist() == [0.2] * len(frames)
        found = np.zeros(frames.shape, dtype=np.float32)
        found[:, :4] = 1
        found[-1, 4:8] = 1  # In the last frame alone: half on average.
        return found

    mask = recorded.with_truth(predict, frames=2, threshold=0.6).masks[0]
    assert mask[:4].all()
    assert not mask[4:].any()
    assert recorded.with_truth(predict, frames=1, threshold=0.6).masks[0][:8].all()
    assert not recorded.masks.any()
    with pytest.raises(ImageError, match="Nothing is seen in the last 2 frames"):
        recorded.with_truth(lambda frames, _: np.zeros_like(frames), frames=2, threshold=0.6)


@pytest.mark.parametrize("frames", [-2, 0, 3, 99])
def test_a_truth_of_no_frames_or_of_all_is_refused(frames):
    recorded = series([frame(value) for value in (1.0, 2.0, 3.0)], [1, 2, 3])
    with pytest.raises(ConfigurationError, match=f"--truth-frames must lie between 1 and 2 .* got {frames}"):
        recorded.with_truth(lambda images, _: np.ones_like(images), frames=frames, threshold=0.5)


def test_another_truth_is_another_series():
    recorded = series([frame(value) for value in (1.0, 2.0, 3.0)], [1, 2, 3])
    made = {
        recorded.with_truth(lambda images, _: np.ones_like(images), frames=frames, threshold=0.5).made_from
        for frames in (1, 2)
    }
    assert len(made | {recorded.made_from}) == 3


def test_vacuum_has_the_dose_of_its_frame():
    recorded = series([frame(value) for value in (1.0, 2.0, 3.0)], [100, 1000, 10000])
    for index, dose in enumerate(recorded.doses):
        vacuum = recorded.vacuum(index)
        expected = dose * 0.2**2 + CAMERA.readout
        assert abs(vacuum.mean() - expected) < 5 * np.sqrt(expected / vacuum.size)
    np.testing.assert_array_equal(recorded.vacuum(1), recorded.vacuum(1))
    assert recorded.support(0).shape == (0, 16, 16)


@pytest.mark.parametrize(
    ("frames", "doses", "message"),
    [
        ([frame(1.0)] * 2, [1, 2], "at least 3 frames, got 2"),
        ([frame(1.0), frame(1.0, size=12), frame(1.0)], [1, 2, 3], "one size and pixel size"),
        ([frame(1.0), frame(1.0, sampling=0.3), frame(1.0)], [1, 2, 3], "one size and pixel size"),
        ([frame(1.0)] * 4, [1, 2, 2, 3], "2 frames have the dose 2 e/"),
    ],
)
def test_series_that_cannot_be_are_refused(frames, doses, message):
    with pytest.raises(ImageError, match=message):
        series(frames, doses)


def test_doses_come_from_the_file_or_from_the_gain():
    passport = load_passport("oneview").model_copy(update={"gain": Interval(value=1, low=1, high=1)})
    known = [frame(5.0, dose=dose) for dose in (10.0, 20.0)]
    assert doses_of(known, None, passport) == [10, 20]
    # A gain of 1: 5 electrons on 0.04 Å2, of which the readout makes 0.01.
    assert doses_of([frame(5.0)], None, passport) == [pytest.approx(4.99 / 0.04, rel=1e-6)]
    with pytest.raises(CalibrationError, match="series.tif, frame 0: its dose is not known"):
        doses_of([frame(5.0, quantity="normalised")], None, passport)


def test_borders_of_a_drift_correction_are_cut_off_all_frames():
    rng, frames = np.random.default_rng(0), []
    for index, mean in enumerate((10.0, 40.0, 160.0)):
        image = rng.poisson(mean, (40, 50)).astype(np.float32)
        image[: 2 * index] = 0
        image[:, 50 - index :] = 0
        frames.append(Micrograph(image, 0.2))
    found = series(frames, [1.0, 4.0, 16.0])
    assert found.masks.shape == (1, 36, 48)
    assert [found.images(index).min() > 0 for index in range(3)] == [True] * 3
    np.testing.assert_array_equal(found.images(2)[0], frames[2].image[4:, :48])
