from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from framedose.area_interval import AreaInterval
from framedose.config import Range
from framedose.errors import CalibrationError, ConfigurationError, ImageError
from framedose.inference.predict import predict
from framedose.inference.segment import segment
from framedose.micrograph import Micrograph
from framedose.networks.weights import load_network


@dataclass
class Brightness:
    """Stands for a network, as sure of vacuum as of the rest: what is bright is a particle."""

    sampling: float = 0.3
    minimum_size: int = 32
    name: str = "bright"
    metadata = SimpleNamespace(
        sampling=Range(low=0.28, high=0.32),
        dose=Range(low=100, high=1e4, scale="log"),
        noise_fall=None,
        energy=300e3,
        defocus=None,
        area_interval=None,
    )
    seen: tuple[int, ...] = ()

    def probability(self, images):
        self.seen = images.shape
        return np.clip(images, 0.02, 0.98).astype(np.float32)


def micrograph(sampling=0.3, shape=(120, 160), square=((30, 60), (40, 100))):
    image = np.zeros(shape, np.float32)
    image[slice(*square[0]), slice(*square[1])] = 1
    return Micrograph(image, sampling, origin="here.tif")


@pytest.mark.parametrize("sampling", [0.075, 0.15, 0.3, 0.5, 0.77, 1.0])
def test_mask_and_area_do_not_depend_on_the_pixel_size_of_the_network(sampling):
    scale = 0.3 / sampling
    shape = (round(120 * scale), round(160 * scale))
    square = ((round(30 * scale), round(60 * scale)), (round(40 * scale), round(100 * scale)))
    one = micrograph(sampling, shape, square)
    network = Brightness()
    result = segment(one, network, threshold=0.5, rim=0)
    assert (result.mask != (one.image > 0)).sum() <= 4  # Corners are rounded.
    assert result.probability.shape == shape
    assert result.probability.dtype == np.float32
    assert network.seen == (1, *(round(side * sampling / 0.3) for side in shape))
    assert result.area_nm2 == pytest.approx(result.mask.sum() * (sampling / 10) ** 2)
    assert result.fraction == pytest.approx(one.image.mean(), rel=1e-3)


@pytest.mark.parametrize("sampling", [0.1, 0.3, 0.4, 0.77])
@pytest.mark.parametrize("threshold", [0.3, 0.9])
def test_the_outline_lies_an_atoms_radius_outside_of_the_hull_of_centres(sampling, threshold):
    side = round(66 / sampling)
    y, x = (np.mgrid[:side, :side] + 0.5) * sampling - 33
    one = Micrograph((np.hypot(y, x) <= 20).astype(np.float32), sampling)
    # Pixels of the frame, of the network, and in the disc that is the rim.
    known = 0.65 * max(sampling, 0.45)
    for options, rim in (({}, 1.44), ({"rim": 0}, 0.0), ({"rim": 3.0}, 3.0)):
        found = segment(one, Brightness(), threshold=threshold, **options)
        assert 10 * np.sqrt(found.area_nm2 / np.pi) == pytest.approx(20 + rim, abs=known)
        assert 5 * found.particles[0].equivalent_diameter_nm == pytest.approx(20 + rim, abs=known)


def test_a_particle_at_a_border_without_data_is_at_the_edge():
    rng = np.random.default_rng(0)
    image = (micrograph().image + rng.normal(0, 0.01, (120, 160))).astype(np.float32)
    for border, at_edge in ((20, False), (35, True)):
        framed = image.copy()
        framed[:border] = 7
        (particle,) = segment(Micrograph(framed, 0.3), Brightness(), threshold=0.5).particles
        assert particle.at_edge == at_edge


@pytest.mark.parametrize(("offset", "scale"), [(0, 1), (1e7, 1), (-3e7, 1), (0, 1e-30), (0, 1e25)])
def test_neither_offset_nor_scale_take_digits(offset, scale):
    counts = np.random.default_rng(0).poisson(2000, (96, 96)).astype(np.float64)
    network = load_network("unet")
    expected = segment(counts, network, sampling=0.2).probability
    found = segment(counts * scale + offset, network, sampling=0.2)
    assert np.abs(found.probability - expected).max() < 1e-3
    assert found.warnings == segment(counts, network, sampling=0.2).warnings


@pytest.mark.parametrize("kind", [np.complex64, bool, "U3"])
def test_an_array_of_no_real_numbers_is_refused(kind):
    with pytest.raises(ImageError, match="give real numbers"):
        segment(np.ones((64, 64)).astype(kind), Brightness(), sampling=0.3)


