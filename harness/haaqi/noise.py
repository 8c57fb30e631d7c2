"""The normals of NumPy's legacy generator, in bulk and bit by bit the same.

`numpy.random.standard_normal` makes normals two by two: two uniform numbers of the Mersenne Twister
are a point in the square from -1 to 1; points outside the unit circle are rejected, and the others
give two normals each (Marsaglia's polar method). Here uniforms come in blocks, and the logarithm and
the square root are taken of all accepted points at once. Which points are accepted is decided on
exactly the numbers that NumPy has, so that a `Stream` is always where NumPy would be; only the
logarithm is our own and may differ in the last bits, except in the one normal that a generator's
state can hold, which is computed as NumPy does.
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .elementary import ONE_BITS, log2_and_inverse, number_of
from .kernel import exact, fused, inlined

WORDS = 624
_SHIFT = 397
MARK_EVERY = 2**20
_CARRY = 4
_MOST = (_CARRY + WORDS) // 4
_LN2 = math.log(2)


class Stream:
    """A place in the sequence of normals that a legacy generator will give.

    Attributes:
        parts: what the loops change in place: (624,) words of the generator; (1,) how many of them
            are used up; (2,) whether a normal is held back, and which.
    """

    def __init__(self, state: Any) -> None:
        """Start where a generator stands.

        Args:
            state: of `RandomState.get_state()`.

        Raises:
            ValueError: it is not the state of a Mersenne Twister.
        """
        if state[0] != "MT19937":
            raise ValueError("The noise needs a generator of NumPy's legacy kind, a RandomState of MT19937.")
        self.parts = (
            np.array(state[1], dtype=np.uint32),
            np.array([int(state[2])], dtype=np.int64),
            np.array([float(state[3]), float(state[4])]),
        )

    @classmethod
    def seeded(cls, seed: int) -> Stream:
        """Start where `numpy.random.seed(seed)` puts the global generator."""
        return cls(np.random.RandomState(seed).get_state(legacy=True))

    def copy(self) -> Stream:
        """Return another stream at the same place."""
        return Stream(self.state())

    def state(self) -> tuple[Any, ...]:
        """Return what `RandomState.set_state` takes."""
        words, place, held = self.parts
        return ("MT19937", words.copy(), int(place[0]), int(held[0]), float(held[1]))

    def ahead(self, count: int) -> Stream:
        """Return another stream, `count` normals further on."""
        other = self.copy()
        other.skip(count)
        return other

    def move_to(self, other: Stream) -> None:
        """Go to where another stream is."""
        for mine, its in zip(self.parts, other.parts, strict=True):
            np.copyto(mine, its)

    def skip(self, count: int) -> None:
        """Go on by `count` normals without computing them."""
        skip_normals(*self.parts, count)

    def take(self, count: int) -> NDArray[np.float64]:
        """Return the next `count` normals."""
        out = np.zeros(count)
        add_normals(*self.parts, out, 1.0, count)
        return out


class _Marked(Stream):
    """A stream that reaches places ahead by its bookmarks, as long as it has not moved itself."""

    def __init__(self, state: tuple[Any, ...], *, bookmarks: Bookmarks, position: int) -> None:
        super().__init__(state)
        self._bookmarks = bookmarks
        self._position = position

    def ahead(self, count: int) -> Stream:
        return self._bookmarks.at(self._position + count)


class Bookmarks:
    """The noise of one seed, with states kept along the way, so that any place is reached soon."""

    def __init__(self, seed: int) -> None:
        """Start at a seed's first normal."""
        self._streams = [Stream.seeded(seed)]

    def at(self, position: int) -> Stream:
        """Return a stream that has given `position` normals; its `ahead` uses the bookmarks too."""
        mark, rest = divmod(position, MARK_EVERY)
        while len(self._streams) <= mark:
            self._streams.append(self._streams[-1].ahead(MARK_EVERY))
        stream = _Marked(self._streams[mark].state(), bookmarks=self, position=position)
        stream.skip(rest)
        return stream


