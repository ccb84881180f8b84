"""The forward pass, compiled by numba and shared by threads.

Images follow one another, so that what a layer reads is still in the cache. Every sum is formed by one thread, in an
order that does not depend on which and how many there are. Of each map a range of rows is computed: all of them, or, of
an image too large for that (`framedose.networks.kernels.cpu_bands`), the next ones.
"""

# mypy: disable-error-code="untyped-decorator"
from typing import Any

import numpy as np
from numba import njit

from framedose.networks.kernels.cpu_layout import Layout, convolve, inputs, row_block, row_blocks
from framedose.networks.kernels.cpu_team import share, step


@njit(nogil=True, cache=True)
def forward(
    counters: int, threads: int, layout: Layout, maps: Any, origins: Any, first: Any, last: Any, lowest: int,
    weights: Any, biases: Any, dilations: Any, slope: float, final_weight: Any, final_bias: Any, logits: Any,
) -> None:  # fmt: skip
    """Compute a range of rows of all maps, and the logits where the last layer has come to.

    Parameters
    ----------
    counters, threads
        The team, with ``layers + 1`` stages per image; see `framedose.networks.kernels.cpu_team.run`.
    layout
        Sizes.
    maps
        The buffer, with the image in map 0; the others need no initial values.
    origins
        Where the first pixel of every map is, or would be, in the buffer; shape (batch, 1 + layers * growth).
    first, last
        The rows that each layer computes, without the last. All that they read must be there.
    lowest
        The first row that is kept of the maps; reflections to rows above it are not written.
    weights, biases
        All kernels in the order layer, output, input, vertical, horizontal tap, flat; all biases, flat.
    dilations
        One per layer [px].
    slope
        Slope of the activation for negative values.
    final_weight, final_bias
        Shapes (classes, layers * growth) and (classes,).
    logits
        The result, shape (batch, classes, height, width).
    """
    stage = np.int64(0)  # of one type for all stages: numba takes a plain 0 for a constant
    for image in range(layout.batch):
        for layer in range(layout.layers):
            rows = last[layer] - first[layer]
            for block in share(counters, threads, stage, row_blocks(rows, dilations[layer])):
                y, count = row_block(rows, dilations[layer], block)
                _layer_rows(
                    layout, maps, origins[image], lowest, weights, biases, dilations[layer], slope, layer,
                    first[layer] + y, count,
                )  # fmt: skip
            stage += 1
        top = first[layout.layers - 1]
        for y in share(counters, threads, stage, last[layout.layers - 1] - top):
            _logits_row(layout, maps, origins[image], final_weight, final_bias, logits, image, top + y)
        stage += 1


@step
def _layer_rows(
    layout: Layout, maps: Any, origins: Any, lowest: int, weights: Any, biases: Any, dilation: int, slope: float,
    layer: int, y: int, rows: int,
) -> None:  # fmt: skip
    """Compute a block of rows, y, y + dilation, ..., of all maps of one layer."""
    first, count, kernel = inputs(layout, layer)
    out = 1 + layer * layout.growth
    top = y * layout.stride
    for o in range(layout.growth):
        start, bias = origins[out + o] + top, biases[layer * layout.growth + o]
        for row in range(rows):
            at = start + row * dilation * layout.stride
            for x in range(layout.width):
                maps[at + x] = bias
    for c in range(count):
        source = origins[first + c] + top
        for o in range(layout.growth):
            target = origins[out + o] + top
            convolve(layout, maps, target, maps, source, weights, kernel + o * count + c, dilation, 0, rows, 0)
    for o in range(layout.growth):
        start = origins[out + o]
        for row in range(rows):
            at = start + top + row * dilation * layout.stride
            for x in range(layout.width):
                value = maps[at + x]
                maps[at + x] = value if value > 0 else slope * value
            _reflect(layout, maps, start, y + row * dilation, lowest)


@step
def _reflect(layout: Layout, maps: Any, start: int, y: int, lowest: int) -> None:
    """Write what a finished row is reflected to: its own margins, and perhaps a row of the halo above and below."""
    stride, halo, last = layout.stride, layout.halo, layout.width - 1
    at = start + y * stride
    end = at + stride - layout.left
    for m in range(1, halo + 1):
        maps[at - m] = maps[at + m]
        maps[at + last + m] = maps[at + last - m]
    for i in range(at + last + halo + 1, end):
        maps[i] = 0.0  # read together with a gradient of zero, so it must be finite
    below = layout.height - 1 - y
    if 1 <= y <= halo and -y >= lowest:
        for i in range(at - halo, end):
            maps[i - 2 * y * stride] = maps[i]
    if 1 <= below <= halo:
        for i in range(at - halo, end):
            maps[i + 2 * below * stride] = maps[i]


@step
def _logits_row(
    layout: Layout, maps: Any, origins: Any, final_weight: Any, final_bias: Any, logits: Any, image: int, y: int
) -> None:
    for k in range(len(final_bias)):
        for x in range(layout.width):
            logits[image, k, y, x] = final_bias[k]
        for feature in range(final_weight.shape[1]):
            at, weight = origins[1 + feature] + y * layout.stride, final_weight[k, feature]
            for x in range(layout.width):
                logits[image, k, y, x] += weight * maps[at + x]
