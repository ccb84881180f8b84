"""The widget: micrograph, camera and segmentation, from the top down, and the task in work."""

import napari.viewer
from qtpy.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from framedose.viewer.camera_box import CameraBox
from framedose.viewer.micrograph_box import MicrographBox
from framedose.viewer.segment_box import SegmentBox
from framedose.viewer.tasks import Tasks

# Wide enough for the controls without a scroll bar below them [px].
_WIDTH = 340


class Panel(QWidget):
    """What *Plugins > framedose* opens.

    Parameters
    ----------
    viewer
        The window that it belongs to.
    """

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self.tasks = Tasks()
        self.micrograph = MicrographBox(viewer)
        self.camera = CameraBox(viewer, self.micrograph, self.tasks)
        self.segmentation = SegmentBox(viewer, self.micrograph, self.camera, self.tasks)
        boxes = QWidget()
        inner = QVBoxLayout(boxes)
        for box in (self.micrograph, self.camera, self.segmentation):
            inner.addWidget(box)
        inner.addStretch(1)
        self.scroll = QScrollArea()
        self.scroll.setWidgetResizable(True)
        self.scroll.setWidget(boxes)
        self.scroll.setMinimumWidth(_WIDTH)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.scroll)
        layout.addWidget(self.tasks)
