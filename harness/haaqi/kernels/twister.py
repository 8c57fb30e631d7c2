"""The Mersenne Twister in blocks, and the points in the unit circle that normals are made of.

A point takes four random words, two for each coordinate. Words are regenerated, tempered and converted to
coordinates in SIMD lanes; NumPy's generator works word by word.
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numpy.typing import NDArray

from harness.haaqi.kernels.compilation import exact, instruction
from harness.haaqi.kernels.simd import WIDTH, float64_lanes, load, store, unpack_high, unpack_low

STATE_WORDS = 624  # words of the generator's state
MAX_LEFTOVER = 4  # space in front of a block for unused words of the previous block
BUFFER_WORDS = MAX_LEFTOVER + STATE_WORDS + 16
MAX_POINTS = 160  # upper bound of the points made from one block, a multiple of the SIMD width
_MIDDLE = 397  # the word that is combined with each word
_HIGH_MASK = 0xFFFFFFE0  # the 27 bits that a coordinate takes from its first word
_LOW_SHIFT = 38  # bits of a pair of words below the 26 that a coordinate takes from its second word
_TWO_52_BITS = 0x433 << 52  # the bits of 2**52, whose last bit has the weight 1


@instruction
def coordinates(typingctx: Any, words: Any, index: Any) -> Any:
    """`coordinates(w, i)`: two points, four numbers from -1 to 1, made from the words w[i] to w[i + 7].

    The upper 27 and 26 bits of two words form an integer k of 53 bits; the result is k / 2**52 - 1. Both parts
    are put into the last bits of 2**52; every following operation is exact.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        integers = ir.VectorType(ir.IntType(64), WIDTH)
        reals = ir.VectorType(ir.DoubleType(), WIDTH)

        def constant(kind: Any, value: float) -> Any:
            return ir.Constant(kind, [value] * WIDTH)

        def scaled(bits: Any, unit: float, offset: float) -> Any:
            number = builder.bitcast(builder.or_(bits, constant(integers, _TWO_52_BITS)), reals)
            return builder.fadd(builder.fmul(number, constant(reals, unit)), constant(reals, offset))

        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        pointer = builder.bitcast(builder.gep(data, [args[1]]), integers.as_pointer())
        pairs = builder.load(pointer, align=4)
        high = scaled(builder.and_(pairs, constant(integers, _HIGH_MASK)), 2.0**-31, -(2.0**21) - 2.0)
        low = scaled(builder.lshr(pairs, constant(integers, _LOW_SHIFT)), 2.0**-52, 0.0)
        return builder.fadd(high, low)

    return float64_lanes(words, types.intp), generate


