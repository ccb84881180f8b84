"""The first part of the panel: which micrograph, and its pixel size."""

from pathlib import Path

import napari.viewer
import numpy as np
from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QFileDialog, QFormLayout, QGroupBox

from framedose.errors import CalibrationError, ConfigurationError
from framedose.viewer.fields import button, row
from framedose.viewer.layers import (
    RESULT,
    current_frame,
    grey_levels,
    layer_data,
    sampling_of,
    set_sampling,
    source_of,
)
from framedose.viewer.notify import notified


class MicrographBox(QGroupBox):
    """Open files, choose a layer, give its pixel size."""

    changed = Signal()
    """Another micrograph was chosen, or its pixel size has changed."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__("Micrograph")
        self._viewer = viewer
        self.chooser = QComboBox()
        self.chooser.setToolTip("The image layer that the controls below work on.")
        self.chooser.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.sampling = QDoubleSpinBox()
        self.sampling.setRange(0, 1e4)
        self.sampling.setDecimals(4)
        self.sampling.setSingleStep(0.01)
        self.sampling.setSuffix(" Å/px")
        self.sampling.setSpecialValueText("not known: give it")
        self.sampling.setKeyboardTracking(False)
        self.sampling.setToolTip("Side of a pixel. Fixed where the file says it.")
        self.grey = QCheckBox("grey levels of each frame")
        self.grey.setChecked(True)
        self.grey.setToolTip("Let black and white follow the frame that is shown: a series of rising dose needs it.")
        layout = QFormLayout(self)
        layout.addRow(
            row(
                button("Open file...", self._ask_file, "A micrograph or a stack, in any format that framedose reads."),
                button("Open folder...", self._ask_folder, "A series with one frame a file."),
            )
        )
        layout.addRow("layer", self.chooser)
        layout.addRow("sampling", self.sampling)
        layout.addRow(self.grey)
        self.chooser.currentIndexChanged.connect(self._chosen)
        self.sampling.valueChanged.connect(self._sampled)
        self.grey.toggled.connect(self._show_grey)
        viewer.dims.events.point.connect(self._show_grey)
        viewer.layers.events.inserted.connect(self._list)
        viewer.layers.events.removed.connect(self._list)
        self._list()

    @property
    def layer(self) -> Image:
        """The chosen layer.

        Raises
        ------
        ConfigurationError
            If there is none.
        """
        layer = self.chooser.currentData()
        if layer is None:
            raise ConfigurationError("There is no micrograph: open one first.")
        return layer

    @property
    def frame(self) -> int:
        """Index of the frame of the chosen layer that is shown."""
        return current_frame(self.layer, self._viewer.dims.point)

    def open_path(self, path: Path) -> None:
        """Open a file or folder as a layer, and choose it."""
        with notified():
            data, options, _ = layer_data(path)
            self._viewer.add_image(data, **options)
            self.chooser.setCurrentIndex(self.chooser.count() - 1)

    def _show_grey(self) -> None:
        layer = self.chooser.currentData()
        if layer is None or layer.ndim != 3 or layer.rgb or not self.grey.isChecked():
            return
        # One in sixteen pixels tells the same, and a slider must not wait.
        image = np.asarray(layer.data[self.frame])[::4, ::4]
        if np.isfinite(image).all():
            layer.contrast_limits = grey_levels(image)

    def _ask_file(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Micrograph or stack")
        if name:
            self.open_path(Path(name))

    def _ask_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Folder with one frame a file")
        if name:
            self.open_path(Path(name))

    def _list(self) -> None:
        """Offer the image layers that there are, and stay with the chosen one."""
        before = self.chooser.currentData()
        layers = [layer for layer in self._viewer.layers if isinstance(layer, Image) and RESULT not in layer.metadata]
        self.chooser.blockSignals(True)
        self.chooser.clear()
        for layer in layers:
            self.chooser.addItem(layer.name, layer)
        self.chooser.setCurrentIndex(layers.index(before) if before in layers else len(layers) - 1)
        self.chooser.blockSignals(False)
        self._chosen()

    def _chosen(self) -> None:
        layer = self.chooser.currentData()
        self.sampling.blockSignals(True)
        self.sampling.setEnabled(layer is not None and source_of(layer).sampling is None)
        try:
            self.sampling.setValue(0 if layer is None else sampling_of(layer))
        except CalibrationError:
            self.sampling.setValue(0)
        self.sampling.blockSignals(False)
        self.changed.emit()

    def _sampled(self, sampling: float) -> None:
        layer = self.chooser.currentData()
        if layer is not None and sampling > 0:
            set_sampling([layer], sampling)
            self._viewer.reset_view()
            self.changed.emit()
