"""The backward pass, compiled by numba and shared by threads: exact, the adjoint of the reflection included.

Every sum is formed by one thread, in an order that does not depend on which and how many there are.
"""

# mypy: disable-error-code="untyped-decorator"
from typing import Any

import numpy as np
from numba import njit

from framedose.networks.kernels.cpu_layout import Layout, ceil, convolve, inputs, origin, row_group, row_groups
from framedose.networks.kernels.cpu_micro import GRADIENT_COLUMNS, GRADIENT_ROWS, LANES, gradient_tile
from framedose.networks.kernels.cpu_team import share, step

BLOCK_ROWS = 8
"""Source rows that the weight gradient takes at a time; they and the rows that they meet fit into the first cache."""


@njit(nogil=True, cache=True)
def backward(
    counters: Any, threads: int, layout: Layout, maps: Any, grads: Any, flipped: Any, dilations: Any, slope: float,
    final_weight: Any, logits_grad: Any, with_images: bool, weights_grad: Any, biases_grad: Any,
    final_weight_grad: Any,
) -> None:  # fmt: skip
    """Compute the gradients of all pre-activations, then those of the parameters.

    Parameters
    ----------
    counters, threads
        The team, with ``2 * layers + 3`` stages; see `framedose.networks.kernels.cpu_team.run`.
    layout
        Sizes.
    maps
        The buffer of the forward pass.
    grads
        A buffer like it, which needs no initial values; in map 0 ends the gradient of the images.
    flipped
        The kernels of the forward pass, each reversed.
    dilations, slope, final_weight
        As in the forward pass.
    logits_grad
        Gradient of the logits.
    with_images
        Whether the gradient of the images is wanted.
    weights_grad, biases_grad, final_weight_grad
        The results, shaped like the parameters of the forward pass.
    """
    features, kernels = layout.layers * layout.growth, len(weights_grad) // layout.taps**2
    stage = np.int64(0)  # of one type for all stages: numba takes a plain 0 for a constant
    for task in share(counters, threads, stage, layout.batch * (1 + features)):
        _start(layout, grads, final_weight, logits_grad, task // (1 + features), task % (1 + features))
    stage += 1
    for layer in range(layout.layers - 1, -1 - with_images, -1):
        rows = layout.batch * layout.height * (layout.growth if layer >= 0 else 1)
        for task in share(counters, threads, stage, rows):
            _finish_row(layout, maps, grads, slope, layer, task // layout.height, task % layout.height)
        stage += 1
        if layer > 0 or (layer == 0 and with_images):
            count, pad = inputs(layout, layer)[1], dilations[layer] * (layout.taps - 1) // 2
            groups = row_groups(layout.height + 2 * pad, dilations[layer])
            for task in share(counters, threads, stage, layout.batch * groups * count):
                _push(layout, grads, flipped, dilations[layer], pad, layer, task // count, task % count)
            stage += 1
    for task in share(counters, threads, stage, kernels + features):
        if task < kernels:
            _kernel_gradient(layout, maps, grads, dilations, weights_grad, task)
        else:
            _map_gradients(layout, maps, grads, logits_grad, biases_grad, final_weight_grad, task - kernels)


@step
def _start(layout: Layout, grads: Any, final_weight: Any, logits_grad: Any, image: int, feature: int) -> None:
    """Begin the gradient of a map with the part that comes directly from the logits."""
    start = origin(layout, image, feature)
    above = layout.halo * layout.stride + layout.left
    for i in range(start - above, start - above + (layout.height + 2 * layout.halo) * layout.stride):
        grads[i] = 0.0
    if feature > 0:
        for k in range(final_weight.shape[0]):
            weight = final_weight[k, feature - 1]
            for y in range(layout.height):
                for x in range(layout.width):
                    grads[start + y * layout.stride + x] += weight * logits_grad[image, k, y, x]


@step
def _finish_row(layout: Layout, maps: Any, grads: Any, slope: float, layer: int, task: int, y: int) -> None:
    """Turn what came in from all sides into the gradient of a pre-activation; layer -1 is the image, without one."""
    if layer < 0:
        _fold(layout, grads, task, 0, y)
        return
    image, feature = task // layout.growth, 1 + layer * layout.growth + task % layout.growth
    _fold(layout, grads, image, feature, y)
    at = origin(layout, image, feature) + y * layout.stride
    for i in range(at, at + layout.width):
        grads[i] = grads[i] if maps[i] > 0 else slope * grads[i]


@step
def _fold(layout: Layout, grads: Any, image: int, feature: int, y: int) -> None:
    """Move the gradient of the halo to the pixels of a row that were reflected there."""
    stride, halo, last = layout.stride, layout.halo, layout.width - 1
    at = origin(layout, image, feature) + y * stride
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
def _push(layout: Layout, grads: Any, flipped: Any, dilation: int, pad: int, layer: int, task: int, c: int) -> None:
    """Add the gradient of a layer to a group of rows of its input map number ``c``, halo included."""
    groups = row_groups(layout.height + 2 * pad, dilation)
    image = task // groups
    y, rows = row_group(layout.height + 2 * pad, dilation, task % groups)
    first, count, kernel = inputs(layout, layer)
    target = origin(layout, image, first + c)
    for o in range(layout.growth):
        source = origin(layout, image, 1 + layer * layout.growth + o)
        convolve(layout, grads, target, grads, source, flipped, kernel + o * count + c, dilation, y - pad, rows, pad)


@step
def _kernel_gradient(layout: Layout, maps: Any, grads: Any, dilations: Any, weights_grad: Any, task: int) -> None:
    """Compute the gradient of one kernel, summed over the images in double precision."""
    layer = 0
    while layer + 1 < layout.layers and inputs(layout, layer + 1)[2] <= task:
        layer += 1
    first, count, kernel = inputs(layout, layer)
    out, feature = 1 + layer * layout.growth + (task - kernel) // count, first + (task - kernel) % count
    area, rows = layout.taps**2, BLOCK_ROWS
    sums, total = np.empty(area * LANES, np.float32), np.zeros(area, np.float64)
    for image in range(layout.batch):
        for phase in range(dilations[layer]):
            count = ceil(layout.height - phase, dilations[layer])
            for block in range(0, count + layout.taps - 1, rows):
                for i in range(area * LANES):
                    sums[i] = 0.0
                _kernel_gradient_block(
                    layout, maps, grads, origin(layout, image, feature), origin(layout, image, out),
                    dilations[layer], phase, count, block, block + rows, sums,
                )  # fmt: skip
                for i in range(area):
                    for lane in range(LANES):
                        total[i] += sums[i * LANES + lane]
    for i in range(area):
        weights_grad[task * area + i] = total[i]


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
    for part in range(row_parts * column_parts):
        row, rows = _part(taps, row_parts, part // column_parts)
        column, columns = _part(taps, column_parts, part % column_parts)
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
def _part(taps: int, parts: int, index: int) -> Any:
    """Return the first tap and the number of taps of a part, when a side of a kernel is cut evenly."""
    first, last = taps * index // parts, taps * (index + 1) // parts
    return first, last - first


@step
def _map_gradients(
    layout: Layout, maps: Any, grads: Any, logits_grad: Any, biases_grad: Any, final_weight_grad: Any, feature: int
) -> None:
    """Compute the gradients of one map's bias and of its weights in the final convolution."""
    bias = 0.0
    for image in range(layout.batch):
        for y in range(layout.height):
            at = origin(layout, image, 1 + feature) + y * layout.stride
            bias += _sum(grads, at, layout.width)
    biases_grad[feature] = bias
    for k in range(logits_grad.shape[1]):
        weight = 0.0
        for image in range(layout.batch):
            for y in range(layout.height):
                at = origin(layout, image, 1 + feature) + y * layout.stride
                weight += _dot(maps, at, logits_grad[image, k, y])
        final_weight_grad[k, feature] = weight


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
