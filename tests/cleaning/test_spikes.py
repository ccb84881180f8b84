import numpy as np
import pytest

from framedose.camera.noise import Camera, detect
from framedose.cleaning.spikes import without_spikes
from framedose.files import read
from framedose.random import generator


def frame(electrons, index=0, side=256):
    """Return a frame of a lattice of strong contrast, seen by a camera."""
    y, x = np.mgrid[:side, :side]
    lattice = 1 + 0.4 * np.cos(2 * np.pi * x / 7.3) + 0.4 * np.cos(2 * np.pi * (0.5 * x + 0.87 * y) / 7.3)
    return detect(lattice, electrons, Camera(c0=0.5, c3=2.5, readout=0.1), generator(0, "spikes", index)).astype(
        np.float32
    )


@pytest.mark.parametrize("electrons", [0.05, 0.5, 10.0, 1000.0])
def test_what_a_camera_gives_is_left_alone(electrons):
    image = frame(electrons)
    cleaned, count = without_spikes(image)
    assert count == 0
    assert cleaned is image


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("height", [30.0, 1e4])
def test_hits_are_found_to_the_pixel_and_nothing_else_changes(size, height):
    image = frame(10.0)
    hit = np.zeros(image.shape, dtype=bool)
    # The largest cannot be told from a bright field at the edge of the image.
    for y, x in ((100, 41), (150, 90), (0, 0) if size < 3 else (3, 3)):
        hit[y : y + size, x : x + size] = True
    spoiled = np.where(hit, image + height * image.std(), image).astype(np.float32)
    before = spoiled.copy()
    cleaned, count = without_spikes(spoiled)
    assert count == hit.sum()
    assert np.array_equal(cleaned[~hit], image[~hit])
    assert np.abs(cleaned[hit] - image.mean()).max() < 4 * image.std()
    assert np.array_equal(spoiled, before)


def test_dead_pixels_of_a_bright_frame_are_spikes_too():
    image = frame(1e5)
    image[30, 40] -= 40 * image.std()
    assert without_spikes(image)[1] == 1


def test_a_bright_field_and_sparse_electrons_are_no_spikes():
    lit = np.random.default_rng(0).poisson(0.1, (200, 200)).astype(np.float32)
    lit[80:90, 80:90] += 500
    cleaned, count = without_spikes(lit)
    # Of a field with a sharp edge no more than three pixels at each corner.
    assert count <= 12
    assert np.array_equal(cleaned[82:88, 82:88], lit[82:88, 82:88])
    sparse = np.random.default_rng(0).poisson(0.003, (400, 400)).astype(np.float32)
    assert without_spikes(sparse)[0] is sparse


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("holospy_ultrascan_vacuum/00_ref_Vbp_130V_0V_bin2_crop.hdf5", 2),
        ("holospy_ultrascan_vacuum/01_holo_Vbp_130V_0V_bin2_crop.hdf5", 1),
    ],
)
def test_frames_of_a_real_ccd_have_hits(real_data, name, expected):
    image = read(real_data / name)[0].image
    cleaned, count = without_spikes(image)
    assert count == expected
    assert (cleaned != image).sum() == expected
    changed = np.abs(cleaned - image)[cleaned != image]
    assert changed.min() > 10 * cleaned.std()
