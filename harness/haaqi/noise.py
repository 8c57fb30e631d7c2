"""The normals of NumPy's legacy generator, in bulk and bit by bit the same.

`numpy.random.standard_normal` makes normals two by two: two uniform numbers of the Mersenne Twister
are a point in the square from -1 to 1; points outside the unit circle are rejected, and the others
give two normals each (Marsaglia's polar method). Here uniforms come in blocks, and the logarithm and
the square root are taken of all accepted points at once. Which points are accepted is decided on
exactly the numbers that NumPy has, so that a `Stream` is always where NumPy would be; only the
logarithm is our own and may differ in the last bits, except in the one normal that a generator's
state can hold, which is computed as NumPy does.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .elementary import log2
from .kernel import exact, fused

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

    def __init__(self, state: tuple[Any, ...]) -> None:
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
        return cls(np.random.RandomState(seed).get_state())

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
            mine[:] = its

    def skip(self, count: int) -> None:
        """Go on by `count` normals without computing them."""
        skip_normals(*self.parts, count)

    def take(self, count: int) -> NDArray[np.float64]:
        """Return the next `count` normals."""
        out = np.empty(count)
        take_normals(*self.parts, out, 0, count)
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
    _next_points(words, place, count // 2, nothing, nothing, nothing, False)
    if count % 2 == 1:
        _split(words, place, held)


@exact
def take_normals(
    words: NDArray[np.uint32],
    place: NDArray[np.int64],
    held: NDArray[np.float64],
    out: NDArray[np.float64],
    start: int,
    count: int,
) -> None:
    """Put the next `count` normals into out[start:]; the first three arguments are the parts of a stream."""
    if count > 0 and held[0] != 0.0:
        out[start] = held[1]
        held[0] = held[1] = 0.0
        start += 1
        count -= 1
    pairs = count // 2
    x, y, square = np.empty(pairs + 1), np.empty(pairs + 1), np.empty(pairs + 1)
    _next_points(words, place, pairs, x, y, square, True)
    _normals(x, y, square, pairs, out, start)
    if count % 2 == 1:
        out[start + count - 1] = _split(words, place, held)


@exact
def _split(words: NDArray[np.uint32], place: NDArray[np.int64], held: NDArray[np.float64]) -> float:
    """Take one pair, return one of it and hold the other back."""
    x, y, square = np.empty(2), np.empty(2), np.empty(2)
    _next_points(words, place, 1, x, y, square, True)
    factor = math.sqrt(-2.0 * math.log(square[0]) / square[0])
    held[0] = 1.0
    held[1] = factor * x[0]
    return factor * y[0]


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


@exact
def _points(
    tempered: NDArray[np.uint32],
    start: int,
    count: int,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    square: NDArray[np.float64],
) -> None:
    """Make `count` points of four random words each, from tempered[start] on."""
    for k in range(count):
        w = start + 4 * k
        x[k] = _coordinate(tempered[w], tempered[w + 1])
        y[k] = _coordinate(tempered[w + 2], tempered[w + 3])
    for k in range(count):
        square[k] = x[k] * x[k] + y[k] * y[k]


@exact
def _coordinate(high: np.uint32, low: np.uint32) -> float:
    """Return what two random words are as a number from -1 to 1."""
    whole = np.float64(np.int32(high >> np.uint32(5))) * 67108864.0 + np.float64(
        np.int32(low >> np.uint32(6))
    )
    return 2.0 * (whole / 9007199254740992.0) - 1.0


@exact
def _next_points(
    words: NDArray[np.uint32],
    place: NDArray[np.int64],
    pairs: int,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    square: NDArray[np.float64],
    keep: bool,
) -> None:
    """Go on by `pairs` accepted points, and keep them if asked to.

    Args:
        words: (624,) of the generator, changed in place.
        place: (1,) how many of them are used up, changed in place.
        pairs: how many points to accept.
        x: (pairs + 1,) to be filled if they are kept: one coordinate, which NumPy gives second.
        y: (pairs + 1,) the same: the other coordinate.
        square: (pairs + 1,) the same: the squared distance from the centre.
        keep: whether to keep them.
    """
    if pairs == 0:
        return
    tempered = np.empty(_CARRY + WORDS, dtype=np.uint32)
    xs, ys, squares = np.empty(_MOST), np.empty(_MOST), np.empty(_MOST)
    _temper(words, tempered)
    at = _CARRY + place[0]
    done = 0
    while True:
        count = (_CARRY + WORDS - at) // 4
        _points(tempered, at, count, xs, ys, squares)
        accepted = 0
        for k in range(count):
            accepted += (squares[k] < 1.0) & (squares[k] != 0.0)
        last = done + accepted >= pairs
        if last:
            count = 0
            accepted = 0
            while done + accepted < pairs:
                accepted += (squares[count] < 1.0) & (squares[count] != 0.0)
                count += 1
        if keep:
            kept = done
            for k in range(count):
                x[kept] = xs[k]
                y[kept] = ys[k]
                square[kept] = squares[k]
                kept += (squares[k] < 1.0) & (squares[k] != 0.0)
        done += accepted
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
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    square: NDArray[np.float64],
    pairs: int,
    out: NDArray[np.float64],
    start: int,
) -> None:
    """Turn accepted points into normals, two by two, from out[start] on."""
    for k in range(pairs):
        s = square[k]
        square[k] = math.sqrt(log2(s) / s * (-2.0 * _LN2))
    for k in range(pairs):
        out[start + 2 * k] = y[k] * square[k]
        out[start + 2 * k + 1] = x[k] * square[k]
