import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framedose.resample import probability_to_shape, resample, resample_to_shape

NOISE = np.random.default_rng(3).normal(5, 1, (96, 120)).astype(np.float32)


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_integer_ratio_is_summing_pixels(factor):
    image, sampling = resample(NOISE, 0.075, 0.075 * factor)
    blocks = NOISE.reshape(96 // factor, factor, 120 // factor, factor).sum((1, 3))
    np.testing.assert_allclose(image * factor**2, blocks, rtol=1e-5)
    assert sampling == pytest.approx((0.075 * factor, 0.075 * factor))


def test_same_pixel_size_changes_nothing():
    image, sampling = resample(NOISE, 0.3, 0.3)
    np.testing.assert_array_equal(image, NOISE)
    assert image is not NOISE
    assert sampling == (0.3, 0.3)


@given(factor=st.floats(1, 12))
def test_the_mean_is_kept_to_coarser_pixels(factor):
    image, sampling = resample(NOISE, 0.1, 0.1 * factor)
    assert image.mean() == pytest.approx(NOISE.mean(), rel=1e-5)
    # The field of view is exactly kept, whatever the rounding of the shape.
    assert np.multiply(image.shape, sampling) == pytest.approx([9.6, 12.0])


@given(factor=st.floats(0.2, 1))
def test_the_mean_is_kept_to_finer_pixels(factor):
    image, sampling = resample(NOISE, 0.1, 0.1 * factor)
    assert image.mean() == pytest.approx(NOISE.mean(), rel=3e-3)
    assert np.multiply(image.shape, sampling) == pytest.approx([9.6, 12.0])


def waves(shape, sampling_y, sampling_x, phase=0.4):
    """A plane wave with its phase counted from the corner of the field [Å]: pixel k has its centre at k + 1/2."""
    y = (np.arange(shape[0]) + 0.5)[:, None] * sampling_y
    x = (np.arange(shape[1]) + 0.5) * sampling_x
    return np.cos(2 * np.pi * (x / 7.0 + y / 11.0) + phase).astype(np.float32)


@pytest.mark.parametrize("wanted", [0.15, 0.21, 0.3, 0.45, 0.5, 0.77, 1.0])
def test_a_lattice_keeps_its_place_and_spacing(wanted):
    image, (y, x) = resample(waves((300, 260), 0.3, 0.3), 0.3, wanted)
    # Averaging over a pixel damps the wave by a sinc for each axis, and moves nothing.
    damping = np.sinc(x / 7.0) * np.sinc(y / 11.0) if wanted > 0.3 else 1.0
    inside = (slice(12, -12), slice(12, -12))  # Edges are mirrored, the wave is not.
    # Where a new pixel takes parts of old ones, it is off its centre by a little, now to one side, now to the other:
    # this much in a pixel, and nothing over the image.
    tolerance = 0.06 if wanted > 0.3 else 1e-3
    expected = damping * waves(image.shape, y, x)[inside]
    np.testing.assert_allclose(image[inside], expected, atol=tolerance)
    quadrature = damping * waves(image.shape, y, x, phase=0.4 - np.pi / 2)[inside]
    power = float((expected**2).sum())
    assert (image[inside] * expected).sum() == pytest.approx(power, rel=0.01)
    assert (image[inside] * quadrature).sum() == pytest.approx((expected * quadrature).sum(), abs=1e-3 * power)


def test_white_noise_gets_weaker_as_if_counted_by_larger_pixels():
    rng = np.random.default_rng(0)
    image, _ = resample(rng.poisson(0.05, (800, 800)), 0.075, 0.3)
    # 40000 pixels: five standard errors of a variance of sparse counts.
    assert image.var() == pytest.approx(0.05 / 16, rel=5 * np.sqrt((2 + 1 / 0.8) / image.size))


@given(height=st.integers(5, 300), width=st.integers(5, 300))
def test_a_probability_map_takes_any_shape_and_stays_one(height, width):
    probability = np.random.default_rng(1).uniform(0, 1, (60, 70)).astype(np.float32)
    probability[:20], probability[40:] = 0, 1
    back = probability_to_shape(probability, (height, width))
    assert back.shape == (height, width)
    assert back.dtype == np.float32
    assert back.min() >= 0
    assert back.max() <= 1


def test_there_and_back_does_not_move_an_edge():
    mask = np.zeros((99, 133), np.float32)
    mask[30:60, 40:95] = 1
    there, _ = resample(mask, 0.77, 0.3)
    back = probability_to_shape(there.clip(0, 1), mask.shape)
    assert ((back >= 0.5) == mask.astype(bool)).all()


@pytest.mark.parametrize("wanted", [0.1, 0.23, 0.41, 0.77])
def test_a_network_that_is_sure_of_an_edge_stays_sure_at_other_pixels(wanted):
    y, x = np.mgrid[:240, :240]
    sure = np.where(x + 0.31 * y < 150, 1 - 1e-4, 1e-4).astype(np.float32)
    shape = (round(240 * 0.3 / wanted),) * 2

    def shifts(to_shape):
        """By how much of the larger pixel the edge lies further outside at some thresholds than it should."""
        shares = np.array([(to_shape(sure, shape) >= threshold).mean() for threshold in (0.1, 0.5, 0.9)])
        return (shares - (sure > 0.5).mean()) * 240 * 0.3 / max(0.3, wanted)

    assert abs(shifts(probability_to_shape)).max() < 0.2
    # The mean of probabilities loses nearly half a pixel.
    assert shifts(resample_to_shape)[2] < -0.34


@pytest.mark.parametrize("shape", [(306, 300), (340, 355), (400, 200), (1, 700)])
@pytest.mark.parametrize("change", [resample_to_shape, lambda image, shape: resample(image, 0.3, 0.27)[0]])
def test_small_images_are_resampled_as_large_ones_are(monkeypatch, shape, change):
    image = np.random.default_rng(5).normal(3, 1, (320, 330))
    small = change(image, shape)
    monkeypatch.setattr("framedose.resample._SMALL", 0)
    # scikit-image's own rounding in single precision is 6e-5.
    assert np.abs(small - change(image, shape)).max() < 1e-4
