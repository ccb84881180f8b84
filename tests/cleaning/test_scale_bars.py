"""Scale bars that programs draw into the pixels of the pictures that they export."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from framedose.camera.noise import Camera, detect
from framedose.cleaning.cleaned import cleaned
from framedose.cleaning.scale_bars import scale_bars, without
from framedose.files import read
from framedose.inference.segment import segment
from framedose.metrics import overlap
from framedose.micrograph import Micrograph
from framedose.networks.weights import load_network
from framedose.random import generator


def frame(side=(256, 256), electrons=20.0, index=0):
    """Return a frame of a lattice in half of it, seen by a camera."""
    y, x = np.mgrid[: side[0], : side[1]]
    lattice = np.where(x + y < side[1], 0.3 * np.cos(2 * np.pi * x / 7.3) + 0.3 * np.cos(2 * np.pi * y / 8.1), 0)
    camera = Camera(c0=0.5, c3=2.5, readout=0.1)
    return detect(1 + lattice, electrons, camera, generator(0, "scale bar", index)).astype(np.float32)


def stretched(image, clipped=0.5):
    """Return it in 8 bits, with a share [%] of the pixels cut off at either end, as viewers do."""
    low, high = np.percentile(image, [clipped, 100 - clipped])
    return (np.clip((image - low) / (high - low), 0, 1) * 255).round().astype(np.float32)


def with_bar(image, *, white=True, boxed=False, corner="lower left", text="2 nm"):
    """Return a picture with a scale bar drawn by Pillow, and which pixels were drawn on."""
    height, width = image.shape
    value, other = (255, 0) if white else (0, 255)
    size = max(12, height // 16)
    long, tall = width // 4, max(3, height // 60)
    left = width // 20 if "left" in corner else width - long - width // 20
    top = height - height // 16 - tall if "lower" in corner else height // 16 + 2 * size
    pictures = []
    for picture in (Image.fromarray(image), Image.new("L", (width, height), 128)):
        draw = ImageDraw.Draw(picture)
        if boxed:
            box = [left - size // 2, top - int(1.9 * size), left + long + size // 2, top + tall + size // 2]
            draw.rectangle(box, fill=other)
        draw.rectangle([left, top, left + long - 1, top + tall - 1], fill=value)
        font = ImageFont.load_default(size=size)
        draw.text((left + long // 4, top - int(1.5 * size)), text, fill=value, font=font)
        pictures.append(np.asarray(picture, dtype=np.float32))
    return pictures[0], pictures[1] != 128


def inside(bars, shape):
    found = np.zeros(shape, dtype=bool)
    for bar in bars:
        found[bar.pixels] = True
    return found


@pytest.mark.parametrize("side", [(132, 133), (256, 256), (512, 700), (2048, 2048)])
@pytest.mark.parametrize("corner", ["lower left", "lower right", "upper left"])
@pytest.mark.parametrize(("white", "boxed"), [(True, False), (False, False), (True, True), (False, True)])
def test_bar_and_lettering_are_found_to_a_few_pixels(side, corner, white, boxed):
    picture, drawn = with_bar(stretched(frame(side)), white=white, boxed=boxed, corner=corner)
    (bar,) = scale_bars(picture)
    assert bar.boxed == boxed
    assert inside([bar], side)[drawn].all()
    rows, columns = np.nonzero(drawn)
    # Clipped fringes beside it may count as letters.
    most = 8 + 0.01 * max(side)
    assert bar.top >= rows.min() - most
    assert bar.bottom <= rows.max() + 1 + most
    assert bar.left >= columns.min() - most
    assert bar.right <= columns.max() + 1 + most


@pytest.mark.parametrize("quality", [90, 95])
@pytest.mark.parametrize(("white", "boxed"), [(True, False), (False, False), (True, True)])
def test_bar_in_a_picture_that_was_jpeg_once(quality, white, boxed):
    picture, drawn = with_bar(stretched(frame((512, 512))), white=white, boxed=boxed)
    file = BytesIO()
    Image.fromarray(picture.astype(np.uint8)).save(file, "JPEG", quality=quality)
    (bar,) = scale_bars(np.asarray(Image.open(file), dtype=np.float32))
    assert inside([bar], picture.shape)[drawn].all()


def test_bar_without_lettering_and_in_units_of_a_camera():
    image = frame()
    image[236:240, 20:90] = 3 * image.max()
    (bar,) = scale_bars(image)
    assert (bar.top, bar.bottom, bar.left, bar.right) == (233, 243, 17, 93)


@pytest.mark.parametrize("white", [True, False])
def test_strip_of_the_microscope_at_the_bottom_is_one_box(white):
    value, other = (255, 0) if white else (0, 255)
    picture = Image.fromarray(stretched(frame((512, 512))))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=20)
    draw.rectangle([0, 472, 511, 511], fill=other)
    draw.text((10, 478), "HV 300 kV  mag 500kx", fill=value, font=font)
    draw.rectangle([360, 494, 460, 500], fill=value)
    draw.text((395, 473), "5 nm", fill=value, font=font)
    (bar,) = scale_bars(np.asarray(picture))
    assert bar.boxed
    assert 465 <= bar.top <= 472
    assert (bar.bottom, bar.left, bar.right) == (512, 0, 512)


@pytest.mark.parametrize("clipped", [0.0, 0.5, 2.0, 10.0])
@pytest.mark.parametrize("electrons", [0.05, 0.5, 20.0])
def test_noise_clipping_and_few_electrons_draw_no_bar(clipped, electrons):
    for index in range(6):
        image = frame(electrons=electrons, index=index)
        counts = np.random.default_rng(index).poisson(np.clip(image, 0, None)).astype(np.float32)
        for each in (image, stretched(image, clipped), counts):
            assert scale_bars(each) == ()


@pytest.mark.parametrize("clipped", [0.0, 0.5, 2.0, 5.0, 10.0, 20.0, 30.0])
@pytest.mark.parametrize("period", [5, 7, 11, 15, 31])
def test_clipped_fringes_along_x_are_no_bars(period, clipped):
    y = np.mgrid[:256, :256][0]
    for noise in (0.0, 0.05, 0.3):
        fringes = np.cos(2 * np.pi * y / period) + noise * frame()
        assert scale_bars(stretched(fringes.astype(np.float32), clipped)) == ()


def test_dead_lines_are_no_bars():
    image = frame()
    image[240:243] = 0
    assert scale_bars(image) == ()


def test_only_what_is_drawn_is_filled_and_with_what_lies_beside_it():
    image = stretched(frame())
    picture, drawn = with_bar(image)
    before = picture.copy()
    bars = scale_bars(picture)
    filled = without(picture, bars)
    assert np.array_equal(picture, before)
    changed = filled != picture
    assert not changed[~inside(bars, image.shape)].any()
    # The mirror image may have the value of the bar by accident.
    assert changed[drawn].mean() > 0.95
    assert changed.sum() < 4 * drawn.sum()
    # As bright as what is beneath, within the contrast of a fringe, and as noisy.
    beneath = image[drawn]
    assert abs(filled[drawn].mean() - beneath.mean()) < beneath.std()
    assert 0.6 < filled[drawn].std() / beneath.std() < 1.6
    assert without(image, ()) is image


def test_whole_box_is_filled():
    picture, _ = with_bar(stretched(frame()), boxed=True)
    bars = scale_bars(picture)
    assert scale_bars(without(picture, bars)) == ()
    assert without(picture, bars)[bars[0].pixels].std() > 30


def test_what_covers_a_quarter_of_the_image_is_not_a_bar():
    drawing = np.zeros((100, 100), dtype=np.float32)
    drawing[5:40, 2:70] = drawing[60:95, 2:70] = 1
    assert scale_bars(drawing) == ()


def test_spikes_are_still_found_beside_a_bar():
    picture, _ = with_bar(stretched(frame(), 0.0))
    assert cleaned(picture).spikes == 0
    image = frame()
    image[236:240, 20:90] = 3 * image.max()
    image[50, 60] = -9 * image.max()
    # The bar is no extreme of such a frame by itself; the spike is taken away first where it is.
    assert cleaned(image).image[50, 60] > 0


@pytest.mark.parametrize("boxed", [False, True])
@pytest.mark.parametrize("white", [False, True])
def test_a_bar_in_vacuum_is_no_particle(white, boxed):
    vacuum = detect(np.ones((512, 512)), 20.0, Camera(c0=0.5, c3=2.5, readout=0.1), generator(1, "scale bar"))
    picture, _ = with_bar(stretched(vacuum.astype(np.float32)), white=white, boxed=boxed)
    found = segment(Micrograph(picture, 0.15, origin="vacuum.png"), load_network("best"), threshold=0.5)
    assert found.mask.mean() <= 0.005
    assert any("scale bar" in warning for warning in found.warnings)


def test_real_panels_lose_little_by_a_bar_beside_the_particles(real_data):
    folder, network = real_data / "scottlab_hrtem_generalization", load_network("best")
    for name in ("Au10nm_1", "Au5nm_0"):
        micrograph = read(folder / f"{name}.png", sampling=0.77)[0]
        truth = read(folder / f"{name}_label.png", sampling=1.0)[0].image > 0
        plain = overlap(segment(micrograph, network, threshold=0.5).mask, truth).f1
        for white in (True, False):
            picture, _ = with_bar(micrograph.image, white=white)
            found = segment(replace(micrograph, image=picture), network, threshold=0.5)
            assert overlap(found.mask, truth).f1 > plain - 0.02
