"""The normals of NumPy's legacy generator, in bulk and bit by bit the same.

`numpy.random.standard_normal` makes normals two by two: two uniform numbers of the Mersenne Twister
are a point in the square from -1 to 1; points outside the unit circle are rejected, and the others
give two normals each (Marsaglia's polar method). Here uniforms come in blocks, and the logarithm and
the square root are taken of all accepted points at once. Which points are accepted is decided on
exactly the numbers that NumPy has, so that a `Stream` is always where NumPy would be; only the
logarithm is our own and may differ in the last bits. The one normal that a generator's state can hold
is kept twice: as NumPy computes it, for the state, and as its point, of which the number that is used
is made like all others. So a normal's bits depend on its place alone, not on who reads it from where.
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.kernels.compilation import exact, fused
from harness.haaqi.kernels.elementary import log2_and_inverse_start, log2_finish
from harness.haaqi.kernels.twister import CARRY, MOST, ROOM, WORDS, gather, points, renew, swapped, temper

MARK_EVERY = 2**20
SPARE = 2  # elements behind the normals that are wanted, for pairs that are written before they are judged
_LN2 = math.log(2)


class Stream:
    """A place in the sequence of normals that a legacy generator will give.

    Attributes:
        parts: what the loops change in place: (624,) words of the generator; (1,) how many of them
            are used up; (4,) whether a normal is held back, which, and the coordinate and the squared
            distance from the centre of its point, 0 if it is not known.
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
            np.array([float(state[3]), float(state[4]), 0.0, 0.0]),
        )

    @classmethod
    def seeded(cls, seed: int) -> Stream:
        """Start where `numpy.random.seed(seed)` puts the global generator."""
        return cls(np.random.RandomState(seed).get_state(legacy=True))

    def copy(self) -> Stream:
        """Return another stream at the same place."""
        other = Stream(self.state())
        other.move_to(self)
        return other

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
        (words, place, held), (its_words, its_place, its_held) = self.parts, other.parts
        words[:], place[:], held[:] = its_words, its_place, its_held

    def skip(self, count: int) -> None:
        """Go on by `count` normals without computing them."""
        skip_normals(*self.parts, count)

    def take(self, count: int) -> NDArray[np.float64]:
        """Return the next `count` normals."""
        out = np.empty(count + SPARE)
        self.fill(out, count=count, gain=1.0)
        return out[:count]

    def fill(self, out: NDArray[np.float64], *, count: int, gain: float) -> None:
        """Put the next `count` normals, times `gain`, into an array.

        Args:
            out: (count + SPARE,) or more; what lies behind the normals may be overwritten.
            count: how many.
            gain: see above.
        """
        fill_normals(*self.parts, out, gain, count)


