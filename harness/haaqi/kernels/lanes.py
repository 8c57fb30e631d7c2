"""Four float64, or eight float32, side by side, as one value inside a compiled loop.

LLVM does not find by itself that four recursive filters can run in the four lanes of one AVX
register, which is what most of the model's time goes into. This module gives Numba a value of that
kind: `load` and `store` move it from and to an array, `spread` fills it with one number, `+`, `-`
and `*` work lane by lane and round like the scalar operations. Nothing here can be called outside a
compiled function.
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
SHORT_WIDTH = 8
_VECTOR = ir.VectorType(ir.DoubleType(), WIDTH)
_INT = ir.IntType(32)


class _LanesType(types.Type):  # type: ignore[misc]
    def __init__(self, number: Any, width: int) -> None:
        self.number = number
        self.width = width
        super().__init__(name=f"{number}x{width}")


lanes_type = _LanesType(types.float64, WIDTH)
short_type = _LanesType(types.float32, SHORT_WIDTH)
_VECTORS = {
    types.float64: ir.VectorType(ir.DoubleType(), WIDTH),
    types.float32: ir.VectorType(ir.FloatType(), SHORT_WIDTH),
}


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, _VECTORS[fe_type.number])


def _lanes_of(number: Any) -> Any:
    return short_type if number == types.float32 else lanes_type


def _place(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTORS[array_type.dtype].as_pointer())


@instruction
def load(typingctx: Any, array: Any, index: Any) -> Any:
    """`load(array, i)`: the lanes array[i], array[i + 1], ... of a contiguous array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_place(context, builder, signature.args[0], args[0], args[1]), align=4)

    return _lanes_of(array.dtype)(array, types.intp), generate


