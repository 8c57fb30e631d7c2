"""The Mersenne Twister's words in blocks, and the points in the unit circle that normals are made of.

A point takes four words: two for each of its coordinates. Words are renewed, tempered and turned into
coordinates in all lanes of the processor; NumPy's own generator does it word by word.
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numpy.typing import NDArray

from harness.haaqi.kernels.compilation import exact, instruction
from harness.haaqi.kernels.lanes import WIDTH, high_pairs, lanes_type, load, low_pairs, store

WORDS = 624
CARRY = 4  # room in front of a block for the words that the last one left over
ROOM = CARRY + WORDS + 16
MOST = 160  # points that are made of a block at most, in whole vectors
_SHIFT = 397
_FIRST = 0xFFFFFFE0  # the 27 bits of a coordinate's first word that count
_SECOND = 38  # how many bits of both words lie below the 26 that count of the second
_COUNTER = 0x433 << 52  # 2**52: its last bits count in ones


@instruction
def coordinates(typingctx: Any, words: Any, index: Any) -> Any:
    """`coordinates(w, i)`: two points, four numbers from -1 to 1, of the words w[i] to w[i + 7].

    The upper 27 and 26 bits of two words are a number k of 53 bits, and the result is k / 2**52 - 1.
    Both parts are put into the last bits of 2**52; every step after is exact.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = ir.VectorType(ir.IntType(64), WIDTH)
        real = ir.VectorType(ir.DoubleType(), WIDTH)

        def everywhere(kind: Any, value: float) -> Any:
            return ir.Constant(kind, [value] * WIDTH)

        def counted(bits: Any, unit: float, offset: float) -> Any:
            number = builder.bitcast(builder.or_(bits, everywhere(whole, _COUNTER)), real)
            return builder.fadd(builder.fmul(number, everywhere(real, unit)), everywhere(real, offset))

        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        place = builder.bitcast(builder.gep(data, [args[1]]), whole.as_pointer())
        both = builder.load(place, align=4)
        high = counted(builder.and_(both, everywhere(whole, _FIRST)), 2.0**-31, -(2.0**21) - 2.0)
        low = counted(builder.lshr(both, everywhere(whole, _SECOND)), 2.0**-52, 0.0)
        return builder.fadd(high, low)

    return lanes_type(words, types.intp), generate


@instruction
def copy_pair(typingctx: Any, source: Any, index: Any, target: Any, place: Any) -> Any:
    """`copy_pair(s, i, t, j)`: puts s[i] and s[i + 1] into t[j] and t[j + 1]."""

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
    """Replace the generator's 624 words by the next 624."""
    upper = np.uint32(0x80000000)
    lower = np.uint32(0x7FFFFFFF)
    one = np.uint32(1)
    twist = np.uint32(0x9908B0DF)
    for k in range(WORDS - _SHIFT):
        y = (words[k] & upper) | (words[k + 1] & lower)
        words[k] = words[k + _SHIFT] ^ (y >> one) ^ ((np.uint32(0) - (y & one)) & twist)
    for k in range(WORDS - _SHIFT, WORDS - 1):
        y = (words[k] & upper) | (words[k + 1] & lower)
        words[k] = words[k + _SHIFT - WORDS] ^ (y >> one) ^ ((np.uint32(0) - (y & one)) & twist)
    y = (words[WORDS - 1] & upper) | (words[0] & lower)
    words[WORDS - 1] = words[_SHIFT - 1] ^ (y >> one) ^ ((np.uint32(0) - (y & one)) & twist)


@exact
def temper(words: NDArray[np.uint32], tempered: NDArray[np.uint32]) -> None:
    """Turn the generator's words into the random words that it gives out, behind those carried over."""
    for k in range(WORDS):
        y = words[k]
        y ^= y >> np.uint32(11)
        y ^= (y << np.uint32(7)) & np.uint32(0x9D2C5680)
        y ^= (y << np.uint32(15)) & np.uint32(0xEFC60000)
        tempered[CARRY + k] = y ^ (y >> np.uint32(18))


@exact
def points(
    tempered: NDArray[np.uint32],
    start: int,
    count: int,
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    square: NDArray[np.float64],
    accepted: NDArray[np.int64],
) -> int:
    """Make points of four random words each, from tempered[start] on.

    Of each four points, the second and the third stand in each other's place.

    Args:
        tempered: (ROOM,) random words.
        start: the first one to use.
        count: how many points.
        first: (MOST,) to be filled with their first coordinates.
        second: (MOST,) with their second ones.
        square: (MOST,) with their squared distances from the centre.
        accepted: (MOST,) with 1 for those in the unit circle, but not in its centre, and 0.

    Returns:
        How many are accepted.
    """
    whole = count + -count % 4
    for k in range(0, whole, 4):
        a, b = coordinates(tempered, start + 4 * k), coordinates(tempered, start + 4 * k + 8)
        x, y = low_pairs(a, b), high_pairs(a, b)
        store(first, k, x)
        store(second, k, y)
        store(square, k, x * x + y * y)
    for k in range(whole):
        accepted[k] = np.int64(square[k] < 1.0) & np.int64(square[k] != 0.0)
    for k in range(count, whole):
        accepted[swapped(k)] = 0
    total = 0
    for k in range(whole):
        total += accepted[k]
    return total


@exact
def swapped(k: int) -> int:
    """Return where point number k stands, see `points`."""
    return k + (1 if k % 4 == 1 else -1 if k % 4 == 2 else 0)


@exact
def gather(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    factor: NDArray[np.float64],
    accepted: NDArray[np.int64],
    count: int,
    room: NDArray[np.float64],
    out: NDArray[np.float64],
    start: int,
) -> None:
    """Put the accepted points' coordinates times their factors, the second one first, into out[start:].

    Args:
        first: as `points` fills it.
        second: the same.
        factor: in the same order.
        accepted: as `points` fills it.
        count: how many points.
        room: (2 * MOST,) to be overwritten.
        out: to be filled; two elements more than are wanted may be changed.
        start: see above.
    """
    whole = count + -count % 4
    for k in range(0, whole, 4):
        f = load(factor, k)
        x, y = load(first, k) * f, load(second, k) * f
        store(room, 2 * k, low_pairs(y, x))
        store(room, 2 * k + 4, high_pairs(y, x))
    place = start
    for k in range(0, whole, 4):
        copy_pair(room, 2 * k, out, place)
        place += 2 * accepted[k]
        copy_pair(room, 2 * k + 2, out, place)
        place += 2 * accepted[k + 2]
        copy_pair(room, 2 * k + 4, out, place)
        place += 2 * accepted[k + 1]
        copy_pair(room, 2 * k + 6, out, place)
        place += 2 * accepted[k + 3]
