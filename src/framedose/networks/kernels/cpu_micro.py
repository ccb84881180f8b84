"""Two register tiles in LLVM: a dilated convolution, and the gradient of its weights.

A compiler that vectorises plain loops keeps one row of sums in memory and spends its time on loads and stores. Here a
tile of up to twelve vectors of eight float32 stays in registers (of which there are sixteen) while all taps pass by.
Each loaded vector serves three or four multiply-adds, so that the arithmetic units set the speed, not the loads.
The rows of a tile lie one dilation apart: then they share their input rows. On machines without such wide vectors
LLVM splits them.
"""

from collections.abc import Callable
from itertools import product
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8
"""Pixels in a vector."""
TILE_ROWS, TILE_VECTORS = 3, 4
"""Most output rows, and most vectors along them, of a convolution tile."""
GRADIENT_ROWS, GRADIENT_COLUMNS = 4, 3
"""Most vertical and horizontal taps of a weight-gradient tile."""

_FLOAT = ir.FloatType()
_INT = ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_ARRAY = types.Array(types.float32, 1, "C")


class _Builder(ir.IRBuilder):  # type: ignore[misc]
    """An instruction builder with the few operations that the tiles are made of."""

    def at(self, base: Any, *offsets: Any) -> Any:
        """Return a pointer moved by a sum of offsets, counted in floats."""
        for offset in offsets:
            base = self.gep(base, [_INT(offset) if isinstance(offset, int) else offset])
        return base

    def vector(self, pointer: Any) -> Any:
        """Load eight neighbouring floats from any address."""
        return self.load(self.bitcast(pointer, ir.PointerType(_VECTOR)), align=4)

    def splat(self, pointer: Any) -> Any:
        """Load one float into all eight lanes."""
        none, index = ir.Constant(_VECTOR, ir.Undefined), ir.IntType(32)
        return self.shuffle_vector(
            self.insert_element(none, self.load(pointer), index(0)),
            none,
            ir.Constant(ir.VectorType(index, LANES), None),
        )

    def sums(self, pointers: dict[Any, Any]) -> dict[Any, Any]:
        """Load the sums of a tile into variables, which LLVM turns into registers."""
        variables = {key: cgutils.alloca_once(self, _VECTOR) for key in pointers}
        for key, pointer in pointers.items():
            self.store(self.vector(pointer), variables[key])
        return variables

    def accumulate(self, variable: Any, x: Any, y: Any) -> None:
        """Add a product to a variable, fused where the machine can."""
        self.store(self.call(self._multiply_add(), [x, y, self.load(variable)]), variable)

    def finish(self, variables: dict[Any, Any], pointers: dict[Any, Any]) -> None:
        """Store the sums of a tile and return."""
        for key, pointer in pointers.items():
            self.store(self.load(variables[key]), self.bitcast(pointer, ir.PointerType(_VECTOR)), align=4)
        self.ret_void()

    def loop(self, start: Any, stop: Any) -> Any:
        """Open a loop over the integers from ``start`` up to ``stop``."""
        return cgutils.for_range_slice(self, start, stop, _INT(1), _INT)

    def larger(self, x: Any, y: Any) -> Any:
        """Return the larger of two integers."""
        return self.select(self.icmp_signed(">", x, y), x, y)

    def smaller(self, x: Any, y: Any) -> Any:
        """Return the smaller of two integers."""
        return self.select(self.icmp_signed("<", x, y), x, y)

    def _multiply_add(self) -> Any:
        signature = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        return cgutils.get_or_insert_function(self.module, signature, f"llvm.fmuladd.v{LANES}f32")


def _convolution_tile(b: _Builder, size: tuple[int, int], arguments: Any) -> None:
    rows, vectors = size
    out, out_step, source, row_step, tap_step, weights, taps, row_low, row_high, tap_low, tap_high = arguments
    places = {(r, v): b.at(out, b.mul(out_step, _INT(r)), v * LANES) for r, v in product(range(rows), range(vectors))}
    sums = b.sums(places)
    # Source row j meets output row r at vertical tap j - r: the first and the last source rows meet only some.
    parts = [(_INT(j), _INT(j + 1), range(j + 1)) for j in range(rows - 1)]
    parts += [(_INT(rows - 1), taps, range(rows))]
    parts += [(b.add(taps, _INT(j)), b.add(taps, _INT(j + 1)), range(j + 1, rows)) for j in range(rows - 1)]
    for low, high, meeting in parts:
        source_rows = b.loop(b.larger(low, row_low), b.smaller(high, row_high))
        with source_rows as (j, _), b.loop(tap_low, tap_high) as (tap, _):
            pixels = b.at(source, b.mul(j, row_step), b.mul(tap, tap_step))
            weight = {r: b.splat(b.at(weights, b.mul(b.sub(j, _INT(r)), taps), tap)) for r in meeting}
            for v in range(vectors):
                x = b.vector(b.at(pixels, v * LANES))
                for r in meeting:
                    b.accumulate(sums[r, v], weight[r], x)
    b.finish(sums, places)