@instruction
def width(typingctx: Any, array: Any) -> Any:
    """`width(array)`: how many numbers of an array `load` takes, 4 of float64 or 8 of float32."""
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
    """`load_four(array, i)`: the lanes array[i] to array[i + 3]; of float32, twice side by side."""
    lanes = _lanes_of(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = _load_four(context, builder, signature.args[0], args[0], args[1])
        positions = ir.Constant(ir.VectorType(_INT, lanes.width), [k % WIDTH for k in range(lanes.width)])
        return builder.shuffle_vector(value, value, positions)

    return lanes(array, types.intp), generate


@instruction
def load_two_fours(typingctx: Any, array: Any, first: Any, second: Any) -> Any:
    """`load_two_fours(array, i, j)`: the lanes array[i] to array[i + 3], array[j] to array[j + 3] of float32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        halves = [_load_four(context, builder, signature.args[0], args[0], arg) for arg in args[1:]]
        places = ir.Constant(ir.VectorType(_INT, SHORT_WIDTH), list(range(SHORT_WIDTH)))
        return builder.shuffle_vector(*halves, places)

    return short_type(array, types.intp, types.intp), generate


@instruction
def store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """`store(array, i, v)`: puts the lanes of v into array[i], array[i + 1], ..."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _place(context, builder, signature.args[0], args[0], args[1]), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, _lanes_of(array.dtype)), generate


@instruction
def store_short(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """`store_short(array, i, v)`: puts four float64 into array[i], array[i + 1], ..., rounded if it is short."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.VectorType(_VECTORS[array.dtype].element, WIDTH)
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        place = builder.bitcast(builder.gep(data, [args[1]]), kind.as_pointer())
        short = kind.element != ir.DoubleType()
        builder.store(builder.fptrunc(args[2], kind) if short else args[2], place, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes_type), generate


@instruction
def spread(typingctx: Any, value: Any) -> Any:
    """`spread(x)`: x in all lanes, eight of them if it is a float32."""
    result = _lanes_of(value)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        empty = ir.Constant(_VECTORS[result.number], ir.Undefined)
        first = builder.insert_element(empty, args[0], ir.Constant(_INT, 0))
        return builder.shuffle_vector(
            first, empty, ir.Constant(ir.VectorType(_INT, result.width), [0] * result.width)
        )

    return result(result.number), generate


@instruction
def join(typingctx: Any, first: Any, second: Any, third: Any, fourth: Any) -> Any:
    """`join(a, b, c, d)`: four numbers as lanes."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = ir.Constant(_VECTOR, ir.Undefined)
        for position, arg in enumerate(args):
            value = builder.insert_element(value, arg, ir.Constant(_INT, position))
        return value

    return lanes_type(*[types.float64] * WIDTH), generate


def _shuffle(positions: list[int]) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        mask = ir.Constant(ir.VectorType(_INT, len(positions)), positions)
        return builder.shuffle_vector(args[0], args[-1], mask)

    return generate


@instruction
def last(typingctx: Any, value: Any) -> Any:
    """`last(v)`: four times the last lane."""
    return lanes_type(lanes_type), _shuffle([3, 3, 3, 3])


@instruction
def highest(typingctx: Any, value: Any) -> Any:
    """`highest(v)`: the last lane as a number."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.extract_element(args[0], ir.Constant(_INT, WIDTH - 1))

    return types.float64(lanes_type), generate


@instruction
def swap(typingctx: Any, value: Any) -> Any:
    """`swap(v)`: v1 v0 v3 v2."""
    return lanes_type(lanes_type), _shuffle([1, 0, 3, 2])


@instruction
def low_pairs(typingctx: Any, first: Any, second: Any) -> Any:
    """`low_pairs(a, b)`: a0 b0 a2 b2."""
    return lanes_type(lanes_type, lanes_type), _shuffle([0, 4, 2, 6])


@instruction
def high_pairs(typingctx: Any, first: Any, second: Any) -> Any:
    """`high_pairs(a, b)`: a1 b1 a3 b3."""
    return lanes_type(lanes_type, lanes_type), _shuffle([1, 5, 3, 7])


@instruction
def low_halves(typingctx: Any, first: Any, second: Any) -> Any:
    """`low_halves(a, b)`: a0 a1 b0 b1."""
    return lanes_type(lanes_type, lanes_type), _shuffle([0, 1, 4, 5])


@instruction
def high_halves(typingctx: Any, first: Any, second: Any) -> Any:
    """`high_halves(a, b)`: a2 a3 b2 b3."""
    return lanes_type(lanes_type, lanes_type), _shuffle([2, 3, 6, 7])


@instruction
def short_lanes(typingctx: Any, first: Any, second: Any) -> Any:
    """`short_lanes(a, b)`: a0 a1 a2 a3 b0 b1 b2 b3, rounded to float32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.VectorType(ir.FloatType(), WIDTH)
        halves = [builder.fptrunc(arg, kind) for arg in args]
        places = ir.Constant(ir.VectorType(_INT, SHORT_WIDTH), list(range(SHORT_WIDTH)))
        return builder.shuffle_vector(*halves, places)

    return short_type(lanes_type, lanes_type), generate


# How two steps turn rows into columns, four lanes and twice four lanes: pairs of neighbours, then halves.
_PAIRS = {WIDTH: ([0, 4, 2, 6], [1, 5, 3, 7]), SHORT_WIDTH: ([0, 8, 1, 9], [2, 10, 3, 11])}
_HALVES = {WIDTH: ([0, 1, 4, 5], [2, 3, 6, 7]), SHORT_WIDTH: ([0, 1, 8, 9], [2, 3, 10, 11])}


@instruction
def transposed(typingctx: Any, first: Any, second: Any, third: Any, fourth: Any) -> Any:
    """`transposed(a, b, c, d)`: (a0 b0 c0 d0, a1 b1 c1 d1, ...); of eight lanes, both halves by themselves."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = first.width
        twice = [0, 0, 0, 0] if lanes == WIDTH else [0, 0, 0, 0, 4, 4, 4, 4]

        def shuffled(x: Any, y: Any, positions: list[int]) -> Any:
            places = [positions[k % WIDTH] + twice[k] for k in range(lanes)]
            return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(_INT, lanes), places))

        above = [shuffled(args[0], args[1], pairs) for pairs in _PAIRS[lanes]]
        below = [shuffled(args[2], args[3], pairs) for pairs in _PAIRS[lanes]]
        rows = [
            [shuffled(a, b, halves) for a, b in zip(above, below, strict=True)] for halves in _HALVES[lanes]
        ]
        # Pairs are of lanes 0 and 2 in float64, of lanes 0 and 1 in float32.
        a, b, c, d = rows[0] + rows[1] if lanes == WIDTH else [row[k] for k in (0, 1) for row in rows]
        return context.make_tuple(builder, signature.return_type, (a, b, c, d))

    return types.UniTuple(first, 4)(first, first, first, first), generate


@instruction
def total(typingctx: Any, value: Any) -> Any:
    """`total(v)`: (v0 + v1) + (v2 + v3)."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v = [builder.extract_element(args[0], ir.Constant(_INT, i)) for i in range(WIDTH)]
        return builder.fadd(builder.fadd(v[0], v[1]), builder.fadd(v[2], v[3]))

    return types.float64(lanes_type), generate


@instruction
def root(typingctx: Any, value: Any) -> Any:
    """`root(v)`: the square root of each lane, correctly rounded."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function_type = ir.FunctionType(_VECTOR, [_VECTOR])
        sqrt = cgutils.get_or_insert_function(builder.module, function_type, "llvm.sqrt.v4f64")
        return builder.call(sqrt, args)

    return lanes_type(lanes_type), generate


@instruction
def fma(typingctx: Any, first: Any, second: Any, third: Any) -> Any:
    """`fma(a, b, c)`: a * b + c, rounded once."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = _VECTORS[first.number]
        name = "llvm.fma.v4f64" if first == lanes_type else "llvm.fma.v8f32"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
        return builder.call(function, args)

    return first(first, first, first), generate


def _let_operator(symbol: Any, instruction: str) -> None:
    """Let a Python operator between two lanes values be one LLVM instruction."""

    class Template(ConcreteTemplate):  # type: ignore[misc]
        cases = tuple(signature(kind, kind, kind) for kind in (lanes_type, short_type))

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return getattr(builder, instruction)(*args)

    infer_global(symbol)(Template)
    for kind in (lanes_type, short_type):
        lower_builtin(symbol, kind, kind)(generate)


for _symbol, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _let_operator(_symbol, _instruction)