def test_a_rim_leaves_nothing_where_nothing_is_and_no_probability_greater_than_any():
    image = np.zeros((64, 64), np.float32)
    image[30, 30] = 0.7
    probability = segment(Micrograph(image, 0.3), Brightness(), threshold=0.5).probability
    assert probability.max() == np.float32(0.7)
    assert (probability > 0.5).sum() == pytest.approx(np.pi * (1.44 / 0.3) ** 2, abs=8)


@pytest.mark.parametrize("rim", [-0.1, float("nan"), float("inf")])
def test_a_rim_that_is_none(rim):
    with pytest.raises(ConfigurationError, match=f"--rim must be a number of Å that is not negative, got {rim}"):
        segment(micrograph(), Brightness(), rim=rim)


def test_a_pixel_at_the_threshold_belongs_to_the_mask():
    one = micrograph()
    one.image[one.image > 0] = 0.9
    assert segment(one, Brightness(), threshold=float(np.float32(0.9))).mask.any()
    assert not segment(one, Brightness(), threshold=0.91).mask.any()


def test_the_interval_of_the_area_goes_with_the_frame():
    one = micrograph()
    one.image[one.image > 0] = 0.8
    one.image[:10] = 0.15
    assert segment(one, Brightness()).area_interval_nm2 is None
    network = Brightness()
    interval = AreaInterval(level=0.9, upper=0.85, frames=40)
    network.metadata = SimpleNamespace(**vars(Brightness.metadata) | {"area_interval": interval})
    low, high = segment(one, network, threshold=0.5, rim=0).area_interval_nm2
    # Nothing reaches 0.85; the band of 0.15 and the square do reach 1 - 0.85.
    assert low == 0
    assert high == pytest.approx((10 * 160 + 30 * 60) * 0.03**2, rel=0.1)


def test_an_empty_mask_is_said_aloud():
    result = segment(micrograph(), Brightness(), threshold=0.99)
    assert result.area_nm2 == 0
    assert any("empty mask" in warning and "0.98" in warning for warning in result.warnings)


@pytest.mark.parametrize(("sampling", "warns"), [(0.1, False), (0.3, False), (0.32, False), (0.33, True), (0.9, True)])
def test_coarser_pixels_than_in_training_are_said_aloud(sampling, warns):
    warnings = segment(micrograph(sampling, (400, 400)), Brightness(), threshold=0.5).warnings
    assert any("coarser" in warning for warning in warnings) == warns


def test_pixels_too_coarse_for_a_lattice_are_refused():
    with pytest.raises(CalibrationError, match=r"here\.tif: sampling 1\.354 Å/px is too coarse.*1 Å/px.*--sampling"):
        segment(micrograph(1.354), Brightness())


@pytest.mark.parametrize(("sampling", "shape"), [(0.3, (31, 160)), (0.3, (160, 31)), (0.075, (120, 120))])
def test_a_small_field_is_refused_with_the_size_that_would_do(sampling, shape):
    with pytest.raises(ImageError, match=r"here\.tif: the field of .* nm .*too small.*at least 0\.96 nm \(32 pixels\)"):
        predict(micrograph(sampling, shape, ((3, 9), (3, 9))), Brightness())


def test_the_smallest_field_is_accepted():
    assert predict(micrograph(0.3, (32, 32), ((3, 9), (3, 9))), Brightness()).probability.shape == (32, 32)


@pytest.mark.parametrize("threshold", [0, 1, -0.1, 1.5, float("nan")])
def test_threshold_outside_its_range(threshold):
    with pytest.raises(ConfigurationError, match=f"--threshold.*{threshold}"):
        segment(micrograph(), Brightness(), threshold=threshold)


