"""Borders without data, as a drift correction leaves them."""

from dataclasses import replace

import numpy as np
import pytest

from framedose.camera.noise import Camera, detect
from framedose.cleaning.borders import data_window, mirrored
from framedose.cleaning.cleaned import cleaned
from framedose.files import read
from framedose.inference.segment import segment
from framedose.metrics import overlap
from framedose.micrograph import Micrograph
from framedose.networks.weights import load_network
from framedose.random import generator

WHOLE = slice(0, 200), slice(0, 240)


def frame(electrons=20.0, shape=(200, 240), index=0):
    camera = Camera(c0=0.5, c3=2.5, readout=0.1)
    return detect(np.ones(shape), electrons, camera, generator(0, "border", index)).astype(np.float32)


def bordered(image, top=0, bottom=0, left=0, right=0, value=0.0):
    shifted = np.full_like(image, value)
    rows, columns = slice(top, image.shape[0] - bottom), slice(left, image.shape[1] - right)
    shifted[rows, columns] = image[rows, columns]
    return shifted


@pytest.mark.parametrize("value", [0.0, 20.0, -3.0, 1e5])
@pytest.mark.parametrize(
    "sides", [{"top": 9}, {"bottom": 1}, {"left": 30}, {"right": 2}, {"top": 12, "left": 7}, {"bottom": 5, "right": 90}]
)
def test_border_is_found_to_the_line(sides, value):
    window = (
        slice(sides.get("top", 0), 200 - sides.get("bottom", 0)),
        slice(sides.get("left", 0), 240 - sides.get("right", 0)),
    )
    assert data_window(bordered(frame(), **sides, value=value)) == window


@pytest.mark.parametrize("electrons", [0.001, 0.01, 0.1, 20.0])
def test_what_a_camera_gives_has_no_border(electrons):
    for index in range(10):
        counts = np.random.default_rng(index).poisson(electrons, (200, 240)).astype(np.float32)
        assert data_window(counts) == WHOLE
    assert data_window(frame(electrons)) == WHOLE


def test_image_of_one_value_and_dark_lines_within_have_no_border():
    assert data_window(np.zeros((200, 240), np.float32)) == WHOLE
    image = np.zeros((200, 240), np.float32)
    image[60:150, 70:180] = 1
    assert data_window(image) == WHOLE
    image = frame()
    image[100:104] = 0
    assert data_window(image) == WHOLE
    assert data_window(np.tile(np.arange(240, dtype=np.float32), (200, 1))) == (slice(0, 200), slice(1, 239))


def test_borders_are_the_mirror_image_of_what_is_beside_them():
    image = frame()
    shifted = bordered(image, top=10, right=20)
    before = shifted.copy()
    filled = mirrored(shifted, data_window(shifted))
    assert np.array_equal(shifted, before)
    assert np.array_equal(filled[10:, :220], image[10:, :220])
    assert np.array_equal(filled[9, :220], image[11, :220])
    assert np.array_equal(filled[10:, 220], image[10:, 218])
    assert mirrored(image, data_window(image)) is image


def test_hidden_are_the_borders_and_nothing_else():
    seen = cleaned(bordered(frame(), top=10, right=20))
    expected = np.zeros((200, 240), dtype=bool)
    expected[:10] = expected[:, 220:] = True
    assert np.array_equal(seen.hidden, expected)
    assert not cleaned(frame()).hidden.any()


@pytest.mark.parametrize("value", [0.0, 20.0])
def test_vacuum_with_a_border_has_no_particle_and_the_border_is_said(value):
    image = bordered(frame(shape=(512, 512)), top=40, left=60, value=value)
    found = segment(Micrograph(image, 0.15, origin="aligned.tif"), load_network("best"), threshold=0.5)
    assert found.mask.mean() <= 0.005
    assert not found.mask[:40].any()
    (said,) = [warning for warning in found.warnings if "have data" in warning]
    assert "only rows 40 to 511 and columns 60 to 511" in said


def test_real_particles_are_seen_as_well_beside_a_border(real_data):
    """As well as in what is left of the frame without one; a drift correction's zeros took a third and more of F1."""
    folder, network = real_data / "scottlab_hrtem_generalization", load_network("best")
    for name in ("Au10nm_1", "Au5nm_0", "Au2p2nm_0"):
        micrograph = read(folder / f"{name}.png", sampling=0.77)[0]
        truth = read(folder / f"{name}_label.png", sampling=1.0)[0].image > 0
        inside = slice(11, None), slice(14, None)
        cut = segment(replace(micrograph, image=micrograph.image[inside]), network, threshold=0.5).mask
        shifted = segment(
            replace(micrograph, image=bordered(micrograph.image, top=11, left=14)), network, threshold=0.5
        )
        assert not shifted.mask[:11].any()
        assert overlap(shifted.mask[inside], truth[inside]).f1 > overlap(cut, truth[inside]).f1 - 0.03
