"""The normal deviates of NumPy's legacy generator, in bulk and bit for bit the same.

`numpy.random.standard_normal` makes normals in pairs: two uniform numbers of the Mersenne Twister are a point
in the square from -1 to 1; points outside the unit circle are rejected, and the others give two normals each
(Marsaglia's polar method). Here uniforms are made in blocks, and the logarithm and the square root of all
accepted points are computed at once. Which points are accepted is decided on exactly NumPy's numbers, so a
`NormalStream` is always at NumPy's position; only the logarithm is computed differently and may differ in the
last bits.

A generator's state can hold one cached normal. It is kept twice: as NumPy computes it, for the state, and as
its point, from which the number in use is made like all others. A normal's bits therefore depend on its
position alone, not on where reading begins.
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.kernels.compilation import exact, fused
from harness.haaqi.kernels.elementary import log2_and_inverse_start, log2_finish
from harness.haaqi.kernels.twister import (
    BUFFER_WORDS,
    MAX_LEFTOVER,
    MAX_POINTS,
    STATE_WORDS,
    draw_points,
    point_slot,
    renew,
    temper,
    write_normals,
)

CHECKPOINT_INTERVAL = 2**20
PADDING = 2  # elements after the normals, to which a pair is written before it is known to be accepted
_LN2 = math.log(2)


class NormalStream:
    """A position in the sequence of normals that a legacy generator returns.

    Attributes:
        parts: arrays that the compiled loops change in place, named as in NumPy's state: `key`, (624,) words;
            `pos`, (1,) number of words used; `gauss`, (4,) whether there is a cached normal, the normal, and
            the first coordinate and the squared radius of its point (radius 0 if the point is unknown).
    """

    def __init__(self, state: Any) -> None:
        """Start at a generator's position.

        Args:
            state: from `RandomState.get_state()`.

        Raises:
            ValueError: it is not the state of a Mersenne Twister.
        """
        if state[0] != "MT19937":
            raise ValueError("The noise needs NumPy's legacy generator, a RandomState with MT19937.")
        self.parts = (
            np.array(state[1], dtype=np.uint32),
            np.array([int(state[2])], dtype=np.int64),
            np.array([float(state[3]), float(state[4]), 0.0, 0.0]),
        )

    @classmethod
    def seeded(cls, seed: int) -> NormalStream:
        """Start at the position to which `numpy.random.seed(seed)` sets the global generator."""
        return cls(np.random.RandomState(seed).get_state(legacy=True))

    def copy(self) -> NormalStream:
        """Return another stream at the same position."""
        other = NormalStream(self.state())
        other.parts[2][:] = self.parts[2]
        return other

    def state(self) -> tuple[Any, ...]:
        """Return the state for `RandomState.set_state`."""
        key, pos, gauss = self.parts
        return ("MT19937", key.copy(), int(pos[0]), int(gauss[0]), float(gauss[1]))

    def advanced(self, count: int) -> NormalStream:
        """Return another stream, `count` normals further on."""
        other = self.copy()
        other.skip(count)
        return other

    def skip(self, count: int) -> None:
        """Advance by `count` normals without computing them."""
        skip_normals(*self.parts, count)

    def draw(self, count: int) -> NDArray[np.float64]:
        """Return the next `count` normals."""
        out = np.empty(count + PADDING)
        self.fill(out, count=count, gain=1.0)
        return out[:count]

    def fill(self, out: NDArray[np.float64], *, count: int, gain: float) -> None:
        """Write the next `count` normals, times `gain`, to an array.

        Args:
            out: (count + PADDING or more,) filled; elements after the normals may be overwritten.
            count: number of normals.
            gain: factor.
        """
        fill_normals(*self.parts, out, gain, count)


class NoiseBuffer:
    """A window of a stream's normals, for several readers at nearby positions.

    The window moves forward only. Normals within it are computed once; those that it has passed are gone.
    """

    def __init__(self, stream: NormalStream, *, gain: float) -> None:
        """Start at a stream's position.

        Args:
            stream: advances with the window's end.
            gain: factor for all normals.
        """
        self._stream, self._gain = stream, gain
        self._values = np.empty(PADDING)
        self._first = self._last = 0

    def read(self, first: int, last: int) -> NDArray[np.float64]:
        """Return normals number `first` to `last` - 1, counted from the stream's initial position.

        The window moves only if they are not within it.

        Args:
            first: not before the window.
            last: not before `first`.

        Returns:
            (last - first,) normals times the gain; valid until the window moves.
        """
        if last > self._last:
            self._move(first, last)
        return self._values[first - self._first : last - self._first]

    def _move(self, first: int, last: int) -> None:
        kept = self._values[first - self._first : self._last - self._first]
        if len(self._values) < last - first + PADDING:
            self._values = np.empty(last - first + PADDING)
        self._values[: len(kept)] = kept
        self._stream.skip(first + len(kept) - self._last)
        self._stream.fill(self._values[len(kept) :], count=last - first - len(kept), gain=self._gain)
        self._first, self._last = first, last


class _CheckpointedStream(NormalStream):
    """A stream that advances by checkpoints, as long as it has not moved itself."""

    def __init__(self, state: tuple[Any, ...], *, checkpoints: Checkpoints, position: int) -> None:
        super().__init__(state)
        self._checkpoints = checkpoints
        self._position = position

    def advanced(self, count: int) -> NormalStream:
        return self._checkpoints.at(self._position + count)


class Checkpoints:
    """The normals of one seed, with states kept at intervals, so that any position is reached quickly."""

    def __init__(self, seed: int) -> None:
        """Start at a seed's first normal."""
        self._streams = [NormalStream.seeded(seed)]

    def at(self, position: int) -> NormalStream:
        """Return a stream at a position, a number of normals; its `advanced` uses the checkpoints, too."""
        checkpoint, rest = divmod(position, CHECKPOINT_INTERVAL)
        while len(self._streams) <= checkpoint:
            self._streams.append(self._streams[-1].advanced(CHECKPOINT_INTERVAL))
        stream = _CheckpointedStream(self._streams[checkpoint].state(), checkpoints=self, position=position)
        stream.skip(rest)
        return stream