@exact
def skip_normals(
    words: NDArray[np.uint32], place: NDArray[np.int64], held: NDArray[np.float64], count: int
) -> None:
    """Go on by `count` normals; the first three arguments are the parts of a stream."""
    if count > 0 and held[0] != 0.0:
        held[0] = held[1] = 0.0
        count -= 1
    nothing = np.empty(0)
    _next_points(words, place, count // 2, nothing, nothing, False)
    if count % 2 == 1:
        _split(words, place, held)


@exact
def add_normals(
    words: NDArray[np.uint32],
    place: NDArray[np.int64],
    held: NDArray[np.float64],
    out: NDArray[np.float64],
    gain: float,
    count: int,
) -> None:
    """Add the next `count` normals, times `gain`, to an array; the first three are the parts of a stream."""
    start = 0
    if count > 0 and held[0] != 0.0:
        out[0] += gain * held[1]
        held[0] = held[1] = 0.0
        start = 1
        count -= 1
    pairs = count // 2
    points, square = np.empty(2 * pairs + 2), np.empty(pairs + 1)
    _next_points(words, place, pairs, points, square, True)
    _normals(points, square, pairs, gain, out[start:])
    if count % 2 == 1:
        out[start + count - 1] += gain * _split(words, place, held)


@exact
def _split(words: NDArray[np.uint32], place: NDArray[np.int64], held: NDArray[np.float64]) -> float:
    """Take one pair, return one of it and hold the other back."""
    points, square = np.empty(4), np.empty(2)
    _next_points(words, place, 1, points, square, True)
    factor = math.sqrt(-2.0 * math.log(square[0]) / square[0])
    held[0] = 1.0
    held[1] = factor * points[0]
    return float(factor * points[1])


@exact
def _renew(words: NDArray[np.uint32]) -> None:
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
def _temper(words: NDArray[np.uint32], tempered: NDArray[np.uint32]) -> None:
    """Turn the generator's words into the random words that it gives out, behind those carried over."""
    for k in range(WORDS):
        y = words[k]
        y ^= y >> np.uint32(11)
        y ^= (y << np.uint32(7)) & np.uint32(0x9D2C5680)
        y ^= (y << np.uint32(15)) & np.uint32(0xEFC60000)
        tempered[_CARRY + k] = y ^ (y >> np.uint32(18))


@inlined
def _coordinate(high: Any, low: Any) -> float:
    """Return what two random words are as a number from -1 to 1.

    Their upper 27 and 26 bits are a number k of 53 bits, and the result is k / 2**52 - 1. All but
    the last bit of k are put into a number from 1 to 2, the last bit into another: every step is exact.
    """
    k = ((high >> 5) << 26) | (low >> 6)
    result: float = (2.0 * number_of((k >> 1) | ONE_BITS) - 3.0) + (number_of((k & 1) | ONE_BITS) - 1.0)
    return result


@exact
def _points(
    tempered: NDArray[np.uint32],
    start: int,
    count: int,
    both: NDArray[np.float64],
    square: NDArray[np.float64],
    accepted: NDArray[np.int64],
) -> int:
    """Make `count` points of four random words each, from tempered[start] on.

    Args:
        tempered: random words.
        start: the first one to use.
        count: how many points.
        both: to be filled with their two coordinates each.
        square: to be filled with their squared distances from the centre.
        accepted: to be filled with 1 for those in the unit circle, but not in its centre, and 0.

    Returns:
        How many are accepted.
    """
    random = tempered[start:]  # counted from 0, indices are seen not to be negative, and lanes are used
    for k in range(2 * count):
        both[k] = _coordinate(np.int64(random[2 * k]), np.int64(random[2 * k + 1]))
    for k in range(count):
        square[k] = both[2 * k] * both[2 * k] + both[2 * k + 1] * both[2 * k + 1]
    for k in range(count):
        accepted[k] = np.int64(square[k] < 1.0) & np.int64(square[k] != 0.0)
    total = 0
    for k in range(count):
        total += accepted[k]
    return total


@exact
def _next_points(
    words: NDArray[np.uint32],
    place: NDArray[np.int64],
    pairs: int,
    points: NDArray[np.float64],
    square: NDArray[np.float64],
    keep: bool,
) -> None:
    """Go on by `pairs` accepted points, and keep them if asked to.

    Args:
        words: (624,) of the generator, changed in place.
        place: (1,) how many of them are used up, changed in place.
        pairs: how many points to accept.
        points: (2 * pairs + 2,) to be filled, if they are kept, with their two coordinates each.
        square: (pairs + 1,) the same: their squared distances from the centre.
        keep: whether to keep them.
    """
    if pairs == 0:
        return
    tempered = np.empty(_CARRY + WORDS, dtype=np.uint32)
    both, squares, accepted = np.empty(2 * _MOST), np.empty(_MOST), np.empty(_MOST, dtype=np.int64)
    _temper(words, tempered)
    at = _CARRY + place[0]
    done = 0
    while True:
        count = (_CARRY + WORDS - at) // 4
        more = _points(tempered, at, count, both, squares, accepted)
        last = done + more >= pairs
        if last:
            count = 0
            more = 0
            while done + more < pairs:
                more += accepted[count]
                count += 1
        if keep:
            kept = done
            for k in range(count):
                points[2 * kept] = both[2 * k]
                points[2 * kept + 1] = both[2 * k + 1]
                square[kept] = squares[k]
                kept += accepted[k]
        done += more
        at += 4 * count
        if last:
            break
        left = _CARRY + WORDS - at
        for k in range(_CARRY - left, _CARRY):
            tempered[k] = tempered[k + WORDS]
        _renew(words)
        _temper(words, tempered)
        at = _CARRY - left
    place[0] = at - _CARRY


@fused
def _normals(
    points: NDArray[np.float64],
    square: NDArray[np.float64],
    pairs: int,
    gain: float,
    out: NDArray[np.float64],
) -> None:
    """Turn accepted points into normals, two by two, and add them times `gain` to an array."""
    for k in range(pairs):
        logarithm, inverse = log2_and_inverse(square[k])
        square[k] = gain * math.sqrt(logarithm * inverse * (-2.0 * _LN2))
    for k in range(pairs):
        out[2 * k] += points[2 * k + 1] * square[k]
        out[2 * k + 1] += points[2 * k] * square[k]
