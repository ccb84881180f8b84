"""The third part of the panel: which network, at which threshold, and what it saw in the frame that is shown."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import napari.viewer
from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QFileDialog, QFormLayout, QGroupBox
from superqt import QLabeledDoubleSlider

from framedose.camera.passport import CameraPassport
from framedose.errors import ConfigurationError
from framedose.files import Frames
from framedose.inference.segment import check_options
from framedose.networks.weights import SHIPPED, load_network
from framedose.viewer.camera_box import CameraBox
from framedose.viewer.export import export
from framedose.viewer.fields import NumberField, button, row, text
from framedose.viewer.layers import frames_of, sampling_of
from framedose.viewer.micrograph_box import MicrographBox
from framedose.viewer.notify import notified
from framedose.viewer.shown import Shown
from framedose.viewer.stored import Seen, Stored, seen
from framedose.viewer.tasks import Tasks


@dataclass(frozen=True)
class Made:
    """What a result was made with: frames that were made alike stand together."""

    network: str
    """Name or path."""
    sampling: float
    """Å/px."""
    dose: float | None
    """Dose of every frame [e/Å2], where it was given."""
    camera: CameraPassport | None
    """What tells the dose else."""


class SegmentBox(QGroupBox):
    """Run a network over the frames, look at the result, export it."""

    def __init__(
        self, viewer: napari.viewer.Viewer, micrograph: MicrographBox, camera: CameraBox, tasks: Tasks
    ) -> None:
        super().__init__("Segmentation")
        self._viewer, self._micrograph, self._camera, self._tasks = viewer, micrograph, camera, tasks
        self._results: dict[Image, tuple[Made, Shown]] = {}
        self.network = QComboBox()
        self.network.addItems(SHIPPED)
        self.network.setToolTip("A network that ships with framedose, or weights of your own.")
        self.dose = NumberField(
            "dose", unit="e/Å2", empty="from the file or the camera", tip="Dose of every frame, for the warnings."
        )
        self.threshold = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.threshold.setRange(0.001, 0.999)
        self.threshold.setDecimals(3)
        self.threshold.setSingleStep(0.001)
        self.threshold.setValue(0.9)
        self.threshold.setToolTip("Least probability of a pixel in the mask. The network does not run again.")
        self.weights_button = button("File...", self._ask_weights, "Choose a .safetensors file of your own.")
        self.frame_button = button("This frame", self.segment_frame, "Segment the frame that is shown.")
        self.series_button = button("Whole series", self.segment_series, "Segment every frame that is not yet.")
        self.export_button = button(
            "Export...", self._ask_export, "Write TIFFs, overlays and tables of all segmented frames into a new folder."
        )
        self.said = text()
        layout = QFormLayout(self)
        layout.addRow("network", row(self.network, self.weights_button))
        layout.addRow("dose", self.dose)
        layout.addRow(row(self.frame_button, self.series_button))
        layout.addRow("threshold", self.threshold)
        layout.addRow(self.said)
        layout.addRow(self.export_button)
        self.threshold.valueChanged.connect(self._rethreshold)
        tasks.busy.connect(self._enable)
        micrograph.changed.connect(self._changed)
        viewer.dims.events.point.connect(self.say)
        viewer.layers.events.removed.connect(self._removed)
        self.say()

    @property
    def shown(self) -> Shown | None:
        """The results of the chosen micrograph."""
        layer = self._micrograph.chooser.currentData()
        return self._results[layer][1] if layer in self._results else None

    def segment_frame(self) -> None:
        """Segment the frame that is shown."""
        with notified():
            self._segment([self._micrograph.frame])

    def segment_series(self) -> None:
        """Segment the frames of the layer that were not segmented with the same settings."""
        with notified():
            self._segment(None)

    def export(self, out: Path) -> None:
        """Write the frames that were segmented into a new folder."""
        with notified():
            layer = self._micrograph.layer
            if layer not in self._results:
                raise ConfigurationError("Nothing to export: segment a frame first.")
            made, shown = self._results[layer]
            if sampling_of(layer) != made.sampling:
                raise ConfigurationError(_outdated(made.sampling, sampling_of(layer)))
            settings = {"dose": made.dose, "camera": None if made.camera is None else made.camera.camera}
            work = export(shown.stored, out, threshold=self.threshold.value(), settings=settings)
            self._tasks.start(work, label="exporting", total=len(shown.stored.indices))

    def say(self) -> None:
        """Say what was seen in the frame that is shown: area, dose, warnings."""
        shown = self.shown
        if shown is None:
            self.said.setText("")
            return
        index, stored = self._micrograph.frame, shown.stored
        layer = self._micrograph.layer
        if sampling_of(layer) != stored.sampling:
            self.said.setText(f"! {_outdated(stored.sampling, sampling_of(layer))}")
            return
        if index not in stored.indices:
            self.said.setText(f"frame {index}: not segmented yet")
            return
        result, dose = stored.result(index, self.threshold.value()), stored.dose(index)
        lines = [f"frame {index}: area {result.area_nm2:.2f} nm² ({result.fraction:.2%} of the frame)"]
        known = stored.network.metadata.area_interval
        if result.area_interval_nm2 is not None and known is not None:
            low, high = result.area_interval_nm2
            lines.append(f"{low:.2f} to {high:.2f} nm² hold it in {known.level:.0%} of such frames")
        lines.append("dose not known" if dose is None else f"dose {dose:.4g} e/Å²")
        self.said.setText("\n".join([*lines, *(f"! {warning}" for warning in result.warnings)]))

    def _segment(self, indices: Sequence[int] | None) -> None:
        layer, name, dose = self._micrograph.layer, self.network.currentText(), self.dose.number()
        check_options(threshold=self.threshold.value(), dose=dose)
        frames = frames_of(layer)
        made = Made(name, sampling_of(layer), dose, self._camera.passport)
        before = self._results.get(layer)
        stored = before[1].stored if before is not None and before[0] == made else None
        if indices is None:
            done = set() if stored is None else set(stored.indices)
            indices = [index for index in range(len(frames)) if index not in done]

        def step(found: tuple[Stored, Seen]) -> None:
            self._keep(layer, made, *found)

        self._tasks.start(_segmented(frames, indices, stored, made), label="segmenting", total=len(indices), step=step)

    def _keep(self, layer: Image, made: Made, stored: Stored, frame: Seen) -> None:
        if layer not in self._results:
            self._results[layer] = made, Shown(self._viewer, layer, stored)
        shown = self._results[layer][1]
        shown.stored = stored
        self._results[layer] = made, shown
        stored.keep(frame)
        shown.draw(self.threshold.value())
        self.say()

    def _rethreshold(self) -> None:
        if self.shown is not None:
            self.shown.draw_mask(self.threshold.value())
            self.say()

    def _changed(self) -> None:
        if self.shown is not None:
            self.shown.align()
        self.say()

    def _removed(self) -> None:
        """Let the results go with their micrograph: they cannot be exported without it."""
        for layer in [layer for layer in self._results if layer not in self._viewer.layers]:
            self._results.pop(layer)[1].remove()

    def _ask_weights(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Weights", "", "Weights (*.safetensors)")
        if name:
            self.choose_weights(Path(name))

    def choose_weights(self, path: Path) -> None:
        """Offer a weights file, and choose it."""
        if self.network.findText(str(path)) < 0:
            self.network.addItem(str(path))
        self.network.setCurrentText(str(path))

    def _ask_export(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "New folder for the results", "framedose-segment")
        if name:
            self.export(Path(name))

    def _enable(self, busy: bool) -> None:
        for one in (self.frame_button, self.series_button, self.export_button):
            one.setEnabled(not busy)


def _outdated(before: float, now: float) -> str:
    return f"Segmented at {before:g} Å/px, and the pixel size is {now:g} Å/px now: segment again."


def _segmented(
    frames: Frames, indices: Sequence[int], stored: Stored | None, made: Made
) -> Generator[tuple[Stored, Seen], None, None]:
    if stored is None:
        stored = Stored(frames, load_network(made.network))
    for frame in seen(frames, indices, stored.network, dose=made.dose, camera=made.camera):
        yield stored, frame