@exact
def skip_normals(
    key: NDArray[np.uint32], pos: NDArray[np.int64], gauss: NDArray[np.float64], count: int
) -> None:
    """Advance by `count` normals.

    Args:
        key: (624,) of a stream's parts, updated.
        pos: (1,) of a stream's parts, updated.
        gauss: (4,) of a stream's parts, updated.
        count: number of normals.
    """
    if count > 0 and gauss[0] != 0.0:
        gauss[:] = 0.0
        count -= 1
    _draw_pairs(key, pos, count // 2, 0.0, np.empty(0))
    if count % 2 == 1:
        _split_pair(key, pos, gauss, 0.0)


@exact
def fill_normals(
    key: NDArray[np.uint32],
    pos: NDArray[np.int64],
    gauss: NDArray[np.float64],
    out: NDArray[np.float64],
    gain: float,
    count: int,
) -> None:
    """Write the next `count` normals, times `gain`, to an array.

    Args:
        key: (624,) of a stream's parts, updated.
        pos: (1,) of a stream's parts, updated.
        gauss: (4,) of a stream's parts, updated.
        out: (count + PADDING or more,) filled.
        gain: factor.
        count: number of normals.
    """
    start = 0
    if count > 0 and gauss[0] != 0.0:
        out[0] = gain * gauss[1] if gauss[3] == 0.0 else gauss[2] * _polar_factor(gauss[3], gain)
        gauss[:] = 0.0
        start = 1
    _draw_pairs(key, pos, (count - start) // 2, gain, out[start:])
    if (count - start) % 2 == 1:
        out[count - 1] = _split_pair(key, pos, gauss, gain)


@exact
def _split_pair(
    key: NDArray[np.uint32], pos: NDArray[np.int64], gauss: NDArray[np.float64], gain: float
) -> float:
    """Draw one pair, cache one of its normals and return the other, times `gain`."""
    tempered = np.empty(BUFFER_WORDS, dtype=np.uint32)
    first, second, square = np.empty(MAX_POINTS), np.empty(MAX_POINTS), np.empty(MAX_POINTS)
    accepted = np.empty(MAX_POINTS, np.int64)
    temper(key, tempered)
    at = MAX_LEFTOVER + pos[0]
    while True:
        if MAX_LEFTOVER + STATE_WORDS - at < 4:
            at = _next_block(key, tempered, at)
        found = draw_points(tempered, at, 1, first, second, square, accepted)
        at += 4
        if found == 1:
            break
    pos[0] = at - MAX_LEFTOVER
    gauss[0] = 1.0
    gauss[1] = first[0] * math.sqrt(-2.0 * math.log(square[0]) / square[0])
    gauss[2] = first[0]
    gauss[3] = square[0]
    return float(second[0] * _polar_factor(square[0], gain))


@exact
def _polar_factor(square: float, gain: float) -> float:
    """Return the factor of one point, with the bits of `_polar_factors`."""
    squares = np.full(4, square)
    _polar_factors(squares, np.empty(4), np.empty(4), 4, gain)
    return float(squares[0])


@exact
def _next_block(key: NDArray[np.uint32], tempered: NDArray[np.uint32], at: int) -> int:
    """Renew the words, move those from tempered[at] on to the front, and return their new index."""
    left = MAX_LEFTOVER + STATE_WORDS - at
    for k in range(MAX_LEFTOVER - left, MAX_LEFTOVER):
        tempered[k] = tempered[k + STATE_WORDS]
    renew(key)
    temper(key, tempered)
    return MAX_LEFTOVER - left


@exact
def _draw_pairs(
    key: NDArray[np.uint32],
    pos: NDArray[np.int64],
    pairs: int,
    gain: float,
    out: NDArray[np.float64],
) -> None:
    """Draw pairs of normals.

    Args:
        key: (624,) of a stream's parts, updated.
        pos: (1,) of a stream's parts, updated.
        pairs: number of pairs.
        gain: factor for the normals.
        out: (2 * pairs + PADDING,) filled; (0,) if the normals are to be skipped.
    """
    if pairs == 0:
        return
    tempered, accepted = np.empty(BUFFER_WORDS, dtype=np.uint32), np.empty(MAX_POINTS, dtype=np.int64)
    first, second, square = np.empty(MAX_POINTS), np.empty(MAX_POINTS), np.empty(MAX_POINTS)
    scratch = np.empty(2 * MAX_POINTS)
    temper(key, tempered)
    at = MAX_LEFTOVER + pos[0]
    done = 0
    while True:
        count = (MAX_LEFTOVER + STATE_WORDS - at) // 4
        more = draw_points(tempered, at, count, first, second, square, accepted)
        last = done + more >= pairs
        if last:
            # Find the point that completes the last pair, and reject those after it in its group of four.
            count = 0
            more = 0
            while done + more < pairs:
                more += accepted[point_slot(count)]
                count += 1
            for k in range(count, count + -count % 4):
                accepted[point_slot(k)] = 0
        if len(out) > 0:
            _polar_factors(square, scratch, scratch[MAX_POINTS:], count + -count % 4, gain)
            write_normals(first, second, square, accepted, count, scratch, out, 2 * done)
        done += more
        at += 4 * count
        if last:
            break
        at = _next_block(key, tempered, at)
    pos[0] = at - MAX_LEFTOVER


@fused
def _polar_factors(
    square: NDArray[np.float64],
    exponent: NDArray[np.float64],
    inverse: NDArray[np.float64],
    count: int,
    gain: float,
) -> None:
    """Convert squared radii, in place, to the factors that turn points into normals, times `gain`.

    Args:
        square: (count,) squared radii, overwritten.
        exponent: (count,) overwritten.
        inverse: (count,) overwritten.
        count: number of points.
        gain: factor for the normals.
    """
    for k in range(count):
        exponent[k], square[k], inverse[k] = log2_and_inverse_start(square[k])
    for k in range(count):
        square[k] = log2_finish(exponent[k], square[k]) * inverse[k]
    for k in range(count):
        square[k] = gain * math.sqrt(square[k] * (-2.0 * _LN2))