class Window:
    """The normals between two places of a stream, for those who read them at places of their own.

    The window moves onwards only. What lies in it is made once; what it has passed is gone.
    """

    def __init__(self, stream: Stream, *, gain: float) -> None:
        """Begin where a stream is.

        Args:
            stream: moves on with the window's end.
            gain: factor for all normals.
        """
        self._stream, self._gain = stream, gain
        self._values = np.empty(SPARE)
        self._first = self._last = 0

    def read(self, first: int, last: int) -> NDArray[np.float64]:
        """Return normals number `first` to `last` - 1, counted from where the stream was at first.

        The window stays where it is if they lie in it, and moves to them if not.

        Args:
            first: not before the window.
            last: not before `first`.

        Returns:
            (last - first,) the normals times the gain; good until the window moves.
        """
        if last > self._last:
            self._move(first, last)
        return self._values[first - self._first : last - self._first]

    def _move(self, first: int, last: int) -> None:
        held = self._values[first - self._first : self._last - self._first]
        if len(self._values) < last - first + SPARE:
            self._values = np.empty(last - first + SPARE)
        self._values[: len(held)] = held
        self._stream.skip(first + len(held) - self._last)
        self._stream.fill(self._values[len(held) :], count=last - first - len(held), gain=self._gain)
        self._first, self._last = first, last


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
        held[:] = 0.0
        count -= 1
    _next_normals(words, place, count // 2, 0.0, np.empty(0))
    if count % 2 == 1:
        _split(words, place, held, 0.0)


@exact
def fill_normals(
    words: NDArray[np.uint32],
    place: NDArray[np.int64],
    held: NDArray[np.float64],
    out: NDArray[np.float64],
    gain: float,
    count: int,
) -> None:
    """Put the next `count` normals, times `gain`, into an array; the first three are the parts of a stream."""
    start = 0
    if count > 0 and held[0] != 0.0:
        out[0] = gain * held[1] if held[3] == 0.0 else held[2] * _factor(held[3], gain)
        held[:] = 0.0
        start = 1
    _next_normals(words, place, (count - start) // 2, gain, out[start:])
    if (count - start) % 2 == 1:
        out[count - 1] = _split(words, place, held, gain)


@exact
def _split(
    words: NDArray[np.uint32], place: NDArray[np.int64], held: NDArray[np.float64], gain: float
) -> float:
    """Take one pair, return one of it, times `gain`, and hold the other back."""
    tempered = np.empty(ROOM, dtype=np.uint32)
    first, second, square, accepted = np.empty(MOST), np.empty(MOST), np.empty(MOST), np.empty(MOST, np.int64)
    temper(words, tempered)
    at = CARRY + place[0]
    while True:
        if CARRY + WORDS - at < 4:
            at = _next_block(words, tempered, at)
        found = points(tempered, at, 1, first, second, square, accepted)
        at += 4
        if found == 1:
            break
    place[0] = at - CARRY
    held[0] = 1.0
    held[1] = first[0] * math.sqrt(-2.0 * math.log(square[0]) / square[0])
    held[2] = first[0]
    held[3] = square[0]
    return float(second[0] * _factor(square[0], gain))


@exact
def _factor(square: float, gain: float) -> float:
    """Return the factor of one point as `_factors` makes it."""
    squares = np.full(4, square)
    _factors(squares, np.empty(4), np.empty(4), 4, gain)
    return float(squares[0])


@exact
def _next_block(words: NDArray[np.uint32], tempered: NDArray[np.uint32], at: int) -> int:
    """Renew the words, carry over those from tempered[at] on, and return where they then stand."""
    left = CARRY + WORDS - at
    for k in range(CARRY - left, CARRY):
        tempered[k] = tempered[k + WORDS]
    renew(words)
    temper(words, tempered)
    return CARRY - left


@exact
def _next_normals(
    words: NDArray[np.uint32],
    place: NDArray[np.int64],
    pairs: int,
    gain: float,
    out: NDArray[np.float64],
) -> None:
    """Go on by pairs of normals.

    Args:
        words: (624,) of the generator, changed in place.
        place: (1,) how many of them are used up, changed in place.
        pairs: how many.
        gain: factor for the normals.
        out: (2 * pairs + 2,) to be filled with them; (0,) if they are not wanted.
    """
    if pairs == 0:
        return
    tempered, accepted = np.empty(ROOM, dtype=np.uint32), np.empty(MOST, dtype=np.int64)
    first, second, square, room = np.empty(MOST), np.empty(MOST), np.empty(MOST), np.empty(2 * MOST)
    temper(words, tempered)
    at = CARRY + place[0]
    done = 0
    while True:
        count = (CARRY + WORDS - at) // 4
        more = points(tempered, at, count, first, second, square, accepted)
        last = done + more >= pairs
        if last:
            count = 0
            more = 0
            while done + more < pairs:
                more += accepted[swapped(count)]
                count += 1
            for k in range(count, count + -count % 4):
                accepted[swapped(k)] = 0
        if len(out) > 0:
            _factors(square, room, room[MOST:], count + -count % 4, gain)
            gather(first, second, square, accepted, count, room, out, 2 * done)
        done += more
        at += 4 * count
        if last:
            break
        at = _next_block(words, tempered, at)
    place[0] = at - CARRY


@fused
def _factors(
    square: NDArray[np.float64],
    exponent: NDArray[np.float64],
    inverse: NDArray[np.float64],
    count: int,
    gain: float,
) -> None:
    """Turn squared distances, in place, into the factors that make normals of accepted points."""
    for k in range(count):
        exponent[k], square[k], inverse[k] = log2_and_inverse_start(square[k])
    for k in range(count):
        square[k] = log2_finish(exponent[k], square[k]) * inverse[k]
    for k in range(count):
        square[k] = gain * math.sqrt(square[k] * (-2.0 * _LN2))
