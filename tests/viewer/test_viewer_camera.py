"""The vacuum as a rectangle, and a known camera measured in it."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from framedose.camera.noise import Camera, detect
from framedose.camera.passport import load_passport
from framedose.files import write_tiff
from framedose.random import generator

pytest.importorskip("napari", reason="needs the extra napari")

SAMPLING, SIZE, SPECIMEN = 0.075, 384, 128
CAMERA = Camera(c0=0.28, c3=2.2, readout=0.01)
DOSES = (10.0, 60.0, 300.0, 1000.0)


@pytest.fixture(scope="module")
def ramp(tmp_path_factory):
    """Frames of rising dose with a specimen on the left and vacuum on the right."""
    grain = gaussian_filter(np.random.default_rng(0).normal(size=(SIZE, SIZE)), 3)
    x = np.arange(SIZE)
    structure = 0.95 + 0.25 * (np.cos(2 * np.pi * x / 9) + grain / grain.std())
    intensity = np.where(x < SPECIMEN, structure, 1.0).astype(np.float32)
    frames = [
        10 * detect(intensity, dose * SAMPLING**2, CAMERA, generator(3, "viewer", index)) + 5
        for index, dose in enumerate(DOSES)
    ]
    path = tmp_path_factory.mktemp("ramp") / "ramp.tif"
    write_tiff(path, np.stack(frames).astype(np.float32), SAMPLING)
    return path


def test_find_draw_calibrate(viewer, panel, ramp, finished, said, tmp_path):
    box = panel.camera
    panel.micrograph.open_path(ramp)
    viewer.dims.set_point(0, len(DOSES) - 1)
    box.find_button.click()
    finished()
    layer = viewer.layers["vacuum"]
    left = layer.data[0][:, 1].min()
    assert left >= SPECIMEN - 0.5
    assert layer.scale.tolist() == pytest.approx([SAMPLING / 10] * 2)

    # A rectangle of the user's, the last one, counts, to the pixel.
    box.draw_button.click()
    assert layer.mode == "add_rectangle"
    drawn = np.array([[63.6, 143.8], [63.6, 380.2], [350.4, 380.2], [350.4, 143.8]])
    layer.add_rectangles(drawn)
    box.doses.setText(", ".join(map(str, DOSES)))
    box.name.setText("known")
    box.calibrate_button.click()
    finished()
    assert not said()
    assert "region 65,145,350,380 " in box.passport.source
    for name, value in (("c0", 0.28), ("c3", 2.2)):
        found = getattr(box.passport.mtf, name)
        assert abs(found.value - value) < 4 * (found.high - found.low) / 2
        assert f"{name} = " in box.said.text()
    assert box.passport.readout.value == pytest.approx(0.01, rel=0.2)
    assert box.passport.gain.value == pytest.approx(10, rel=0.02)
    assert "readout = " in box.said.text()
    assert "C = 0" in box.said.text()
    box.save(tmp_path / "camera.yaml")
    assert load_passport(tmp_path / "camera.yaml").mtf.c0.value == pytest.approx(box.passport.mtf.c0.value, rel=1e-5)

    # What is wrong is said in one line, and the passport stays.
    before = box.passport
    box.doses.setText("1, 2")
    box.calibrate_button.click()
    assert "one for each of the 4 frames" in said()[-1]
    box.doses.clear()
    layer.data = []
    layer.add_rectangles(np.array([[-90, -90], [-90, -10], [-10, -10], [-10, -90]]))
    box.calibrate_button.click()
    assert "outside of the frame" in said()[-1]
    layer.data = []
    layer.add_rectangles(np.array([[10, 0], [0, 10], [10, 20], [20, 10]]))
    box.calibrate_button.click()
    assert "upright" in said()[-1]
    layer.data = []
    layer.add_rectangles(drawn * 0.1)
    box.calibrate_button.click()
    finished()
    assert "too small" in said()[-1]
    box.open(tmp_path / "nothing.yaml")
    assert "no such file" in said()[-1]
    assert all("\n" not in line for line in said())
    assert box.passport is before
