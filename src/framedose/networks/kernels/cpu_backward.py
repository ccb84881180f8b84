"""The backward pass, compiled by numba and shared by threads: exact, the adjoint of the reflection included.

Every sum is formed by one thread, in an order that does not depend on which and how many there are.
"""

# mypy: disable-error-code="untyped-decorator"
from typing import Any

import numpy as np
from numba import njit

from framedose.networks.kernels.cpu_layout import (
    Layout,
    ceil,
    convolve,
    inputs,
    origin,
    part,
    row_block,
    row_blocks,
)
from framedose.networks.kernels.cpu_micro import GRADIENT_COLUMNS, GRADIENT_ROWS, LANES, gradient_tile
from framedose.networks.kernels.cpu_team import share, step

GRADIENT_BLOCK = 8
"""Source rows that the weight gradient takes at a time; they and the rows that they meet fit into the first cache."""


@njit(nogil=True, cache=True)
def backward(
    counters: int, threads: int, layout: Layout, maps: Any, grads: Any, flipped: Any, dilations: Any, slope: float,
    final_weight: Any, logits_grad: Any, images_grad: Any, weights_grad: Any, biases_grad: Any,
    final_weight_grad: Any,
) -> None:  # fmt: skip
    """Compute the gradients of all pre-activations, then those of the parameters, image by image.

    Parameters
    ----------
    counters, threads
        The team, with ``2 * layers + 3`` stages per image; see `framedose.networks.kernels.cpu_team.run`.
    layout
        Sizes.
    maps
        The buffer of the forward pass.
    grads
        A buffer like it for one image, which needs no initial values.
    flipped
        The kernels of the forward pass, each reversed.
    dilations, slope, final_weight
        As in the forward pass.
    logits_grad
        Gradient of the logits.
    images_grad
        Gradient of the images, a result, shape (batch, 1, height, width); None if it is not wanted.
    weights_grad, biases_grad, final_weight_grad
        The results, shaped like the parameters of the forward pass, float64; added to what is there.
    """
    features, kernels = layout.layers * layout.growth, len(weights_grad) // layout.taps**2
    stage = np.int64(0)  # of one type for all stages: numba takes a plain 0 for a constant
    for image in range(layout.batch):
        for feature in share(counters, threads, stage, 1 + features):
            _start(layout, grads, final_weight, logits_grad[image], feature)
        stage += 1
        for layer in range(layout.layers - 1, -1, -1):
            for task in share(counters, threads, stage, layout.growth * layout.height):
                feature, y = 1 + layer * layout.growth + task // layout.height, task % layout.height
                _fold(layout, grads, feature, y)
                _through_activation(layout, maps, grads, slope, image, feature, y)
            stage += 1
            if layer > 0 or images_grad is not None:
                pad = dilations[layer] * (layout.taps - 1) // 2
                blocks = row_blocks(layout.height + 2 * pad, dilations[layer])
                for task in share(counters, threads, stage, inputs(layout, layer)[1] * blocks):
                    _push(layout, grads, flipped, dilations[layer], pad, layer, task // blocks, task % blocks)
                stage += 1
        for task in share(counters, threads, stage, kernels + features):
            if task < kernels:
                _kernel_gradient(layout, maps, grads, dilations, weights_grad, image, task)
            else:
                _map_gradients(
                    layout, maps, grads, logits_grad[image], biases_grad, final_weight_grad, image, task - kernels
                )
        stage += 1
        if images_grad is not None:
            for y in share(counters, threads, stage, layout.height):
                _fold(layout, grads, 0, y)
                at = origin(layout, 0, 0) + y * layout.stride
                images_grad[image, 0, y] = grads[at : at + layout.width]
            stage += 1


@step
def _start(layout: Layout, grads: Any, final_weight: Any, logits_grad: Any, feature: int) -> None:
    """Begin the gradient of a map with the part that comes directly from the logits."""
    start = origin(layout, 0, feature)
    above = layout.halo * layout.stride + layout.left
    for i in range(start - above, start - above + (layout.height + 2 * layout.halo) * layout.stride):
        grads[i] = 0.0
    if feature > 0:
        for k in range(final_weight.shape[0]):
            weight = final_weight[k, feature - 1]
            for y in range(layout.height):
                for x in range(layout.width):
                    grads[start + y * layout.stride + x] += weight * logits_grad[k, y, x]


@step
def _fold(layout: Layout, grads: Any, feature: int, y: int) -> None:
    """Move the gradient of the halo to the pixels of a row that were reflected there."""
    stride, halo, last = layout.stride, layout.halo, layout.width - 1
    at = origin(layout, 0, feature) + y * stride
    start, end = at - layout.left, at - layout.left + stride
    below = layout.height - 1 - y
    if 1 <= y <= halo:
        for i in range(start, end):
            grads[i] += grads[i - 2 * y * stride]
            grads[i - 2 * y * stride] = 0.0
    if 1 <= below <= halo:
        for i in range(start, end):
            grads[i] += grads[i + 2 * below * stride]
            grads[i + 2 * below * stride] = 0.0
    for m in range(1, halo + 1):
        grads[at + m] += grads[at - m]
        grads[at + last - m] += grads[at + last + m]
    for i in range(start, at):
        grads[i] = 0.0
    for i in range(at + last + 1, end):
        grads[i] = 0.0


@step
def _through_activation(layout: Layout, maps: Any, grads: Any, slope: float, image: int, feature: int, y: int) -> None:
    """Turn the gradient of a row into that of its pre-activation: the sign of the map tells the derivative."""
    at, map_at = origin(layout, 0, feature) + y * layout.stride, origin(layout, image, feature) + y * layout.stride
    for x in range(layout.width):
        grads[at + x] = grads[at + x] if maps[map_at + x] > 0 else slope * grads[at + x]


@step
def _push(layout: Layout, grads: Any, flipped: Any, dilation: int, pad: int, layer: int, c: int, block: int) -> None:
    """Add the gradient of a layer to a block of rows of its input map number ``c``, halo included."""
    y, rows = row_block(layout.height + 2 * pad, dilation, block)
    first, count, kernel = inputs(layout, layer)
    target = origin(layout, 0, first + c)
    for o in range(layout.growth):
        source = origin(layout, 0, 1 + layer * layout.growth + o)
        convolve(layout, grads, target, grads, source, flipped, kernel + o * count + c, dilation, y - pad, rows, pad)


@step
def _kernel_gradient(
    layout: Layout, maps: Any, grads: Any, dilations: Any, weights_grad: Any, image: int, task: int
) -> None:
    """Add the gradient of one kernel from one image."""
    layer = 0
    while layer + 1 < layout.layers and inputs(layout, layer + 1)[2] <= task:
        layer += 1
    first, count, kernel = inputs(layout, layer)
    source_at = origin(layout, image, first + (task - kernel) % count)
    slope_at = origin(layout, 0, 1 + layer * layout.growth + (task - kernel) // count)
    area, dilation = layout.taps**2, dilations[layer]
    sums, totals = np.empty(area * LANES, np.float32), np.zeros(area * LANES, np.float64)
    for phase in range(dilation):
        rows = ceil(layout.height - phase, dilation)
        sums[:] = 0.0
        for low in range(0, rows + layout.taps - 1, GRADIENT_BLOCK):
            high = low + GRADIENT_BLOCK
            _kernel_gradient_block(layout, maps, grads, source_at, slope_at, dilation, phase, rows, low, high, sums)
        for i in range(area * LANES):
            totals[i] += sums[i]
    for i in range(area):
        for lane in range(LANES):
            weights_grad[task * area + i] += totals[i * LANES + lane]


@step
def _kernel_gradient_block(
    layout: Layout, maps: Any, grads: Any, source_at: int, slope_at: int, dilation: int, phase: int, count: int,
    low: int, high: int, sums: Any,
) -> None:  # fmt: skip
    """Add what source rows ``low`` to ``high`` of a phase give; row j is image row phase - reach + j * dilation.

    At the vertical tap t it meets the row j - t of the gradient, of which the phase has ``count``.
    """
    taps, stride = layout.taps, layout.stride
    reach = dilation * (taps - 1) // 2
    row_parts, column_parts = ceil(taps, GRADIENT_ROWS), ceil(taps, GRADIENT_COLUMNS)
    for tile in range(row_parts * column_parts):
        row, rows = part(taps, row_parts, tile // column_parts)
        column, columns = part(taps, column_parts, tile % column_parts)
        j, stop = max(low, row), min(high, row + count + rows - 1)
        while j < stop:
            # The first and the last rows meet only some of the taps: they go one by one.
            above, inside = max(0, j - row - count + 1), min(rows, j - row + 1)
            run = min(stop, row + count) - j if inside - above == rows else 1
            y = phase + j * dilation
            gradient_tile(
                inside - above, columns, sums, ((row + above) * taps + column) * LANES, taps,
                grads, slope_at + (y - (row + above) * dilation) * stride,
                maps, source_at + (y - reach) * stride - reach + column * dilation,
                dilation * stride, dilation, run, ceil(layout.width, LANES),
            )  # fmt: skip
            j += run


@step
def _map_gradients(
    layout: Layout, maps: Any, grads: Any, logits_grad: Any, biases_grad: Any, final_weight_grad: Any, image: int,
    feature: int,
) -> None:  # fmt: skip
    """Add the gradients of one map's bias and of its weights in the final convolution, from one image."""
    for y in range(layout.height):
        biases_grad[feature] += _sum(grads, origin(layout, 0, 1 + feature) + y * layout.stride, layout.width)
        at = origin(layout, image, 1 + feature) + y * layout.stride
        for k in range(logits_grad.shape[0]):
            final_weight_grad[k, feature] += _dot(maps, at, logits_grad[k, y])


@njit(fastmath={"reassoc"})
def _sum(values: Any, at: int, count: int) -> Any:
    total = np.float32(0.0)
    for i in range(at, at + count):
        total += values[i]
    return total


@njit(fastmath={"reassoc", "contract"})
def _dot(values: Any, at: int, others: Any) -> Any:
    total = np.float32(0.0)
    for i in range(len(others)):
        total += values[at + i] * others[i]
    return total
