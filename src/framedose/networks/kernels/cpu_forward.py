"""The forward pass, compiled by numba and shared by threads.

Images follow one another, so that what a layer reads is still in the cache. Every sum is formed by one thread, in an
order that does not depend on which and how many there are.
"""

# mypy: disable-error-code="untyped-decorator"
from typing import Any

import numpy as np
from numba import njit

from framedose.networks.kernels.cpu_layout import Layout, convolve, inputs, origin, row_block, row_blocks
from framedose.networks.kernels.cpu_team import share, step


@njit(nogil=True, cache=True)
def forward(
    counters: int, threads: int, layout: Layout, maps: Any, weights: Any, biases: Any, dilations: Any, slope: float,
    final_weight: Any, final_bias: Any, logits: Any,
) -> None:  # fmt: skip
    """Compute all maps and the logits.

    Parameters
    ----------
    counters, threads
        The team, with ``layers + 1`` stages per image; see `framedose.networks.kernels.cpu_team.run`.
    layout
        Sizes.
    maps
        The buffer, with the image in map 0; the others need no initial values.
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
            for block in share(counters, threads, stage, row_blocks(layout.height, dilations[layer])):
                _layer_rows(layout, maps, weights, biases, dilations[layer], slope, layer, image, block)
            stage += 1
        for y in share(counters, threads, stage, layout.height):
            _logits_row(layout, maps, final_weight, final_bias, logits, image, y)
        stage += 1


@step
def _layer_rows(
    layout: Layout, maps: Any, weights: Any, biases: Any, dilation: int, slope: float, layer: int, image: int,
    block: int,
) -> None:  # fmt: skip
    """Compute a block of rows of all maps of one layer."""
    y, rows = row_block(layout.height, dilation, block)
    first, count, kernel = inputs(layout, layer)
    out = 1 + layer * layout.growth
    for o in range(layout.growth):
        start, bias = origin(layout, image, out + o), biases[layer * layout.growth + o]
        for row in range(rows):
            at = start + (y + row * dilation) * layout.stride
            for x in range(layout.width):
                maps[at + x] = bias
    for c in range(count):
        source = origin(layout, image, first + c)
        for o in range(layout.growth):
            target = origin(layout, image, out + o)
            convolve(layout, maps, target, maps, source, weights, kernel + o * count + c, dilation, y, rows, 0)
    for o in range(layout.growth):
        start = origin(layout, image, out + o)
        for row in range(rows):
            at = start + (y + row * dilation) * layout.stride
            for x in range(layout.width):
                value = maps[at + x]
                maps[at + x] = value if value > 0 else slope * value
            _reflect(layout, maps, start, y + row * dilation)


@step
def _reflect(layout: Layout, maps: Any, start: int, y: int) -> None:
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
    if 1 <= y <= halo:
        for i in range(at - halo, end):
            maps[i - 2 * y * stride] = maps[i]
    if 1 <= below <= halo:
        for i in range(at - halo, end):
            maps[i + 2 * below * stride] = maps[i]


@step
def _logits_row(layout: Layout, maps: Any, final_weight: Any, final_bias: Any, logits: Any, image: int, y: int) -> None:
    for k in range(len(final_bias)):
        for x in range(layout.width):
            logits[image, k, y, x] = final_bias[k]
        for feature in range(final_weight.shape[1]):
            at, weight = origin(layout, image, 1 + feature) + y * layout.stride, final_weight[k, feature]
            for x in range(layout.width):
                logits[image, k, y, x] += weight * maps[at + x]