def _gradient_tile(b: _Builder, size: tuple[int, int], arguments: Any) -> None:
    rows, columns = size
    sums_at, taps, slope, source, row_step, tap_step, count, vectors = arguments
    places = {
        (r, c): b.at(sums_at, b.mul(taps, _INT(r * LANES)), c * LANES) for r, c in product(range(rows), range(columns))
    }
    sums = b.sums(places)
    with b.loop(_INT(0), count) as (j, _), b.loop(_INT(0), vectors) as (i, _):
        here = b.add(b.mul(j, row_step), b.mul(i, _INT(LANES)))
        x = [b.vector(b.at(source, here, b.mul(tap_step, _INT(c)))) for c in range(columns)]
        for r in range(rows):
            dy = b.vector(b.at(slope, here, b.mul(row_step, _INT(-r))))
            for c in range(columns):
                b.accumulate(sums[r, c], dy, x[c])
    b.finish(sums, places)


def _tile_function(module: Any, tile: Callable[..., None], size: tuple[int, int], signature: Any) -> Any:
    """Return the LLVM function of one tile size, written on first use."""
    function = cgutils.get_or_insert_function(module, signature, f"framedose{tile.__name__}_{size[0]}_{size[1]}")
    if function.is_declaration:
        function.linkage = "internal"
        function.attributes.add("noinline")
        function.attributes.add("optsize")
        tile(_Builder(function.append_basic_block()), size, function.args)
    return function


def _emit(tile: Callable[..., None], most: tuple[int, int], context: Any, builder: Any, kinds: Any, values: Any) -> Any:
    """Emit a jump to the tile of the size that the first two of ``values`` name at run time.

    Of the rest, an array and the index that follows it become one pointer.
    """
    given, arguments = list(zip(kinds, values, strict=True))[2:], []
    while given:
        kind, value = given.pop(0)
        if isinstance(kind, types.Array):
            data = context.make_array(kind)(context, builder, value).data
            value = builder.gep(data, [given.pop(0)[1]])
        arguments.append(value)
    signature = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
    done = builder.append_basic_block("tile_done")
    choice = builder.switch(builder.add(builder.mul(values[0], _INT(16)), values[1]), done)
    for size in product(range(1, most[0] + 1), range(1, most[1] + 1)):
        block = builder.append_basic_block(f"tile_{size[0]}_{size[1]}")
        choice.add_case(_INT(size[0] * 16 + size[1]), block)
        builder.position_at_end(block)
        builder.call(_tile_function(builder.module, tile, size, signature), arguments)
        builder.branch(done)
    builder.position_at_end(done)
    return context.get_dummy_value()


@intrinsic
def convolution_tile(  # type: ignore[no-untyped-def]
    typingctx, rows, vectors, out, out_at, out_step, source, source_at, row_step, tap_step, weights, weights_at, taps,
    row_low, row_high, tap_low, tap_high,
):  # fmt: skip
    r"""Add a piece of a dilated convolution to ``rows`` output rows of ``8 * vectors`` pixels.

    .. math:: out[r, x] \mathrel{+}= \sum_{j, t} weights[j - r, t] \, source[j, x + t \, tap\_step]

    over source rows ``row_low <= j < row_high`` with ``0 <= j - r < taps`` and horizontal taps
    ``tap_low <= t < tap_high``; ``out_step`` and ``row_step`` are the distances between rows. All arrays are flat,
    float32 and given with the index of their first element; distances count floats; sizes are 64-bit integers.
    """
    integer = types.int64
    signature = types.void(
        integer, integer, _ARRAY, integer, integer, _ARRAY, integer, integer, integer, _ARRAY, integer, integer,
        integer, integer, integer, integer,
    )  # fmt: skip

    def codegen(context, builder, signature, values):  # type: ignore[no-untyped-def]
        return _emit(_convolution_tile, (TILE_ROWS, TILE_VECTORS), context, builder, signature.args, values)

    return signature, codegen


@intrinsic
def gradient_tile(  # type: ignore[no-untyped-def]
    typingctx, rows, columns, sums, sums_at, taps, slope, slope_at, source, source_at, row_step, tap_step, count,
    vectors,
):  # fmt: skip
    r"""Add ``count`` source rows to the weight gradient of ``rows`` times ``columns`` taps, kept apart by lane.

    .. math:: sums[r, c, l] \mathrel{+}= \sum_{j, i} slope[j - r, 8 i + l] \, source[j, 8 i + l + c \, tap\_step]

    over ``0 <= j < count`` and ``0 <= i < vectors``. ``sums`` has shape (taps, taps, 8); ``slope`` (the gradient of
    the output) and ``source`` have the same distance between rows, ``row_step``. Arrays as in `convolution_tile`.
    """
    integer = types.int64
    signature = types.void(
        integer, integer, _ARRAY, integer, integer, _ARRAY, integer, _ARRAY, integer, integer, integer, integer,
        integer,
    )  # fmt: skip

    def codegen(context, builder, signature, values):  # type: ignore[no-untyped-def]
        return _emit(_gradient_tile, (GRADIENT_ROWS, GRADIENT_COLUMNS), context, builder, signature.args, values)

    return signature, codegen
