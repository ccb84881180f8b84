import numpy as np
import pytest

from framedose.errors import CalibrationError, ImageError
from framedose.files import summed
from framedose.micrograph import Micrograph

IMAGE = np.eye(4, dtype=np.float32)


@pytest.mark.parametrize("name", ["sampling", "exposure", "dose_per_area"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_calibration_must_be_positive(name, value):
    with pytest.raises(CalibrationError, match=f"{name} must be a positive.*{value}"):
        Micrograph(IMAGE, **{"sampling": 0.3, name: value})


def test_pixels_of_any_type_are_kept_as_single_precision():
    frames = [Micrograph(np.full((8, 8), 20, np.uint8) + np.eye(8, dtype=np.uint8), 0.3)] * 20
    assert frames[0].image.dtype == np.float32
    # In bytes the sum would have begun at 0 again.
    assert summed(frames).image.mean() == pytest.approx(402.5)


def test_what_is_not_known_is_none():
    one = Micrograph(IMAGE, 0.3)
    assert (one.exposure, one.dose_per_area, one.flags) == (None, None, ())


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (IMAGE[0], "shape"),
        (np.where(IMAGE > 0, np.nan, IMAGE), "NaN"),
        (np.where(IMAGE > 0, np.inf, IMAGE), "infinity"),
        (IMAGE * 0, "every pixel"),
        (IMAGE.astype(complex), "give real numbers"),
        (np.where(IMAGE > 0, 1e300, IMAGE.astype(float)), "infinity"),
    ],
)
def test_an_image_must_be_one(image, words):
    with pytest.raises(ImageError, match=words):
        Micrograph(image, 0.3)
