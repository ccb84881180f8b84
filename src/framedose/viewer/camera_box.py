"""The second part of the panel: where the vacuum is, and what the camera does there."""

from pathlib import Path

import napari.viewer
from qtpy.QtWidgets import QCheckBox, QFileDialog, QFormLayout, QGroupBox, QLineEdit

from framedose.camera.passport import CameraPassport, load_passport, write_passport
from framedose.camera.vacuum import find_vacuum
from framedose.errors import ConfigurationError
from framedose.files import Frames
from framedose.viewer.fields import NumberField, button, row, text
from framedose.viewer.layers import frames_of
from framedose.viewer.micrograph_box import MicrographBox
from framedose.viewer.notify import notified
from framedose.viewer.tasks import Tasks
from framedose.viewer.vacuum import NAME, Measured, align, described, drawn_region, measured, show_region, vacuum_layer


class CameraBox(QGroupBox):
    """Find or draw the vacuum, calibrate, keep the passport."""

    def __init__(self, viewer: napari.viewer.Viewer, micrograph: MicrographBox, tasks: Tasks) -> None:
        super().__init__("Camera, from vacuum")
        self._viewer, self._micrograph, self._tasks = viewer, micrograph, tasks
        self.passport: CameraPassport | None = None
        """The camera that was calibrated or opened; it tells the dose from the counts."""
        self.doses = NumberField(
            "dose", unit="e/Å2", empty="not known", tip="e/Å2: one number, or one for each frame, separated by commas."
        )
        self.offset = NumberField(
            "offset", unit="counts", empty="not known", tip="Counts without electrons; 0 if the camera takes them off."
        )
        self.name = QLineEdit("camera")
        self.name.setToolTip("Name of the camera, for the passport.")
        self.processed = QCheckBox("allow-processed")
        self.processed.setToolTip("Measure frames that are not raw all the same; the passport then says so.")
        self.find_button = button("Find", self.find, "Look for the largest rectangle without structure in this frame.")
        self.draw_button = button("Draw", self.draw, "Draw a rectangle on the image; the last one counts.")
        self.calibrate_button = button(
            "Calibrate", self.calibrate, "Measure the camera in the rectangle, in all frames of the layer."
        )
        self.save_button = button("Save passport...", self._ask_save, "Write the camera as YAML.")
        self.open_button = button("Open passport...", self._ask_open, "Use a camera that was measured before.")
        self.save_button.setEnabled(False)
        self.said = text()
        layout = QFormLayout(self)
        layout.addRow("vacuum", row(self.find_button, self.draw_button))
        layout.addRow("dose", self.doses)
        layout.addRow("offset", self.offset)
        layout.addRow("name", self.name)
        layout.addRow(row(self.processed, self.calibrate_button))
        layout.addRow(row(self.save_button, self.open_button))
        layout.addRow(self.said)
        tasks.busy.connect(self._enable)
        micrograph.changed.connect(self._align)

    def find(self) -> None:
        """Find the vacuum in the frame that is shown, and draw it."""
        with notified():
            layer = self._micrograph.layer
            frames, index = frames_of(layer), self._micrograph.frame
            self._tasks.start(
                (find_vacuum(frames[number].image) for number in (index,)),
                label="looking for vacuum",
                step=lambda region: show_region(vacuum_layer(self._viewer, layer), region),
            )

    def draw(self) -> None:
        """Let the user draw the vacuum."""
        with notified():
            layer = vacuum_layer(self._viewer, self._micrograph.layer)
            self._viewer.layers.selection.active = layer
            layer.mode = "add_rectangle"

    def calibrate(self) -> None:
        """Measure the camera in the last rectangle; without one the vacuum is found in all frames together."""
        with notified():
            layer = self._micrograph.layer
            frames = frames_of(layer)
            work = measured(
                frames,
                region=drawn_region(self._viewer, layer.data.shape),
                doses=self._doses(frames),
                offset=self.offset.number(),
                allow_processed=self.processed.isChecked(),
                camera=self.name.text() or "camera",
            )

            def show(found: Measured) -> None:
                show_region(vacuum_layer(self._viewer, layer), found.region)
                self.use(found.passport)

            self._tasks.start(work, label="calibrating", step=show)

    def use(self, passport: CameraPassport) -> None:
        """Show a passport, and take the dose from it."""
        self.passport = passport
        self.said.setText("\n".join(described(passport)))
        self.save_button.setEnabled(True)

    def save(self, path: Path) -> None:
        """Write the passport as YAML."""
        with notified():
            if self.passport is None:
                raise ConfigurationError("There is no passport to save: calibrate first.")
            write_passport(path, self.passport)

    def open(self, path: Path) -> None:
        """Use a passport that was written before."""
        with notified():
            self.use(load_passport(path))

    def _doses(self, frames: Frames) -> list[float] | None:
        doses = self.doses.numbers()
        if doses is not None and len(doses) not in (1, len(frames)):
            raise ConfigurationError(
                f"dose needs one number, or one for each of the {len(frames)} frames, got {len(doses)}."
            )
        return doses

    def _ask_save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Passport", f"{self.name.text()}.yaml", "YAML (*.yaml)")
        if name:
            self.save(Path(name))

    def _ask_open(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Passport", "", "YAML (*.yaml)")
        if name:
            self.open(Path(name))

    def _align(self) -> None:
        if NAME in self._viewer.layers and self._micrograph.chooser.currentData() is not None:
            align(self._viewer.layers[NAME], self._micrograph.layer)

    def _enable(self, busy: bool) -> None:
        for one in (self.find_button, self.calibrate_button, self.open_button):
            one.setEnabled(not busy)
