"""The forward pass of the MSD-net on a GPU, in Triton.

Done plainly, every output reads taps^2 values of every input map, and these reads, not the arithmetic, would set the
time. Here a layer takes two kernels. The first reads every input map once for every few rows of taps, always at whole
rows and never shifted along them, and forms for each output, each row of taps of a group, and each column of taps the

    partial sum [o, j, i] (y, x) = sum over c, a of weight[o, c, a * group + j, i] * map_c (y + (a * group + j) d, x)

apart from the shift by j: a matrix product of the weights, (o, j, i) by (c, a), with the maps, (c, a) by pixels, which
tensor cores compute. The second adds the partial sums up, each at its shift (j d, i d), adds the bias, applies the
activation, and writes the map with its reflected halo.

All maps of an image lie in one buffer, map 0 is the image; a map is (height + 2 halo) rows of ``row`` places, of which
width + 2 halo are used and the rest is zero. Kernels walk over such rows as one flat stretch: they read and write in
order, and what they compute for unused places is not read, or is zero.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
from typing import NamedTuple

import triton
import triton.language as tl
from torch import Tensor

ALIGNMENT = 16
"""A row is a multiple of so many values, so that rows can be read in vectors of 16 bytes."""
GROUPS = {3: 3, 5: 3, 7: 2, 9: 3, 11: 2}
"""Rows of taps whose partial sums are kept apart, for each side of the convolution kernel, so that they fill the tiles
of the tensor cores: more of them read the maps less often and write more partial sums."""
GROUPED_FROM = 12
"""Input maps from which a group is worth its partial sums."""
SCRATCH = 64 * 2**20
"""Bytes of partial sums; so many images as fit into them, or one, are computed at a time."""
PIXELS = 128
"""Pixels of a tile of the matrix product."""
DEPTH = 32
"""Terms that a matrix product adds up at a time."""
PLACES = 256
"""Places of a map, or pixels of the logits, that one program finishes."""


class Layout(NamedTuple):
    """Sizes of a network and of its buffer."""

    height: int
    width: int
    layers: int
    growth: int
    """Feature maps per layer."""
    taps: int
    """Side of a convolution kernel."""
    halo: int
    """Reflected pixels on each side."""
    row: int
    """Places in a row of a map."""
    classes: int
    precision: str
    """How float32 is multiplied; see the argument ``input_precision`` of ``tl.dot``."""

    @property
    def size(self) -> int:
        """Places in a map."""
        return (self.height + 2 * self.halo) * self.row

    @property
    def maps(self) -> int:
        """Maps of an image, the image included."""
        return 1 + self.layers * self.growth

    def inputs(self, layer: int) -> tuple[int, int, int]:
        """Return the first input map of a layer, their number, and the number of weights before the layer."""
        if layer == 0:
            return 0, 1, 0
        kernels = self.growth + self.growth**2 * (layer * (layer - 1) // 2)
        return 1, layer * self.growth, kernels * self.taps**2

    def group(self, layer: int) -> int:
        """Rows of taps of which a layer keeps the partial sums apart."""
        return GROUPS[self.taps] if self.inputs(layer)[1] >= GROUPED_FROM else 1

    def scratch(self, dilation: int) -> int:
        """Partial sums of an image, at most, for dilations up to this one."""
        group = GROUPS[self.taps]
        return self.growth * group * self.taps * (self.height + (group - 1) * dilation) * self.row


def plan(
    height: int, width: int, layers: int, growth: int, taps: int, halo: int, classes: int, precision: str
) -> Layout:
    """Lay the buffer out."""
    row = triton.cdiv(width + 2 * halo, ALIGNMENT) * ALIGNMENT
    return Layout(height, width, layers, growth, taps, halo, row, classes, precision)


def forward(
    layout: Layout,
    maps: Tensor,
    partials: Tensor,
    weights: Tensor,
    biases: Tensor,
    dilations: tuple[int, ...],
    slope: float,
    final_weight: Tensor,
    final_bias: Tensor,
    logits: Tensor,
) -> None:
    """Compute all maps and the logits of some images.

    Parameters
    ----------
    layout
        Sizes.
    maps
        The buffer with the images in map 0, shape (images, maps, height + 2 halo, row), float32 or bfloat16; the other
        maps need no initial values.
    partials
        Scratch, of at least ``layout.scratch`` values for each image, float32.
    weights
        All kernels in the order layer, output, input, vertical, horizontal tap, flat, of the type of the maps.
    biases
        All biases, flat, float32.
    dilations
        One per layer [px].
    slope
        Slope of the activation for negative values.
    final_weight, final_bias
        Shapes (classes, layers * growth) and (classes,), float32.
    logits
        The result, shape (images, classes, height, width).
    """
    for layer, dilation in enumerate(dilations):
        _convolve(layout, maps, partials, weights, biases, layer, dilation, slope)
    area = layout.height * layout.width
    _final[(triton.cdiv(area, PLACES), layout.classes, len(maps))](
        maps, final_weight, final_bias, logits, layout.maps - 1, layout.height, layout.width, layout.halo, layout.row,
        layout.size, BLOCK=PLACES, MAPS=16,
    )  # fmt: skip


def _convolve(
    layout: Layout, maps: Tensor, partials: Tensor, weights: Tensor, biases: Tensor, layer: int, dilation: int,
    slope: float,
) -> None:  # fmt: skip
    """Compute the maps of one layer."""
    group, images = layout.group(layer), len(maps)
    first, channels, weights_at = layout.inputs(layer)
    sums = layout.growth * group * layout.taps
    length = (layout.height + (group - 1) * dilation) * layout.row
    tile = min(64, max(16, triton.next_power_of_2(sums)))
    _row_sums[(triton.cdiv(length, PIXELS), triton.cdiv(sums, tile), images)](
        maps, weights, partials, first, channels, weights_at, dilation, length, layout.height, layout.halo, layout.row,
        layout.size, layout.maps, GROWTH=layout.growth, TAPS=layout.taps, GROUP=group, SUMS=tile, DEPTH=DEPTH,
        PIXELS=PIXELS, PRECISION=layout.precision, WIDEN=INTERPRETED, num_warps=max(4, tile // 8),
    )  # fmt: skip
    _finish[(triton.cdiv(layout.size, PLACES), layout.growth, images)](
        partials, biases, maps, layer, dilation, slope, length, layout.height, layout.width, layout.halo, layout.row,
        layout.size, layout.maps, GROWTH=layout.growth, TAPS=layout.taps, GROUP=group, BLOCK=PLACES,
        num_warps=8,
    )  # fmt: skip


@triton.jit
def multiply(a, b, total, PRECISION: tl.constexpr, WIDEN: tl.constexpr):
    """Add a matrix product; Triton's interpreter needs wide operands, it multiplies the bits of bfloat16."""
    if WIDEN:
        a = a.to(tl.float32)
        b = b.to(tl.float32)
    return tl.dot(a, b, total, input_precision=PRECISION)


