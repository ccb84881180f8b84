"""Where the feature maps lie in memory, and the steps over them that the forward and the backward pass share.

Every map is held once, in one flat array, with its reflected halo. A row of a map is

    | left margin | pixels | right margin |

with at least ``halo`` floats on the left, so many that the pixels start at a cache line. The right margin is so long
that a vector tile may run over the end of the pixels, and that ``2 * halo`` floats lie between the pixels of two
rows: a gradient, which is zero outside its image, can then be read beyond it. Map 0 is the input image; the maps of
layer i follow at ``1 + i * growth``.
"""

# mypy: disable-error-code="untyped-decorator, no-any-return"
from typing import Any, NamedTuple

from framedose.networks.kernels.cpu_micro import LANES, TILE_ROWS, TILE_VECTORS, convolution_tile
from framedose.networks.kernels.cpu_team import step

CACHE_LINE = 16
"""Floats in a line of the cache."""
BLOCK_ROWS = 6
"""Rows that are computed from one map before the next one is read: with those that they need they fit the L1 cache."""


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

    A row takes an odd number of cache lines: rows a power of two apart would compete for the same places in the cache.
    """
    left = -(-halo // CACHE_LINE) * CACHE_LINE
    lines = -(-(left + width + 2 * halo + LANES) // CACHE_LINE)
    return Layout(batch, height, width, layers, growth, taps, halo, left, (lines | 1) * CACHE_LINE)


def size(layout: Layout) -> int:
    """Return the length of the part of the buffer that belongs to one image [float32]."""
    return (1 + layout.layers * layout.growth) * (layout.height + 2 * layout.halo) * layout.stride


@step
def origin(layout: Layout, image: int, feature: int) -> int:
    """Return where the first pixel of a map is."""
    height = layout.height + 2 * layout.halo
    maps = 1 + layout.layers * layout.growth
    return ((image * maps + feature) * height + layout.halo) * layout.stride + layout.left


@step
def inputs(layout: Layout, layer: int) -> Any:
    """Return the first input map of a layer, their number, and the number of convolution kernels before the layer."""
    if layer == 0:
        return 0, 1, 0
    return 1, layer * layout.growth, layout.growth + layout.growth**2 * (layer * (layer - 1) // 2)


@step
def ceil(value: int, divisor: int) -> int:
    """Return the quotient of two integers, rounded up."""
    return -(-value // divisor)


@step
def part(length: int, parts: int, index: int) -> Any:
    """Return the start and the length of one of ``parts`` parts of a range, as equal as they can be."""
    first = length * index // parts
    return first, length * (index + 1) // parts - first


@step
def row_blocks(height: int, dilation: int) -> int:
    """Return into how many blocks an image is cut of up to `BLOCK_ROWS` rows that lie one dilation apart."""
    return dilation * ceil(ceil(height, dilation), BLOCK_ROWS)


@step
def row_block(height: int, dilation: int, index: int) -> Any:
    """Return the first row and the number of rows of a block."""
    blocks = ceil(ceil(height, dilation), BLOCK_ROWS)
    phase = index // blocks
    first, rows = part(ceil(height - phase, dilation), blocks, index % blocks)
    return phase + first * dilation, rows


@step
def convolve(
    layout: Layout, out: Any, out_at: int, source: Any, source_at: int, weights: Any, kernel: int, dilation: int,
    y: int, rows: int, pad: int,
) -> None:  # fmt: skip
    """Add the convolution of one map to a block of rows of another.

    Parameters
    ----------
    layout
        Sizes.
    out, out_at, source, source_at
        Buffers, and where the first pixel of the maps is in them.
    weights, kernel
        Kernels, flat, and which to use.
    dilation
        Distance between taps [px].
    y, rows
        The block: rows y, y + dilation, ...
    pad
        So many pixels around the image are computed too, and the source extends so much less than the kernel's reach
        around the image: 0 for the forward pass, the reach for the transposed one, whose source is zero outside the
        image. Taps that would meet nothing but pixels outside are left out.
    """
    taps, stride = layout.taps, layout.stride
    reach = dilation * (taps - 1) // 2
    vectors = ceil(layout.width + 2 * pad, LANES)
    row_tiles, column_tiles = ceil(rows, TILE_ROWS), ceil(vectors, TILE_VECTORS)
    for row_tile in range(row_tiles):
        first_row, tile_rows = part(rows, row_tiles, row_tile)
        top = y + first_row * dilation
        row_low = max(0, ceil(pad - top, dilation))
        row_high = min(taps + tile_rows - 1, (layout.height - 1 + 2 * reach - pad - top) // dilation + 1)
        for column_tile in range(column_tiles):
            first_vector, tile_vectors = part(vectors, column_tiles, column_tile)
            x = LANES * first_vector - pad
            tap_low = max(0, ceil(pad - x - LANES * tile_vectors + 1, dilation))
            tap_high = min(taps, (layout.width - 1 + 2 * reach - pad - x) // dilation + 1)
            convolution_tile(
                tile_rows, tile_vectors, out, out_at + top * stride + x, dilation * stride,
                source, source_at + (top - reach) * stride + x - reach, dilation * stride, dilation,
                weights, kernel * taps * taps, taps, row_low, row_high, tap_low, tap_high,
            )  # fmt: skip
