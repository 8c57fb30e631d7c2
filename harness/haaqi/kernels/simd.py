"""SIMD values inside compiled loops: four float64 or eight float32 lanes.

LLVM does not discover that four recursive filters can run in the four lanes of one AVX register, and most of
the model's time goes into such filters. This module gives Numba a SIMD type: `load` and `store` move lanes
from and to an array, `broadcast` fills them with one number, and `+`, `-`, `*` and `/` work lane by lane and
round like the scalar operations. These functions can only be called inside compiled functions.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model

from harness.haaqi.kernels.compilation import instruction

WIDTH = 4
FLOAT32_WIDTH = 8
_VECTOR = ir.VectorType(ir.DoubleType(), WIDTH)
_INT = ir.IntType(32)


class _LanesType(types.Type):  # type: ignore[misc]
    def __init__(self, number: Any, width: int) -> None:
        self.number = number
        self.width = width
        super().__init__(name=f"{number}x{width}")


float64_lanes = _LanesType(types.float64, WIDTH)
float32_lanes = _LanesType(types.float32, FLOAT32_WIDTH)
_VECTORS = {
    types.float64: ir.VectorType(ir.DoubleType(), WIDTH),
    types.float32: ir.VectorType(ir.FloatType(), FLOAT32_WIDTH),
}


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, _VECTORS[fe_type.number])


def _lanes_of(number: Any) -> Any:
    return float32_lanes if number == types.float32 else float64_lanes


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTORS[array_type.dtype].as_pointer())


@instruction
def load(typingctx: Any, array: Any, index: Any) -> Any:
    """`load(array, i)`: the lanes array[i], array[i + 1], ... of a contiguous array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_pointer(context, builder, signature.args[0], args[0], args[1]), align=4)

    return _lanes_of(array.dtype)(array, types.intp), generate


@instruction
def width(typingctx: Any, array: Any) -> Any:
    """`width(array)`: the number of lanes that `load` reads, 4 for float64 and 8 for float32."""
    lanes = _lanes_of(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.intp, lanes.width)

    return types.intp(array), generate


