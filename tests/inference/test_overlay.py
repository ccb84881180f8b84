import numpy as np
import pytest
from PIL import Image

from framedose.inference.overlay import overlay, write_overlay

CYAN = (0, 255, 255)


def picture(shape, sampling=0.77):
    image = np.random.default_rng(0).normal(100, 10, shape).astype(np.float32)
    mask = np.zeros(shape, bool)
    mask[shape[0] // 4 : shape[0] // 2, shape[1] // 4 : shape[1] // 2] = True
    return image, mask, sampling


@pytest.mark.parametrize("shape", [(16, 20), (132, 133), (600, 520), (2300, 2100)])
def test_size_to_be_looked_at_and_the_mask_in_its_place(shape):
    result = overlay(*picture(shape))
    pixels = np.asarray(result)
    assert 512 <= min(pixels.shape[:2]) <= 1200
    cyan = (pixels == CYAN).all(-1)
    rows, columns = np.nonzero(cyan)
    height, width = cyan.shape
    assert (rows.min() / height, rows.max() / height) == pytest.approx((0.25, 0.5), abs=0.01)
    assert (columns.min() / width, columns.max() / width) == pytest.approx((0.25, 0.5), abs=0.01)
    tint = pixels[int(height * 0.37), int(width * 0.37)].astype(int)
    assert tint[2] > tint[0]  # Inside the outline the image shows through.


@pytest.mark.parametrize(("sampling", "label"), [(0.05, 0.2), (0.3, 1), (0.77, 2), (1.0, 5)])
def test_scale_bar_is_as_long_as_it_says(sampling, label):
    image, mask, _ = picture((256, 256))
    pixels = np.asarray(overlay(image, mask & False, sampling))
    bar = (pixels[-22:-18] == 255).all(-1).all(0)  # Rows inside the bar of a 512 pixel picture.
    length = np.nonzero(bar)[0]
    assert (length.max() - length.min() + 2) * sampling / 10 / 2 == pytest.approx(label, rel=0.05)


def test_written_as_png(tmp_path):
    write_overlay(tmp_path / "Überblick 1.png", *picture((64, 64)))
    with Image.open(tmp_path / "Überblick 1.png") as image:
        assert image.mode == "RGB"
    assert len(list(tmp_path.iterdir())) == 1
