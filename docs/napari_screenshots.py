"""The screenshots of ``docs/napari.md``: a simulated series in a real napari window.

xvfb-run -a -s "-screen 0 1600x1200x24" python docs/napari_screenshots.py
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from PIL import Image
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from framedose.config import merged
from framedose.dataset.recipe import DatasetRecipe
from framedose.dataset.render import make_specimen, render
from framedose.dataset.series import named_series
from framedose.files import write_tiff
from framedose.microscope.exit_wave import exit_wave
from framedose.study.config import study_config
from framedose.units import electrons_per_pixel
from framedose.viewer.panel import Panel

IMAGES = Path(__file__).parent / "images"
FRAMES, SEED = 6, 4
# Counts of the camera for an electron, and without one.
GAIN, OFFSET = 40.0, 100.0


def main() -> None:
    """Simulate a series, use the panel as a user does, and take a picture after each part."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gold-on-ceria.tif"
        doses = simulate(path)
        viewer = napari.Viewer()
        viewer.window.resize(1300, 960)
        _, panel = viewer.window.add_plugin_dock_widget("framedose", "framedose")
        viewer.window._qt_viewer.dockLayerControls.setVisible(False)
        panel.micrograph.open_path(path)
        viewer.canvas.overlays.scale_bar.visible = True
        viewer.dims.set_point(0, FRAMES - 1)
        for _ in range(5):
            QApplication.processEvents()
        viewer.reset_view()

        panel.camera.find()
        wait(panel)
        panel.camera.doses.setText(", ".join(f"{dose:g}" for dose in doses))
        panel.camera.calibrate()
        wait(panel)
        picture(viewer, "napari_calibrate.png")

        viewer.layers["vacuum"].visible = False
        panel.segmentation.threshold.setValue(0.5)
        panel.segmentation.segment_series()
        wait(panel)
        viewer.layers.selection.active = viewer.layers["gold-on-ceria mask"]
        show_bottom(panel)
        picture(viewer, "napari_segment.png")
        viewer.dims.set_point(0, 0)
        picture(viewer, "napari_low_dose.png")
        viewer.close()


def simulate(path: Path) -> tuple[float, ...]:
    """Write frames of one Au particle on CeO2 beside vacuum, in counts, and return their doses [e/Å2]."""
    changes = {
        "gpts": 640,
        "binning": 1,
        "specimen": {"radius": {"low": 18.0, "high": 20.0}, "mask_fraction": {"low": 0.05}},
        "conditions": {"sampling": {"low": 0.15, "high": 0.15}},
    }
    base = DatasetRecipe.model_validate(merged(study_config("general").dataset.model_dump(), changes))
    recipe, split = named_series("replica", base, frames=FRAMES)
    specimen = make_specimen(recipe, SEED, split, 0)
    wave = exit_wave(specimen.atoms, recipe.exit_wave)
    sampling = split.conditions(recipe, SEED, 0, 0).sampling
    frames = []
    for index, dose in enumerate(split.doses or ()):
        image, _ = render(recipe, SEED, split, 0, index, wave, specimen.hulls)
        frames.append(image.astype(np.float32) * electrons_per_pixel(dose, sampling) * GAIN + OFFSET)
    write_tiff(path, np.stack(frames), sampling)
    return split.doses or ()


def wait(panel: Panel) -> None:
    """Let the window work until the task has ended."""
    until(lambda: not panel.tasks.running)


def until(happened: Callable[[], bool]) -> None:
    """Run Qt's events until something has happened."""
    loop, timer = QEventLoop(), QTimer()
    timer.timeout.connect(lambda: happened() and loop.quit())
    timer.start(50)
    loop.exec()


def show_bottom(panel: Panel) -> None:
    """Scroll the panel to its last control."""
    bar = panel.scroll.verticalScrollBar()
    QApplication.processEvents()
    bar.setValue(bar.maximum())


def picture(viewer: napari.Viewer, name: str) -> None:
    """Write a picture of the whole window; with 48 colours noise takes a quarter of the bytes."""
    for _ in range(5):
        QApplication.processEvents()
    pixels = viewer.window.screenshot(canvas_only=False, flash=False)
    Image.fromarray(pixels[..., :3]).quantize(48).save(IMAGES / name, optimize=True)


if __name__ == "__main__":
    main()