@instruction
def copy_pair(typingctx: Any, source: Any, index: Any, target: Any, position: Any) -> Any:
    """`copy_pair(s, i, t, j)`: copy s[i] and s[i + 1] to t[j] and t[j + 1]."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pair = ir.VectorType(ir.DoubleType(), 2).as_pointer()
        pointers = [
            builder.bitcast(
                builder.gep(context.make_array(kind)(context, builder, array).data, [number]), pair
            )
            for kind, array, number in (
                (signature.args[0], args[0], args[1]),
                (signature.args[2], args[2], args[3]),
            )
        ]
        builder.store(builder.load(pointers[0], align=8), pointers[1], align=8)
        return context.get_dummy_value()

    return types.void(source, types.intp, target, types.intp), generate


@exact
def renew(words: NDArray[np.uint32]) -> None:
    """Replace the generator's state by the next one.

    Args:
        words: (624,) state, changed in place.
    """
    upper = np.uint32(0x80000000)
    lower = np.uint32(0x7FFFFFFF)
    one = np.uint32(1)
    twist = np.uint32(0x9908B0DF)
    for k in range(STATE_WORDS - _MIDDLE):
        y = (words[k] & upper) | (words[k + 1] & lower)
        words[k] = words[k + _MIDDLE] ^ (y >> one) ^ ((np.uint32(0) - (y & one)) & twist)
    for k in range(STATE_WORDS - _MIDDLE, STATE_WORDS - 1):
        y = (words[k] & upper) | (words[k + 1] & lower)
        words[k] = words[k + _MIDDLE - STATE_WORDS] ^ (y >> one) ^ ((np.uint32(0) - (y & one)) & twist)
    y = (words[STATE_WORDS - 1] & upper) | (words[0] & lower)
    words[STATE_WORDS - 1] = words[_MIDDLE - 1] ^ (y >> one) ^ ((np.uint32(0) - (y & one)) & twist)


@exact
def temper(words: NDArray[np.uint32], tempered: NDArray[np.uint32]) -> None:
    """Turn the state into the random words that the generator returns.

    Args:
        words: (624,) state.
        tempered: (BUFFER_WORDS,) whose elements from MAX_LEFTOVER on are filled.
    """
    for k in range(STATE_WORDS):
        y = words[k]
        y ^= y >> np.uint32(11)
        y ^= (y << np.uint32(7)) & np.uint32(0x9D2C5680)
        y ^= (y << np.uint32(15)) & np.uint32(0xEFC60000)
        tempered[MAX_LEFTOVER + k] = y ^ (y >> np.uint32(18))


@exact
def draw_points(
    tempered: NDArray[np.uint32],
    start: int,
    count: int,
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    square: NDArray[np.float64],
    accepted: NDArray[np.int64],
) -> int:
    """Make points from four random words each, from tempered[start] on.

    Of every four points, the second and the third are stored in each other's slot, see `point_slot`.

    Args:
        tempered: (BUFFER_WORDS,) random words.
        start: index of the first word to use.
        count: number of points.
        first: (MAX_POINTS,) filled with the first coordinates.
        second: (MAX_POINTS,) filled with the second coordinates.
        square: (MAX_POINTS,) filled with the squared distances from the centre.
        accepted: (MAX_POINTS,) filled with 1 for points in the unit circle except its centre, otherwise 0.

    Returns:
        The number of accepted points.
    """
    whole = count + -count % 4
    for k in range(0, whole, 4):
        a, b = coordinates(tempered, start + 4 * k), coordinates(tempered, start + 4 * k + 8)
        x, y = unpack_low(a, b), unpack_high(a, b)
        store(first, k, x)
        store(second, k, y)
        store(square, k, x * x + y * y)
    for k in range(whole):
        accepted[k] = np.int64(square[k] < 1.0) & np.int64(square[k] != 0.0)
    for k in range(count, whole):
        accepted[point_slot(k)] = 0
    lane_sum = 0
    for k in range(whole):
        lane_sum += accepted[k]
    return lane_sum


@exact
def point_slot(k: int) -> int:
    """Return the slot in which `draw_points` stores point number k."""
    return k + (1 if k % 4 == 1 else -1 if k % 4 == 2 else 0)


@exact
def write_normals(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    factor: NDArray[np.float64],
    accepted: NDArray[np.int64],
    count: int,
    scratch: NDArray[np.float64],
    out: NDArray[np.float64],
    start: int,
) -> None:
    """Write the coordinates of the accepted points times their factors to out[start:], second coordinate first.

    Args:
        first: first coordinates, as `draw_points` fills them.
        second: second coordinates.
        factor: (MAX_POINTS,) factors, by slot.
        accepted: as `draw_points` fills it.
        count: number of points.
        scratch: (2 * MAX_POINTS,) overwritten.
        out: filled; up to two elements after the last normal may be overwritten.
        start: index of the first element to fill.
    """
    whole = count + -count % 4
    for k in range(0, whole, 4):
        f = load(factor, k)
        x, y = load(first, k) * f, load(second, k) * f
        store(scratch, 2 * k, unpack_low(y, x))
        store(scratch, 2 * k + 4, unpack_high(y, x))
    position = start
    for k in range(0, whole, 4):
        copy_pair(scratch, 2 * k, out, position)
        position += 2 * accepted[k]
        copy_pair(scratch, 2 * k + 2, out, position)
        position += 2 * accepted[k + 2]
        copy_pair(scratch, 2 * k + 4, out, position)
        position += 2 * accepted[k + 1]
        copy_pair(scratch, 2 * k + 6, out, position)
        position += 2 * accepted[k + 3]