@pytest.mark.parametrize(
    ("defocus", "sampling", "trained", "warns"),
    [
        (2000, 0.3, Range(low=-250, high=250), True),
        (2000, 0.45, Range(low=-250, high=250), True),
        (2000, 0.3, Range(low=-2500, high=0), False),
        (2000, 0.3, None, False),
        (280, 0.3, Range(low=-250, high=250), False),
    ],
)
def test_a_defocus_outside_training_is_said_aloud(defocus, sampling, trained, warns):
    network = Brightness()
    network.metadata = SimpleNamespace(**vars(Brightness.metadata) | {"defocus": trained})
    rng = np.random.default_rng(0)
    qy, qx = np.fft.fftfreq(512, sampling)[:, None], np.fft.fftfreq(512, sampling)
    # What carbon looks like: a weak phase object, sin(chi) of a white spectrum that fades.
    q2 = qy**2 + qx**2
    transfer = np.sin(np.pi * 0.019687 * defocus * q2) * np.exp(-((0.5 * np.pi * 0.019687 * 40 * q2) ** 2))
    image = np.fft.ifft2(np.fft.fft2(rng.normal(size=(512, 512))) * transfer).real
    image = (0.7 + image + 0.1 * rng.normal(size=image.shape)).astype(np.float32)
    warnings = [
        text for text in segment(Micrograph(image, sampling), network, threshold=0.5).warnings if "Thon" in text
    ]
    assert len(warnings) == warns
    assert all("2020 Å" in text or "2000 Å" in text or "1980 Å" in text for text in warnings), warnings


@pytest.mark.parametrize("dose", [0, -3.0, float("nan"), float("inf")])
def test_a_dose_that_is_none(dose):
    with pytest.raises(ConfigurationError, match=f"--dose must be a positive.*{dose}"):
        segment(micrograph(), Brightness(), dose=dose)


@pytest.mark.parametrize(("dose", "words"), [(None, None), (100, None), (99, "missed"), (2e4, "nothing is known")])
def test_a_dose_outside_training_is_said_aloud(dose, words):
    for warnings in (
        segment(replace(micrograph(), dose_per_area=dose), Brightness(), threshold=0.5).warnings,
        segment(micrograph(), Brightness(), threshold=0.5, dose=dose).warnings,
    ):
        assert len(warnings) == (words is not None)
        assert all(words in warning and "100 to 10000 e/Å2" in warning for warning in warnings)


def test_a_frame_that_is_not_raw_is_said_aloud():
    one = replace(micrograph(), flags=("8-bit: values 0 to 255", "clipped: 3 % of them"))
    (warning,) = segment(one, Brightness(), threshold=0.5).warnings
    assert warning.startswith("not a raw frame (8-bit, clipped)")


def test_an_image_of_stem_is_not_to_be_trusted():
    one = replace(micrograph(), flags=("clipped: 3 % of them", "scanned: its file says so"))
    (warning,) = segment(one, Brightness(), threshold=0.5).warnings
    assert warning.startswith("recorded in STEM")


def test_spikes_are_not_shown_to_the_network_and_said_aloud():
    image = np.random.default_rng(0).normal(0.0, 0.01, (120, 160)).astype(np.float32)
    image[[20, 70, 71], [30, 80, 80]] = 1.0
    result = segment(Micrograph(image, 0.3), Brightness(), threshold=0.5)
    assert not result.mask.any()
    assert result.warnings[0].startswith("3 pixels stand far out of those around")


@pytest.mark.parametrize(
    ("smoothed", "sampling", "words"),
    [(0, 0.3, None), (1.0, 0.3, "falls faster"), (1.0, 0.33, "coarser"), (None, 0.3, "falls less")],
)
def test_noise_of_another_colour_is_said_aloud(smoothed, sampling, words):
    network = Brightness()
    network.metadata = SimpleNamespace(**vars(Brightness.metadata) | {"noise_fall": Range(low=-1.0, high=0.2)})
    image = np.random.default_rng(0).normal(0.5, 0.1, (160, 160)).astype(np.float32)
    if smoothed is None:  # What sharpening makes.
        image = image - 0.8 * gaussian_filter(image, 1)
    elif smoothed:
        image = gaussian_filter(image, smoothed)
    warnings = segment(Micrograph(image, sampling), network, threshold=0.4).warnings
    assert [words in warning for warning in warnings] == [True] * (words is not None), warnings


def test_an_array_with_its_pixel_size_is_a_micrograph():
    one = micrograph(0.5)
    expected = segment(one, Brightness(), threshold=0.5)
    result = segment(one.image.astype(np.uint16), Brightness(), threshold=0.5, sampling=0.5)
    np.testing.assert_array_equal(result.mask, expected.mask)
    assert result.area_nm2 == expected.area_nm2
    with pytest.raises(CalibrationError, match="sampling"):
        segment(one.image, Brightness())


def test_a_network_by_name(tiny_weights):
    by_name = segment(micrograph(), tiny_weights(), threshold=0.4)
    np.testing.assert_array_equal(
        by_name.probability, segment(micrograph(), load_network(tiny_weights()), threshold=0.4).probability
    )