INTERPRETED = not isinstance(multiply, triton.JITFunction)
"""Whether Triton was imported with TRITON_INTERPRET=1: the kernels then run on the CPU, slowly, to be tested."""


# Arguments that change from layer to layer are not specialised: every new value could compile a kernel once more.
@triton.jit(do_not_specialize=["first", "channels", "weights_at", "dilation"])
def _row_sums(
    maps, weights, partials, first, channels, weights_at, dilation, length, height, halo, row, size, count,
    GROWTH: tl.constexpr, TAPS: tl.constexpr, GROUP: tl.constexpr, SUMS: tl.constexpr, DEPTH: tl.constexpr,
    PIXELS: tl.constexpr, PRECISION: tl.constexpr, WIDEN: tl.constexpr,
):  # fmt: skip
    STEPS: tl.constexpr = (TAPS + GROUP - 1) // GROUP
    place = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    sums = tl.program_id(1) * SUMS + tl.arange(0, SUMS)
    image = tl.program_id(2).to(tl.int64)
    output = sums // (GROUP * TAPS)
    tap = sums % (GROUP * TAPS)
    reach = dilation * (TAPS // 2)
    stop = (height + 2 * reach) * row  # the rows that the taps meet begin at row halo - reach
    source = maps + (image * count + first) * size + (halo - reach) * row
    total = tl.zeros([SUMS, PIXELS], dtype=tl.float32)
    for start in range(0, channels * STEPS, DEPTH):
        term = start + tl.arange(0, DEPTH)
        channel = term // STEPS
        step = term % STEPS
        taps = tap[:, None] + (step * (GROUP * TAPS))[None, :]
        kernel = output[:, None] * channels + channel[None, :]
        used = (output < GROWTH)[:, None] & (channel < channels)[None, :] & (taps < TAPS * TAPS)
        weight = tl.load(weights + weights_at + kernel * (TAPS * TAPS) + taps, mask=used, other=0.0)
        places = (step * GROUP * dilation * row)[:, None] + place[None, :]
        used = (channel < channels)[:, None] & (places < stop)
        value = tl.load(source + (channel.to(tl.int64) * size)[:, None] + places, mask=used, other=0.0)
        total = multiply(weight, value, total, PRECISION, WIDEN)
    target = partials + (image * (GROWTH * GROUP * TAPS) + sums)[:, None] * length + place[None, :]
    tl.store(target, total, mask=(output < GROWTH)[:, None] & (place < length)[None, :])


@triton.jit(do_not_specialize=["layer", "dilation"])
def _finish(
    partials, biases, maps, layer, dilation, slope, length, height, width, halo, row, size, count,
    GROWTH: tl.constexpr, TAPS: tl.constexpr, GROUP: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    output = tl.program_id(1)
    image = tl.program_id(2).to(tl.int64)
    # Every place, of the halo too, computes the pixel that it shows: nothing has to wait for the pixels.
    used = (place < size) & (place % row < width + 2 * halo)
    y = tl.abs(place // row - halo)
    y = tl.minimum(y, 2 * (height - 1) - y)
    x = tl.abs(place % row - halo)
    x = tl.minimum(x, 2 * (width - 1) - x)
    source = partials + (image * GROWTH + output) * (GROUP * TAPS) * length + y * row + x + halo
    source -= dilation * (TAPS // 2)
    total = tl.zeros([BLOCK], dtype=tl.float32)
    for j in tl.static_range(GROUP):
        for i in tl.static_range(TAPS):
            shift = (j * TAPS + i) * length + dilation * (j * row + i)
            total += tl.load(source + shift, mask=used, other=0.0)
    total += tl.load(biases + layer * GROWTH + output)
    total = tl.where(used, tl.where(total > 0, total, slope * total), 0.0)
    target = maps + (image * count + 1 + layer * GROWTH + output) * size
    tl.store(target + place, total.to(maps.dtype.element_ty), mask=place < size)


@triton.jit
def _final(
    maps, weight, bias, logits, features, height, width, halo, row, size, BLOCK: tl.constexpr, MAPS: tl.constexpr
):
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    output = tl.program_id(1)
    image = tl.program_id(2).to(tl.int64)
    inside = pixel < height * width
    place = (pixel // width + halo) * row + pixel % width + halo
    source = maps + (image * (features + 1) + 1) * size + place
    total = tl.zeros([BLOCK], dtype=tl.float32)
    for start in range(0, features, MAPS):
        feature = start + tl.arange(0, MAPS)
        factor = tl.load(weight + output * features + feature, mask=feature < features, other=0.0)
        used = (feature < features)[:, None] & inside[None, :]
        value = tl.load(source[None, :] + (feature.to(tl.int64) * size)[:, None], mask=used, other=0.0)
        total += tl.sum(factor[:, None] * value.to(tl.float32), axis=0)
    total += tl.load(bias + output)
    target = logits + (image * tl.num_programs(1) + output) * (height * width) + pixel
    tl.store(target, total.to(logits.dtype.element_ty), mask=inside)
