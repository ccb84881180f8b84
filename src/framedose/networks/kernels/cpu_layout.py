"""The passes of the MSD-net over one flat buffer, compiled by numba and spread over the cores.

Every feature map is held once, with its reflected halo. A map row lies in a flat array as

    | left margin | width pixels | right margin |

with at least ``halo`` pixels on the left, and on the right ``2 * halo`` pixels and a vector more than the left margin
takes: a tile may run over the end of its row, and the zero margins of gradients serve the next row too. Map 0 is the
input image; the maps of layer i follow at ``1 + i * width``.

Work is split by outputs: each sum is formed by one thread, in an order that the number of threads does not change.
"""

# mypy: disable-error-code="untyped-decorator, no-any-return"
from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange

from framedose.networks.kernels.cpu_micro import (
    GRADIENT_COLUMNS,
    GRADIENT_ROWS,
    LANES,
    TILE_ROWS,
    TILE_VECTORS,
    convolution_tile,
    gradient_tile,
)

GRADIENT_BLOCK = 8
"""Source rows whose weight gradient is summed in float32 before it joins the sum in float64; they fit the L1 cache."""


class Layout(NamedTuple):
    """Sizes of a network and of its buffer."""

    batch: int
    height: int
    width: int
    """Pixels in a row."""
    layers: int
    growth: int
    """Feature maps per layer."""
    taps: int
    """Side of a convolution kernel."""
    halo: int
    """Reflected pixels on each side."""
    left: int
    """Floats before the first pixel of a row."""
    stride: int
    """Floats from one row to the next."""


