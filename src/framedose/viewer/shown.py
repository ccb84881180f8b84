"""The results of one micrograph as layers: probability below, mask above."""

from typing import Any

import napari.viewer
from napari.layers import Image, Layer
from napari.utils import DirectLabelColormap

from framedose.viewer.layers import RESULT, like
from framedose.viewer.stored import Stored

_CYAN = "#00ffff"


class Shown:
    """What was seen in a micrograph, and the two layers that show it.

    Parameters
    ----------
    viewer
        Where the layers are.
    image
        The micrograph.
    stored
        What the network saw.
    """

    def __init__(self, viewer: napari.viewer.Viewer, image: Image, stored: Stored) -> None:
        self._viewer, self.image, self.stored = viewer, image, stored
        self._probability: Layer | None = None
        self._mask: Layer | None = None

    def draw(self, threshold: float) -> None:
        """Show what is stored; the network does not run."""
        if self.image not in self._viewer.layers:
            return
        self._probability = self._put(
            self._probability,
            self._viewer.add_image,
            self.stored.probabilities(),
            name=f"{self.image.name} probability",
            colormap="magma",
            contrast_limits=(0.0, 1.0),
            blending="additive",
            visible=False,
        )
        self.draw_mask(threshold)

    def draw_mask(self, threshold: float) -> None:
        """Show the mask at another threshold."""
        if self.image not in self._viewer.layers:
            return
        self._mask = self._put(
            self._mask,
            self._viewer.add_labels,
            self.stored.masks(threshold),
            name=f"{self.image.name} mask",
            colormap=DirectLabelColormap(color_dict={None: "transparent", 1: _CYAN}),
            opacity=0.3,
        )

    def align(self) -> None:
        """Follow the scale of the micrograph."""
        for layer in (self._probability, self._mask):
            if layer is not None:
                placed = like(self.image, layer.ndim)
                layer.scale, layer.units = placed["scale"], placed["units"]

    def remove(self) -> None:
        """Take the layers away.

        They go with their micrograph: with a layer gone from below a Labels layer, vispy 0.17 can crash when it draws
        (seen with Mesa's software renderer, each time).
        """
        for layer in (self._probability, self._mask):
            if layer is not None and layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    def _put(self, layer: Layer | None, add: Any, data: Any, **options: Any) -> Layer:
        if layer is not None and layer in self._viewer.layers:
            layer.data, layer.metadata[RESULT] = data, self.stored
            return layer
        # What is on disk stays as long as a layer shows it, also without the micrograph.
        return add(data, metadata={RESULT: self.stored}, **like(self.image, data.ndim), **options)
