"""One channel, from its compressed outputs to the features that HAAQI compares.

Source: Kates (2013) and Kates and Arehart (2016): inner hair cells, threshold noise, compensation of
the filters' group delay, smoothed envelope and tiles of fine structure; each has a module of its own.
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.cochlea import transduction
from harness.haaqi.cochlea.compression import Outputs
from harness.haaqi.features import covariance, smoothing
from harness.haaqi.features.covariance import Tiling
from harness.haaqi.kernels.compilation import fused, inlined

AT_ONCE = 1536  # samples, if both divisions of time allow it: few enough for the first caches
PART = 2**15  # samples whose noise is asked for at once: it fits into the second cache

Normals: TypeAlias = Callable[[int, int], NDArray[np.float64]]
"""Gives normals number first to last - 1 of a channel, times the level of the noise; asked for in order."""


def stretch_of(tiling: Tiling) -> int:
    """Return how many samples are gathered at once: whole pieces of both divisions of time."""
    joint = math.lcm(tiling.half, smoothing.HALF)
    return joint * max(AT_ONCE // joint, 1)


class Features:
    """One channel's features, gathered stretch by stretch.

    Attributes:
        end: how many samples have to be gathered; at most `length` plus a stretch.
        covariances: (segments,) of the fine structure; 0 where `levels` is not above threshold.
        levels: (segments,) of the reference's fine structure, dB.
    """

    def __init__(
        self,
        *,
        length: int,
        wait: int,
        delays: tuple[int, int],
        bases: tuple[float, float],
        noises: tuple[Normals, Normals],
        tiling: Tiling,
        threshold: float,
    ) -> None:
        """Start at the first sample.

        Args:
            length: how many samples the signals have.
            wait: how many samples the channel waits for the slowest one.
            delays: how many samples the processed envelope and motion come late.
            bases: dB above threshold of an envelope of 1, for the reference and the processed signal.
            noises: the threshold noise of this channel, for both signals.
            tiling: how the fine structure is divided in time.
            threshold: dB above which a tile's covariance is wanted.
        """
        self._length, self._wait, self._delays, self._bases = length, wait, delays, bases
        self._noises, self._threshold = noises, threshold
        self._tiling = tiling
        pieces, tiles = smoothing.segments(length), tiling.segments(length)
        self.end = max(pieces * smoothing.HALF, tiles * tiling.half)
        self.covariances, self.levels = np.zeros(tiles), np.zeros(tiles)
        self._rising, self._falling = np.empty((2, pieces)), np.empty((2, pieces))
        self._state = np.zeros(4)
        self._moved = [np.zeros(tiling.half + stretch_of(tiling)) for _ in range(2)]

    def gather(self, outputs: Outputs, *, offset: int, start: int, stop: int) -> None:
        """Go on from sample number `start`, a multiple of the stretch, to `stop` or the end.

        Args:
            outputs: of the `Compressor`.
            offset: the number of the first sample that they hold.
            start: where the last call stopped.
            stop: where this one does.
        """
        stretch = stretch_of(self._tiling)
        stop = start + -(-(min(stop, self.end) - start) // stretch) * stretch
        step = stretch * max(PART // stretch, 1)
        for begin in range(start, stop, step):
            self._gather(outputs, offset=offset, start=begin, stop=min(begin + step, stop))

    def _gather(self, outputs: Outputs, *, offset: int, start: int, stop: int) -> None:
        tiling = self._tiling
        most = self._length - self._wait
        first, last = (min(max(place - self._wait, 0), most) for place in (start, stop))
        ours, theirs = (noise(first, last) for noise in self._noises)
        _gather(
            outputs[0],
            outputs[1],
            outputs[2],
            outputs[3],
            self._length,
            self._wait,
            self._delays,
            self._bases[0],
            self._bases[1],
            transduction.adaptation(),
            start,
            stop,
            offset,
            self._state,
            self._moved[0],
            self._moved[1],
            ours,
            theirs,
            first,
            smoothing.window(),
            self._rising,
            self._falling,
            tiling.window,
            tiling.scale,
            tiling.power,
            tiling.half_scale,
            tiling.half_power,
            self._threshold,
            self.covariances,
            self.levels,
        )

    def smooth(self) -> NDArray[np.float64]:
        """Return (2, segments): both smoothed envelopes, in dB above threshold."""
        return smoothing.average(self._rising, self._falling)


@inlined
def _add(moved: NDArray[np.float64], noise: NDArray[np.float64], start: int, count: int) -> None:
    here = noise[start:]
    for k in range(count):
        moved[k] += here[k]


@fused
def _gather(
    envelope_r: NDArray[np.float64],
    motion_r: NDArray[np.float64],
    envelope_p: NDArray[np.float64],
    motion_p: NDArray[np.float64],
    length: int,
    wait: int,
    delays: tuple[int, int],
    base_r: float,
    base_p: float,
    synapse: NDArray[np.float64],
    begin: int,
    finish: int,
    offset: int,
    state: NDArray[np.float64],
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    noise_r: NDArray[np.float64],
    noise_p: NDArray[np.float64],
    noise_first: int,
    weights: NDArray[np.float64],
    rising: NDArray[np.float64],
    falling: NDArray[np.float64],
    window: NDArray[np.float64],
    scale: NDArray[np.float64],
    power: float,
    half_scale: NDArray[np.float64],
    half_power: float,
    threshold: float,
    covariances: NDArray[np.float64],
    levels: NDArray[np.float64],
) -> None:
    """Transduce one channel, add the noise, smooth the envelope, compare the fine structure.

    All of it goes on in stretches that are whole pieces of both divisions of time, with the last
    half segment of fine structure kept for the next stretch.
    """
    half = len(window) // 2
    stretch = len(ours) - half
    pieces = rising.shape[1]
    tiles = len(levels)
    work_r, work_p, spare = np.empty(stretch), np.empty(stretch), np.empty(stretch)
    level_r, level_p = np.zeros(stretch), np.zeros(stretch)
    room, short = np.empty(4 * half + 112), np.empty(4 * half + 112, dtype=np.float32)
    for start in range(begin, finish, stretch):
        # The channel waits for the slowest one: what it starts with is silence.
        silent = min(max(wait - start, 0), stretch)
        level_r[:silent] = 0.0
        level_p[:silent] = 0.0
        ours[half : half + silent] = 0.0
        theirs[half : half + silent] = 0.0
        first = start + silent - wait
        count = max(min(stretch - silent, length - wait - first), 0)
        heard_r, heard_p = level_r[silent:], level_p[silent:]
        moved_r, moved_p = ours[half + silent :], theirs[half + silent :]
        inside_r = first - offset
        inside_p = inside_r + delays[0]
        sound_r = transduction.stretch(envelope_r, length - offset, inside_r, count, work_r)
        sound_p = transduction.stretch(envelope_p, length - offset, inside_p, count, work_p)
        transduction.sensation(sound_r, base_r, count, heard_r, work_r, spare)
        transduction.sensation(sound_p, base_p, count, heard_p, work_p, spare)
        transduction.adapt(heard_r, heard_p, count, synapse, state)
        sound_r = transduction.stretch(motion_r, length - offset, inside_r, count, spare)
        transduction.scale(sound_r, heard_r, work_r, count, moved_r)
        sound_p = transduction.stretch(motion_p, length - offset, inside_r + delays[1], count, spare)
        transduction.scale(sound_p, heard_p, work_p, count, moved_p)
        _add(moved_r, noise_r, first - noise_first, count)
        _add(moved_p, noise_p, first - noise_first, count)

        piece = start // smoothing.HALF
        some = max(min(stretch // smoothing.HALF, pieces - piece), 0)
        smoothing.weigh(level_r, some, weights, piece, rising[0], falling[0])
        smoothing.weigh(level_p, some, weights, piece, rising[1], falling[1])

        for number in range(start // half, min((start + stretch) // half, tiles)):
            place = number * half - start + half
            if number == 0:
                covariances[0], levels[0] = covariance.tile(
                    ours, theirs, place, window, half, half, half_scale, half_power, threshold, room, short
                )
            if number > 1:
                covariances[number - 1], levels[number - 1] = covariance.tile(
                    ours, theirs, place - half, window, 0, 2 * half, scale, power, threshold, room, short
                )
            if number == tiles - 1:
                covariances[number], levels[number] = covariance.tile(
                    ours, theirs, place, window, 0, half, half_scale, half_power, threshold, room, short
                )
        ours[:half] = ours[stretch:]
        theirs[:half] = theirs[stretch:]