def _load_four(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    kind = ir.VectorType(_VECTORS[array_type.dtype].element, WIDTH)
    data = context.make_array(array_type)(context, builder, array).data
    return builder.load(builder.bitcast(builder.gep(data, [index]), kind.as_pointer()), align=4)


@instruction
def load_four(typingctx: Any, array: Any, index: Any) -> Any:
    """`load_four(array, i)`: the lanes array[i] to array[i + 3]; for float32, twice side by side."""
    lanes = _lanes_of(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = _load_four(context, builder, signature.args[0], args[0], args[1])
        positions = ir.Constant(ir.VectorType(_INT, lanes.width), [k % WIDTH for k in range(lanes.width)])
        return builder.shuffle_vector(value, value, positions)

    return lanes(array, types.intp), generate


@instruction
def load_four_pair(typingctx: Any, array: Any, first: Any, second: Any) -> Any:
    """`load_four_pair(array, i, j)`: float32 lanes array[i] to array[i + 3], array[j] to array[j + 3]."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        halves = [_load_four(context, builder, signature.args[0], args[0], arg) for arg in args[1:]]
        positions = ir.Constant(ir.VectorType(_INT, FLOAT32_WIDTH), list(range(FLOAT32_WIDTH)))
        return builder.shuffle_vector(*halves, positions)

    return float32_lanes(array, types.intp, types.intp), generate


@instruction
def store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """`store(array, i, v)`: write the lanes of v to array[i], array[i + 1], ..."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _pointer(context, builder, signature.args[0], args[0], args[1]), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, _lanes_of(array.dtype)), generate


@instruction
def store_four(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """`store_four(array, i, v)`: write four float64 lanes to array[i] to array[i + 3], in the array's type."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.VectorType(_VECTORS[array.dtype].element, WIDTH)
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        pointer = builder.bitcast(builder.gep(data, [args[1]]), kind.as_pointer())
        narrow = kind.element != ir.DoubleType()
        builder.store(builder.fptrunc(args[2], kind) if narrow else args[2], pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, float64_lanes), generate


@instruction
def broadcast(typingctx: Any, value: Any) -> Any:
    """`broadcast(x)`: x in all lanes, four of float64 or eight of float32."""
    result = _lanes_of(value)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        empty = ir.Constant(_VECTORS[result.number], ir.Undefined)
        first = builder.insert_element(empty, args[0], ir.Constant(_INT, 0))
        return builder.shuffle_vector(
            first, empty, ir.Constant(ir.VectorType(_INT, result.width), [0] * result.width)
        )

    return result(result.number), generate


def _shuffle(positions: list[int]) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        mask = ir.Constant(ir.VectorType(_INT, len(positions)), positions)
        return builder.shuffle_vector(args[0], args[-1], mask)

    return generate


@instruction
def last_lane(typingctx: Any, value: Any) -> Any:
    """`last_lane(v)`: the last of four lanes as a number."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.extract_element(args[0], ir.Constant(_INT, WIDTH - 1))

    return types.float64(float64_lanes), generate


@instruction
def swap_neighbours(typingctx: Any, value: Any) -> Any:
    """`swap_neighbours(v)`: v1 v0 v3 v2."""
    return float64_lanes(float64_lanes), _shuffle([1, 0, 3, 2])


@instruction
def unpack_low(typingctx: Any, first: Any, second: Any) -> Any:
    """`unpack_low(a, b)`: a0 b0 a2 b2."""
    return float64_lanes(float64_lanes, float64_lanes), _shuffle([0, 4, 2, 6])


@instruction
def unpack_high(typingctx: Any, first: Any, second: Any) -> Any:
    """`unpack_high(a, b)`: a1 b1 a3 b3."""
    return float64_lanes(float64_lanes, float64_lanes), _shuffle([1, 5, 3, 7])


@instruction
def low_halves(typingctx: Any, first: Any, second: Any) -> Any:
    """`low_halves(a, b)`: a0 a1 b0 b1."""
    return float64_lanes(float64_lanes, float64_lanes), _shuffle([0, 1, 4, 5])


@instruction
def high_halves(typingctx: Any, first: Any, second: Any) -> Any:
    """`high_halves(a, b)`: a2 a3 b2 b3."""
    return float64_lanes(float64_lanes, float64_lanes), _shuffle([2, 3, 6, 7])


@instruction
def pack_float32(typingctx: Any, first: Any, second: Any) -> Any:
    """`pack_float32(a, b)`: a0 a1 a2 a3 b0 b1 b2 b3, rounded to float32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.VectorType(ir.FloatType(), WIDTH)
        halves = [builder.fptrunc(arg, kind) for arg in args]
        positions = ir.Constant(ir.VectorType(_INT, FLOAT32_WIDTH), list(range(FLOAT32_WIDTH)))
        return builder.shuffle_vector(*halves, positions)

    return float32_lanes(float64_lanes, float64_lanes), generate


# The shuffles of a transposition, for four lanes and for two times four lanes: first pairs, then halves.
_PAIRS = {WIDTH: ([0, 4, 2, 6], [1, 5, 3, 7]), FLOAT32_WIDTH: ([0, 8, 1, 9], [2, 10, 3, 11])}
_HALVES = {WIDTH: ([0, 1, 4, 5], [2, 3, 6, 7]), FLOAT32_WIDTH: ([0, 1, 8, 9], [2, 3, 10, 11])}


@instruction
def transpose(typingctx: Any, first: Any, second: Any, third: Any, fourth: Any) -> Any:
    """`transpose(a, b, c, d)`: (a0 b0 c0 d0, a1 b1 c1 d1, ...); with eight lanes, each half on its own."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = first.width
        half_offset = [0, 0, 0, 0] if lanes == WIDTH else [0, 0, 0, 0, 4, 4, 4, 4]

        def shuffled(x: Any, y: Any, positions: list[int]) -> Any:
            mask = [positions[k % WIDTH] + half_offset[k] for k in range(lanes)]
            return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(_INT, lanes), mask))

        above = [shuffled(args[0], args[1], pairs) for pairs in _PAIRS[lanes]]
        below = [shuffled(args[2], args[3], pairs) for pairs in _PAIRS[lanes]]
        rows = [
            [shuffled(a, b, halves) for a, b in zip(above, below, strict=True)] for halves in _HALVES[lanes]
        ]
        # The first shuffle pairs lanes 0 and 2 in float64, lanes 0 and 1 in float32.
        a, b, c, d = rows[0] + rows[1] if lanes == WIDTH else [row[k] for k in (0, 1) for row in rows]
        return context.make_tuple(builder, signature.return_type, (a, b, c, d))

    return types.UniTuple(first, 4)(first, first, first, first), generate


@instruction
def lane_sum(typingctx: Any, value: Any) -> Any:
    """`lane_sum(v)`: (v0 + v1) + (v2 + v3)."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v = [builder.extract_element(args[0], ir.Constant(_INT, i)) for i in range(WIDTH)]
        return builder.fadd(builder.fadd(v[0], v[1]), builder.fadd(v[2], v[3]))

    return types.float64(float64_lanes), generate


@instruction
def sqrt(typingctx: Any, value: Any) -> Any:
    """`sqrt(v)`: the square root of each lane, correctly rounded."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function_type = ir.FunctionType(_VECTOR, [_VECTOR])
        sqrt = cgutils.get_or_insert_function(builder.module, function_type, "llvm.sqrt.v4f64")
        return builder.call(sqrt, args)

    return float64_lanes(float64_lanes), generate


@instruction
def fma(typingctx: Any, first: Any, second: Any, third: Any) -> Any:
    """`fma(a, b, c)`: a * b + c, rounded once."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = _VECTORS[first.number]
        name = "llvm.fma.v4f64" if first == float64_lanes else "llvm.fma.v8f32"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
        return builder.call(function, args)

    return first(first, first, first), generate


def _register_operator(symbol: Any, instruction: str) -> None:
    """Compile a Python operator between two SIMD values to one LLVM instruction."""

    class Template(ConcreteTemplate):  # type: ignore[misc]
        cases = tuple(signature(kind, kind, kind) for kind in (float64_lanes, float32_lanes))

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return getattr(builder, instruction)(*args)

    infer_global(symbol)(Template)
    for kind in (float64_lanes, float32_lanes):
        lower_builtin(symbol, kind, kind)(generate)


for _symbol, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _register_operator(_symbol, _instruction)
