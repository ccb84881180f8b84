"""The backward pass of the MSD-net on a GPU, in Triton: exact, the adjoint of the reflection included.

From the last layer to the first: what later layers and the logits gave to the maps of a layer is folded from the halo
to the pixels that it shows and taken through the activation; from this, the gradient of the layer's sums, matrix
products form the gradient of its weights and what it gives to all its input maps. Those read one layer's gradient at
the shifts of its taps for many maps at once.

No float is added by two programs at once. Sums over pixels are formed in parts that are then added in one order, so
that the same input gives the same bits.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
import torch
import triton
import triton.language as tl
from torch import Tensor

from framedose.networks.kernels.cuda_forward import DEPTH, INTERPRETED, PIXELS, Layout, multiply

PARTS = 1024
"""Programs, about, that share the gradient of a layer's weights; not the number that a device could run at once, so
that it is the same sum on every device."""
BLOCK = 1024
"""Pixels that one program folds."""
COLUMNS = 32
"""Sums that one program adds up."""


def backward(
    layout: Layout,
    maps: Tensor,
    grads: Tensor,
    weights: Tensor,
    dilations: tuple[int, ...],
    slope: float,
    final_weight: Tensor,
    logits_grad: Tensor,
    images_grad: Tensor | None,
    weights_grad: Tensor,
    maps_grad: Tensor,
) -> None:
    """Compute the gradients of some images.

    Parameters
    ----------
    layout
        Sizes.
    maps
        The buffer of the forward pass.
    grads
        A buffer like it, of zeros, float32 whatever the type of the maps: later layers add to it one after the other.
    weights, dilations, slope, final_weight
        As in the forward pass.
    logits_grad
        Gradient of the logits, shape (images, classes, height, width), contiguous.
    images_grad
        Gradient of the images, a result, shape (images, height, width), float32; None if it is not wanted.
    weights_grad
        A result, shaped like ``weights``, float64; added to what is there.
    maps_grad
        A result, shape (1 + classes, layers * growth), float64: the gradient of the biases, then that of the final
        weight; added to what is there.
    """
    images, area = len(maps), layout.height * layout.width
    blocks = triton.cdiv(area, BLOCK)
    sums = torch.empty(images * blocks, maps_grad.numel(), device=maps.device)
    for layer in range(layout.layers - 1, -1, -1):
        _sums_gradient[(blocks, layout.growth, images)](
            grads, maps, logits_grad, final_weight, sums, layer, slope, layout.height, layout.width, layout.halo,
            layout.row, layout.size, layout.maps, GROWTH=layout.growth, CLASSES=layout.classes, BLOCK=BLOCK,
        )  # fmt: skip
        _weights_gradient(layout, maps, grads, layer, dilations[layer], weights_grad)
        if layer > 0 or images_grad is not None:
            _give(layout, grads, weights, layer, dilations[layer])
    _add_up(sums, maps_grad, 0)
    if images_grad is not None:
        _image_gradient[(blocks, 1, images)](
            grads, images_grad, layout.height, layout.width, layout.halo, layout.row, layout.size, layout.maps,
            BLOCK=BLOCK,
        )  # fmt: skip


def _give(layout: Layout, grads: Tensor, weights: Tensor, layer: int, dilation: int) -> None:
    """Add what a layer gives to its input maps."""
    first, channels, weights_at = layout.inputs(layer)
    tile = _channel_tile(channels)
    length = (layout.height + dilation * (layout.taps - 1)) * layout.row
    _give_inputs[(triton.cdiv(length, PIXELS), triton.cdiv(channels, tile), len(grads))](
        grads, weights, first, channels, 1 + layer * layout.growth, weights_at, dilation, layout.height, layout.width,
        layout.halo, layout.row, layout.size, layout.maps, GROWTH=layout.growth, TAPS=layout.taps, CHANNELS=tile,
        DEPTH=DEPTH, PIXELS=PIXELS, PRECISION=layout.precision, WIDEN=INTERPRETED,
        num_warps=max(4, tile // 8),  # the largest tile does not fit into the registers of four
    )  # fmt: skip


def _weights_gradient(
    layout: Layout, maps: Tensor, grads: Tensor, layer: int, dilation: int, weights_grad: Tensor
) -> None:
    """Add the gradient of the weights of one layer."""
    images, kernels = len(maps), layout.growth * layout.taps**2
    first, channels, weights_at = layout.inputs(layer)
    tile, taps = _channel_tile(channels), 32 if kernels <= 96 else 64
    tiles = triton.cdiv(channels, tile), triton.cdiv(kernels, taps)
    length = (layout.height + dilation * (layout.taps - 1)) * layout.row
    parts = min(triton.cdiv(PARTS, tiles[0] * tiles[1] * images), triton.cdiv(length, 8 * DEPTH))
    share = triton.cdiv(length, parts * DEPTH)
    parts = triton.cdiv(length, share * DEPTH)
    sums = torch.empty(images * parts, channels * kernels, device=maps.device)
    _weight_products[(*tiles, images * parts)](
        maps, grads, sums, first, channels, 1 + layer * layout.growth, dilation, share, parts, layout.height,
        layout.width, layout.halo, layout.row, layout.size, layout.maps, GROWTH=layout.growth, TAPS=layout.taps,
        CHANNELS=tile, KERNELS=taps, DEPTH=DEPTH, PRECISION=layout.precision, WIDEN=INTERPRETED,
        num_warps=max(4, tile * taps // 512),
    )  # fmt: skip
    _add_up(sums, weights_grad, weights_at)


def _channel_tile(channels: int) -> int:
    return min(64, max(16, int(triton.next_power_of_2(channels))))


def _add_up(parts: Tensor, totals: Tensor, at: int) -> None:
    """Add the sum of the rows of ``parts`` to ``totals``, from an index on."""
    columns = parts.shape[1]
    _add_rows[(triton.cdiv(columns, COLUMNS),)](parts, totals, len(parts), columns, at, ROWS=64, COLUMNS=COLUMNS)


@triton.jit(do_not_specialize=["rows", "columns", "at"])
def _add_rows(parts, totals, rows, columns, at, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    total = tl.zeros([COLUMNS], dtype=tl.float64)
    for start in range(0, rows, ROWS):
        row = start + tl.arange(0, ROWS)
        used = (row < rows)[:, None] & (column < columns)[None, :]
        values = tl.load(parts + row.to(tl.int64)[:, None] * columns + column[None, :], mask=used, other=0.0)
        total += tl.sum(values.to(tl.float64), axis=0)
    target = totals + at + column
    tl.store(target, tl.load(target, mask=column < columns) + total, mask=column < columns)


@triton.jit
def _folded(grads, y, x, inside, height, width, halo, row):
    """Return the gradient of pixels: their own, and that of the places of the halo that show them."""
    total = tl.zeros(y.shape, dtype=tl.float32)
    for j in tl.static_range(3):  # the image itself, its reflection above, and below
        place_y = y
        shown_y = inside
        if j > 0:
            place_y = (j - 1) * 2 * (height - 1) - y
            shown_y = inside & ((place_y < 0) | (place_y >= height)) & (place_y >= -halo) & (place_y < height + halo)
        for i in tl.static_range(3):  # and to the left, and to the right
            place_x = x
            shown = shown_y
            if i > 0:
                place_x = (i - 1) * 2 * (width - 1) - x
                shown = shown & ((place_x < 0) | (place_x >= width)) & (place_x >= -halo) & (place_x < width + halo)
            total += tl.load(grads + (place_y + halo) * row + place_x + halo, mask=shown, other=0.0)
    return total


@triton.jit(do_not_specialize=["layer"])
def _sums_gradient(
    grads, maps, logits_grad, final_weight, sums, layer, slope, height, width, halo, row, size, count,
    GROWTH: tl.constexpr, CLASSES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    image = tl.program_id(2).to(tl.int64)
    feature = layer * GROWTH + tl.program_id(1)
    y, x, inside = pixel // width, pixel % width, pixel < height * width
    start = (image * count + 1 + feature) * size
    place = (y + halo) * row + x + halo
    grad = _folded(grads + start, y, x, inside, height, width, halo, row)
    value = tl.load(maps + start + place, mask=inside, other=0.0).to(tl.float32)
    target = sums + (image * tl.num_programs(0) + tl.program_id(0)) * ((1 + CLASSES) * (count - 1)) + feature
    for k in tl.static_range(CLASSES):
        incoming = tl.load(logits_grad + (image * CLASSES + k) * (height * width) + pixel, mask=inside, other=0.0)
        grad += tl.load(final_weight + k * (count - 1) + feature) * incoming.to(tl.float32)
        tl.store(target + (1 + k) * (count - 1), tl.sum(incoming.to(tl.float32) * value, axis=0))
    grad = tl.where(value > 0, grad, slope * grad)
    tl.store(target, tl.sum(grad, axis=0))
    # In place: other programs read these pixels' halo, but not the pixels.
    tl.store(grads + start + place, grad, mask=inside)


@triton.jit
def _image_gradient(grads, images_grad, height, width, halo, row, size, count, BLOCK: tl.constexpr):
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    image = tl.program_id(2).to(tl.int64)
    y, x, inside = pixel // width, pixel % width, pixel < height * width
    grad = _folded(grads + image * count * size, y, x, inside, height, width, halo, row)
    tl.store(images_grad + image * (height * width) + pixel, grad, mask=inside)


@triton.jit(do_not_specialize=["first", "channels", "output_at", "weights_at", "dilation"])
def _give_inputs(
    grads, weights, first, channels, output_at, weights_at, dilation, height, width, halo, row, size, count,
    GROWTH: tl.constexpr, TAPS: tl.constexpr, CHANNELS: tl.constexpr, DEPTH: tl.constexpr, PIXELS: tl.constexpr,
    PRECISION: tl.constexpr, WIDEN: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    image = tl.program_id(2).to(tl.int64)
    top = halo - dilation * (TAPS // 2)
    y, x = place // row, place % row - top
    total = tl.zeros([CHANNELS, PIXELS], dtype=tl.float32)
    for start in range(0, GROWTH * TAPS * TAPS, DEPTH):
        term = start + tl.arange(0, DEPTH)
        output, tap = term // (TAPS * TAPS), term % (TAPS * TAPS)
        kernel = output[None, :] * channels + channel[:, None]
        used = (output < GROWTH)[None, :] & (channel < channels)[:, None]
        weight = tl.load(weights + weights_at + kernel * (TAPS * TAPS) + tap[None, :], mask=used, other=0.0)
        from_y = y[None, :] - (tap // TAPS * dilation)[:, None]
        from_x = x[None, :] - (tap % TAPS * dilation)[:, None]
        used = (from_y >= 0) & (from_y < height) & (from_x >= 0) & (from_x < width) & (output < GROWTH)[:, None]
        source = grads + ((image * count + output_at + output) * size)[:, None]
        grad = tl.load(source + (from_y + halo) * row + from_x + halo, mask=used, other=0.0)
        total = multiply(weight, grad.to(weight.dtype), total, PRECISION, WIDEN)
    target = grads + ((image * count + first + channel) * size)[:, None] + (top * row + place)[None, :]
    used = (channel < channels)[:, None] & (y < height + 2 * (halo - top))[None, :]
    tl.store(target, tl.load(target, mask=used) + total, mask=used)


@triton.jit(do_not_specialize=["first", "channels", "output_at", "dilation", "share", "parts"])
def _weight_products(
    maps, grads, sums, first, channels, output_at, dilation, share, parts, height, width, halo, row, size, count,
    GROWTH: tl.constexpr, TAPS: tl.constexpr, CHANNELS: tl.constexpr, KERNELS: tl.constexpr, DEPTH: tl.constexpr,
    PRECISION: tl.constexpr, WIDEN: tl.constexpr,
):  # fmt: skip
    channel = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    kernel = tl.program_id(1) * KERNELS + tl.arange(0, KERNELS)
    image = (tl.program_id(2) // parts).to(tl.int64)
    output, tap = kernel // (TAPS * TAPS), kernel % (TAPS * TAPS)
    down, right = tap // TAPS * dilation, tap % TAPS * dilation
    top = halo - dilation * (TAPS // 2)
    length = (height + 2 * (halo - top)) * row
    source = maps + ((image * count + first + channel) * size)[:, None] + top * row
    slopes = grads + ((image * count + output_at + output) * size)[None, :]
    begin = tl.program_id(2) % parts * share * DEPTH
    total = tl.zeros([CHANNELS, KERNELS], dtype=tl.float32)
    for start in range(begin, tl.minimum(begin + share * DEPTH, length), DEPTH):
        place = start + tl.arange(0, DEPTH)
        used = (channel < channels)[:, None] & (place < length)[None, :]
        value = tl.load(source + place[None, :], mask=used, other=0.0)
        from_y = (place // row)[:, None] - down[None, :]
        from_x = (place % row - top)[:, None] - right[None, :]
        used = (from_y >= 0) & (from_y < height) & (from_x >= 0) & (from_x < width) & (output < GROWTH)[None, :]
        grad = tl.load(slopes + (from_y + halo) * row + from_x + halo, mask=used, other=0.0)
        total = multiply(value, grad.to(value.dtype), total, PRECISION, WIDEN)
    # In the order of the weights: output, channel, tap.
    target = (output[None, :] * channels + channel[:, None]) * (TAPS * TAPS) + tap[None, :]
    target += tl.program_id(2).to(tl.int64) * (channels * GROWTH * TAPS * TAPS)
    tl.store(sums + target, total, mask=(channel < channels)[:, None] & (output < GROWTH)[None, :])
