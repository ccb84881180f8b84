import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from framedose.camera.noise import Camera, detect
from framedose.camera.vacuum import Region, find_vacuum
from framedose.errors import ConfigurationError, ImageError
from framedose.random import generator

SIZE = 768
CAMERA = Camera(c0=0.3, c3=2.2, readout=0.01)


def frame(contrast, electrons, columns=300, gradient=0.0):
    """A specimen with lattice and grain on the left, vacuum on the right."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:SIZE, :SIZE]
    grain = gaussian_filter(rng.normal(size=(SIZE, SIZE)), 4)
    structure = contrast * (np.cos(2 * np.pi * (x + 0.5 * y) / 9) + grain / grain.std())
    intensity = np.where(x < columns, 0.95 + structure, 1.0) * (1 + gradient * (y / SIZE - 0.5))
    return detect(intensity.astype(np.float32), electrons, CAMERA, generator(0, "vacuum"))


@pytest.mark.parametrize(("contrast", "electrons"), [(0.1, 10.0), (0.25, 2.0)])
@pytest.mark.parametrize("gradient", [0.0, 0.05])
def test_the_vacuum_beside_a_specimen_is_found(contrast, electrons, gradient):
    region = find_vacuum(frame(contrast, electrons, gradient=gradient))
    assert region.x0 >= 288
    assert region.shape[0] * region.shape[1] > 0.75 * SIZE * (SIZE - 300)


def test_all_is_vacuum():
    region = find_vacuum(frame(0.0, 5.0, columns=0))
    assert region.shape[0] * region.shape[1] > 0.8 * SIZE**2


def test_a_frame_without_vacuum():
    with pytest.raises(ImageError, match=r"No vacuum.*--roi"):
        find_vacuum(frame(0.2, 10.0, columns=700))
    with pytest.raises(ImageError, match="too small"):
        find_vacuum(np.zeros((100, 300)))


def test_regions():
    region = Region.parse("8,16,264,272")
    image = np.arange(300 * 300, dtype=np.float32).reshape(300, 300)
    assert region.crop(image)[0, 0] == image[8, 16]
    assert str(region) == "8,16,264,272"
    for wrong in ("1,2,3", "a,0,1,1", "5,0,5,10", "-1,0,5,5"):
        with pytest.raises(ConfigurationError, match="--roi"):
            Region.parse(wrong)
    with pytest.raises(ConfigurationError, match="outside"):
        region.crop(image[:200])
