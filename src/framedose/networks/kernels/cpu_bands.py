"""The forward pass of an image too large for whole maps: bands of rows run through the layers, one after the other.

A layer can go on to a row when its inputs are there as far as its kernel reaches beyond that row. So each layer lags
behind the one before it by its reach, and the last one behind the image by the sum of all of them, about 1100 rows for
the paper's network. Of a map only those rows are kept that a later layer still reads. The result is that of whole maps.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from framedose.networks.kernels import cpu_forward, cpu_team
from framedose.networks.kernels.cpu_buffer import array, buffer, origins, place
from framedose.networks.kernels.cpu_layout import Layout

BAND = 256
"""Rows that the image advances by at a time: fewer take less memory, and more time to move what is kept."""


def forward(
    layout: Layout,
    dilations: Sequence[int],
    slope: float,
    x: Tensor,
    weights: Tensor,
    biases: Tensor,
    final_weight: Tensor,
    final_bias: Tensor,
) -> Tensor:
    """Return the logits of one image, shape (1, classes, height, width).

    Parameters
    ----------
    layout
        Sizes, of one image.
    dilations
        One per layer [px].
    slope
        Slope of the activation for negative values.
    x
        The image, shape (1, 1, height, width).
    weights, biases, final_weight, final_bias
        As :func:`framedose.networks.kernels.cpu_forward.forward` takes them.
    """
    windows = _Windows(layout, dilations)
    place(x, windows.image, layout)
    logits = torch.empty(1, len(final_bias), layout.height, layout.width)
    arguments = (
        array(weights),
        array(biases),
        np.asarray(dilations),
        np.float32(slope),
        array(final_weight.flatten(1)),
        array(final_bias),
        logits.numpy(),
    )
    for first, last in windows:
        rows = windows.maps.numpy(), windows.origins, first, last, windows.lowest
        cpu_team.run(cpu_forward.forward, layout.layers + 1, layout, *rows, *arguments)
    return logits


class _Windows:
    """One buffer with the whole image and a window of rows of every other map; iterating slides them down the image.

    Each step gives the rows that every layer computes, first and last, without the last.
    """

    def __init__(self, layout: Layout, dilations: Sequence[int]) -> None:
        self._layout = layout
        reach = np.asarray(dilations) * (layout.taps - 1) // 2
        self._lag = np.cumsum(reach)
        # The least row that is read lies this far behind the image; it need not be the last layer that reads it.
        self._behind = int((self._lag + reach).max())
        # A row is reflected to at most twice the halo below itself.
        heights = BAND + self._behind - self._lag + 2 * layout.halo
        whole = layout.height + 2 * layout.halo
        sizes = np.repeat(heights, layout.growth) * layout.stride
        self._starts = whole * layout.stride + np.concatenate([[0], np.cumsum(sizes)])
        self.maps = buffer(int(self._starts[-1]))
        self.image = self.maps[: whole * layout.stride].view(1, 1, whole, layout.stride)
        self.lowest = -layout.halo

    @property
    def origins(self) -> npt.NDArray[np.int64]:
        """Where the first pixel of each map is, or would be if its window began there."""
        layout = self._layout
        others = self._starts[:-1] - self.lowest * layout.stride + layout.left
        return np.concatenate([origins(layout)[0, :1], others])[np.newaxis].astype(np.int64)

    def __iter__(self) -> "_Windows":
        self._done = 0
        return self

    def __next__(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        height = self._layout.height
        if self._done >= height + self._lag[-1]:
            raise StopIteration
        self._slide(max(-self._layout.halo, self._done - self._behind))
        before, self._done = self._done, self._done + BAND
        first, last = (np.clip(rows - self._lag, 0, height).astype(np.int64) for rows in (before, self._done))
        return first, last

    def _slide(self, lowest: int) -> None:
        moved = (lowest - self.lowest) * self._layout.stride
        if moved:
            maps = self.maps.numpy()
            for start, end in zip(self._starts, self._starts[1:], strict=False):
                maps[start : end - moved] = maps[start + moved : end]
        self.lowest = lowest