def plan(batch: int, height: int, width: int, layers: int, growth: int, taps: int, halo: int) -> Layout:
    """Lay the buffer out.

    Rows start at cache lines, and a row takes an odd number of them: rows a power of two apart would compete for
    the same few places in the cache.
    """
    line = 16
    left = -(-halo // line) * line
    lines = -(-(left + width + 2 * halo + LANES) // line)
    return Layout(batch, height, width, layers, growth, taps, halo, left, (lines | 1) * line)


def size(layout: Layout) -> int:
    """Return the length of the buffer [float32]."""
    return layout.batch * (1 + layout.layers * layout.growth) * (layout.height + 2 * layout.halo) * layout.stride


@njit(cache=True)
def _origin(layout: Layout, image: int, feature: int) -> int:
    """Return where the first pixel of a map is."""
    height = layout.height + 2 * layout.halo
    maps = 1 + layout.layers * layout.growth
    return ((image * maps + feature) * height + layout.halo) * layout.stride + layout.left


@njit(cache=True)
def _inputs(layout: Layout, layer: int) -> Any:
    """Return the first input map of a layer, their number, and the number of convolution kernels before the layer."""
    if layer == 0:
        return 0, 1, 0
    return 1, layer * layout.growth, layout.growth + layout.growth**2 * (layer * (layer - 1) // 2)


@njit(cache=True)
def _ceil(value: int, divisor: int) -> int:
    return -(-value // divisor)


@njit(cache=True)
def _convolve(
    layout: Layout, out: Any, out_at: int, source: Any, source_at: int, weights: Any, kernel: int, dilation: int,
    y: int, rows: int, pad: int,
) -> None:  # fmt: skip
    """Add the convolution of a map to some rows of another.

    The rows are y, y + dilation, ...; ``pad`` pixels around the output are computed too, and so many fewer around the
    source are read: none for the forward pass, the reach of the kernel for the transposed one, whose source is zero
    outside. Taps that would meet only pixels outside are left out.
    """
    taps, stride = layout.taps, layout.stride
    reach = dilation * (taps - 1) // 2
    beyond = reach - pad
    row_low = max(0, _ceil(reach - beyond - y, dilation))
    row_high = min(taps + rows - 1, (layout.height - 1 + beyond - y + reach) // dilation + 1)
    vectors = _ceil(layout.width + 2 * pad, LANES)
    tiles = _ceil(vectors, TILE_VECTORS)
    for tile in range(tiles):
        first, last = vectors * tile // tiles, vectors * (tile + 1) // tiles
        x, x_end = LANES * first - pad, LANES * last - pad
        tap_low = max(0, _ceil(reach - beyond - x_end + 1, dilation))
        tap_high = min(taps, (layout.width - 1 + beyond - x + reach) // dilation + 1)
        convolution_tile(
            rows, last - first, out, out_at + y * stride + x, dilation * stride,
            source, source_at + (y - reach) * stride + x - reach, dilation * stride, dilation,
            weights, kernel * taps * taps, taps, row_low, row_high, tap_low, tap_high,
        )  # fmt: skip


@njit(cache=True)
def _group(height: int, dilation: int, index: int) -> Any:
    """Return the first row and the number of rows of a group, for rows one dilation apart; see `_groups`."""
    groups = _ceil(_ceil(height, dilation), TILE_ROWS)
    phase, group = index // groups, index % groups
    rows = _ceil(height - phase, dilation)
    first, last = rows * group // groups, rows * (group + 1) // groups
    return phase + first * dilation, last - first


@njit(cache=True)
def _groups(height: int, dilation: int) -> int:
    """Return into how many groups of rows an image is cut: every dilation-th row, `TILE_ROWS` at most."""
    return dilation * _ceil(_ceil(height, dilation), TILE_ROWS)


@njit(cache=True)
def _reflect(layout: Layout, maps: Any, origin: int, y: int) -> None:
    """Write what a finished row is reflected to: its own margins, and a row of the halo."""
    stride, halo, last = layout.stride, layout.halo, layout.width - 1
    at = origin + y * stride
    for m in range(1, halo + 1):
        maps[at - m] = maps[at + m]
        maps[at + last + m] = maps[at + last - m]
    maps[at + last + halo + 1 : at + stride - layout.left] = 0.0
    row = maps[at - halo : at + stride - layout.left]
    if 1 <= y <= halo:
        mirrored = at - 2 * y * stride - halo
        maps[mirrored : mirrored + len(row)] = row
    below = layout.height - 1 - y
    if 1 <= below <= halo:
        mirrored = at + 2 * below * stride - halo
        maps[mirrored : mirrored + len(row)] = row


@njit(cache=True)
def _layer_rows(
    layout: Layout, maps: Any, weights: Any, biases: Any, dilation: int, slope: float, layer: int, image: int,
    y: int, rows: int,
) -> None:  # fmt: skip
    """Compute some rows, one dilation apart, of all maps of one layer."""
    first, count, kernel = _inputs(layout, layer)
    out = 1 + layer * layout.growth
    for o in range(layout.growth):
        for row in range(rows):
            at = _origin(layout, image, out + o) + (y + row * dilation) * layout.stride
            maps[at : at + layout.width] = biases[layer * layout.growth + o]
    for c in range(count):
        source = _origin(layout, image, first + c)
        for o in range(layout.growth):
            _convolve(
                layout, maps, _origin(layout, image, out + o), maps, source, weights, kernel + o * count + c, dilation,
                y, rows, 0,
            )  # fmt: skip
    for o in range(layout.growth):
        origin = _origin(layout, image, out + o)
        for row in range(rows):
            at = origin + (y + row * dilation) * layout.stride
            pixels = maps[at : at + layout.width]
            for x in range(layout.width):
                pixels[x] = pixels[x] if pixels[x] > 0 else slope * pixels[x]
            _reflect(layout, maps, origin, y + row * dilation)


@njit(parallel=True, nogil=True, cache=True)
def forward(
    layout: Layout, maps: Any, images: Any, weights: Any, biases: Any, dilations: Any, slope: float,
    final_weight: Any, final_bias: Any, logits: Any,
) -> None:  # fmt: skip
    """Fill the buffer and the logits.

    Parameters
    ----------
    layout
        Sizes.
    maps
        The buffer, flat, of `size` floats; needs no initial values.
    images
        Shape (batch, height, width).
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
    height = layout.height
    for task in prange(layout.batch * height):
        image, y = task // height, task % height
        origin = _origin(layout, image, 0)
        at = origin + y * layout.stride
        maps[at : at + layout.width] = images[image, y]
        _reflect(layout, maps, origin, y)
    for layer in range(layout.layers):
        dilation = dilations[layer]
        groups = _groups(height, dilation)
        for task in prange(layout.batch * groups):
            y, rows = _group(height, dilation, task % groups)
            _layer_rows(layout, maps, weights, biases, dilation, slope, layer, task // groups, y, rows)
    for task in prange(layout.batch * height):
        image, y = task // height, task % height
        for k in range(len(final_bias)):
            row = logits[image, k, y]
            row[:] = final_bias[k]
            for f in range(final_weight.shape[1]):
                at = _origin(layout, image, 1 + f) + y * layout.stride
                row += final_weight[k, f] * maps[at : at + layout.width]


@njit(cache=True)
def _fold(layout: Layout, grads: Any, origin: int, y: int) -> None:
    """Add the gradient of the halo to the pixels of a row that were reflected there, and clear it."""
    stride, halo, last = layout.stride, layout.halo, layout.width - 1
    at = origin + y * stride
    start, stop = at - layout.left, at + stride - layout.left
    row = grads[start:stop]
    if 1 <= y <= halo:
        mirrored = grads[start - 2 * y * stride : stop - 2 * y * stride]
        row += mirrored
        mirrored[:] = 0.0
    below = layout.height - 1 - y
    if 1 <= below <= halo:
        mirrored = grads[start + 2 * below * stride : stop + 2 * below * stride]
        row += mirrored
        mirrored[:] = 0.0
    for m in range(1, halo + 1):
        grads[at + m] += grads[at - m]
        grads[at + last - m] += grads[at + last + m]
    grads[start:at] = 0.0
    grads[at + last + 1 : stop] = 0.0


@njit(parallel=True, nogil=True, cache=True)
def backward(
    layout: Layout, maps: Any, grads: Any, flipped: Any, dilations: Any, slope: float, final_weight: Any,
    logits_grad: Any, with_input: bool,
) -> None:  # fmt: skip
    """Fill ``grads``, a buffer like ``maps``, with the gradients of all pre-activations.

    ``flipped`` holds the kernels of `forward`, each reversed; ``logits_grad`` is like its logits. The gradient of the
    images ends in map 0, if ``with_input``.
    """
    height, growth, features = layout.height, layout.growth, layout.layers * layout.growth
    rows_in_map = height + 2 * layout.halo
    for task in prange(layout.batch * (1 + features)):
        image, feature = task // (1 + features), task % (1 + features)
        origin = _origin(layout, image, feature)
        start = origin - layout.halo * layout.stride - layout.left
        grads[start : start + rows_in_map * layout.stride] = 0.0
        if feature > 0:
            for y in range(height):
                row = grads[origin + y * layout.stride : origin + y * layout.stride + layout.width]
                for k in range(final_weight.shape[0]):
                    row += final_weight[k, feature - 1] * logits_grad[image, k, y]
    for layer in range(layout.layers - 1, -1, -1):
        first, count, kernel = _inputs(layout, layer)
        out, dilation = 1 + layer * growth, dilations[layer]
        for task in prange(layout.batch * growth * height):
            image, o, y = task // (growth * height), task // height % growth, task % height
            origin = _origin(layout, image, out + o)
            _fold(layout, grads, origin, y)
            at = origin + y * layout.stride
            gradient, feature_row = grads[at : at + layout.width], maps[at : at + layout.width]
            for x in range(layout.width):
                gradient[x] *= np.float32(1.0) if feature_row[x] > 0 else slope
        if layer > 0 or with_input:
            pad = dilation * (layout.taps - 1) // 2
            groups = _groups(height + 2 * pad, dilation)
            for task in prange(layout.batch * groups * count):
                image, c = task // (groups * count), task % count
                y, rows = _group(height + 2 * pad, dilation, task // count % groups)
                for o in range(growth):
                    _convolve(
                        layout, grads, _origin(layout, image, first + c), grads, _origin(layout, image, out + o),
                        flipped, kernel + o * count + c, dilation, y - pad, rows, pad,
                    )  # fmt: skip
    if with_input:
        for task in prange(layout.batch * height):
            _fold(layout, grads, _origin(layout, task // height, 0), task % height)


@njit(cache=True)
def _part(taps: int, most: int, index: int) -> Any:
    """Return the first tap and the number of taps of a part, when a side of a kernel is cut evenly."""
    parts = _ceil(taps, most)
    first, last = taps * index // parts, taps * (index + 1) // parts
    return first, last - first


@njit(cache=True)
def _kernel_gradient(
    layout: Layout, maps: Any, grads: Any, image: int, feature: int, out: int, dilation: int, sums: Any, total: Any,
) -> None:  # fmt: skip
    """Add one image's gradient of the kernel between two maps to ``total``, shape (taps * taps,), float64."""
    taps, stride = layout.taps, layout.stride
    reach = dilation * (taps - 1) // 2
    source_at, slope_at = _origin(layout, image, feature), _origin(layout, image, out)
    vectors = _ceil(layout.width, LANES)
    for phase in range(dilation):
        # Source row j of a phase is image row phase - reach + j * dilation; it meets slope row j - tap.
        count = _ceil(layout.height - phase, dilation)
        for block in range(0, count + taps - 1, GRADIENT_BLOCK):
            sums[:] = 0.0
            for part in range(_ceil(taps, GRADIENT_ROWS) * _ceil(taps, GRADIENT_COLUMNS)):
                row, rows = _part(taps, GRADIENT_ROWS, part // _ceil(taps, GRADIENT_COLUMNS))
                column, columns = _part(taps, GRADIENT_COLUMNS, part % _ceil(taps, GRADIENT_COLUMNS))
                j = max(block, row)
                stop = min(block + GRADIENT_BLOCK, row + count + rows - 1)
                while j < stop:
                    # Some taps meet rows outside the image at its upper and lower border: there row by row.
                    low, high = max(0, j - row - count + 1), min(rows, j - row + 1)
                    run = min(stop, row + count) - j if high - low == rows else 1
                    y = phase + j * dilation
                    gradient_tile(
                        high - low, columns, sums, ((row + low) * taps + column) * LANES, taps,
                        grads, slope_at + (y - (row + low) * dilation) * stride,
                        maps, source_at + (y - reach) * stride - reach + column * dilation,
                        dilation * stride, dilation, run, vectors,
                    )  # fmt: skip
                    j += run
            for i in range(taps * taps):
                for lane in range(LANES):
                    total[i] += sums[i * LANES + lane]


@njit(parallel=True, nogil=True, cache=True)
def parameter_gradients(
    layout: Layout, maps: Any, grads: Any, dilations: Any, logits_grad: Any, weights_grad: Any, biases_grad: Any,
    final_weight_grad: Any, final_bias_grad: Any,
) -> None:  # fmt: skip
    """Fill the gradients of all parameters, shaped like the parameters of `forward`, after `backward`."""
    growth, features, area = layout.growth, layout.layers * layout.growth, layout.taps**2
    for task in prange(len(weights_grad) // area):
        layer = 0
        while layer + 1 < layout.layers and _inputs(layout, layer + 1)[2] <= task:
            layer += 1
        first, count, kernel = _inputs(layout, layer)
        out, feature = 1 + layer * growth + (task - kernel) // count, first + (task - kernel) % count
        sums, total = np.empty(area * LANES, np.float32), np.zeros(area, np.float64)
        for image in range(layout.batch):
            _kernel_gradient(layout, maps, grads, image, feature, out, dilations[layer], sums, total)
        weights_grad[task * area : (task + 1) * area] = total
    for feature in prange(features):
        biases_grad[feature] = 0.0
        final_weight_grad[:, feature] = 0.0
        for image in range(layout.batch):
            for y in range(layout.height):
                at = _origin(layout, image, 1 + feature) + y * layout.stride
                biases_grad[feature] += np.sum(grads[at : at + layout.width])
                for k in range(logits_grad.shape[1]):
                    final_weight_grad[k, feature] += _dot(maps[at : at + layout.width], logits_grad[image, k, y])
    for k in range(len(final_bias_grad)):
        final_bias_grad[k] = np.sum(logits_grad[:, k])


@njit(cache=True, fastmath={"reassoc", "contract", "nsz"})
def _dot(x: Any, y: Any) -> Any:
    total = np.float32(0.0)
    for i in range(len(x)):
        total += x[i] * y[i]
    return total
