"""Dynamic-range compression by the outer hair cells, in one channel.

Source: Kates (2013): the gain is linear below the knee, compressive up to 100 dB SPL and linear
above; it follows the control path's envelope through a one-pole low-pass at 800 Hz (0.2 ms).
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter

from harness.haaqi.cochlea.gammatone import BLOCK, filter_block
from harness.haaqi.cochlea.hearing import LINEAR_FROM, Cochlea
from harness.haaqi.kernels.compilation import fused, inlined
from harness.haaqi.kernels.elementary import exp2_finish, exp2_start, log2_finish, log2_start
from harness.haaqi.kernels.lanes import WIDTH, fma, highest, load, spread, store, total
from harness.haaqi.kernels.resampling import SAMPLE_RATE

GAIN_LOW_PASS = 800
SMALLEST = 1e-30
DECIBELS_PER_DOUBLING = 20 * math.log10(2)


@dataclass(frozen=True, kw_only=True)
class Channel:
    """All that one channel's filtering and compression needs, packed for the loops.

    Attributes:
        taps: (20,) of control filter and signal filter, see `gammatone.filter_block`.
        turn: (8,) phase advance of the carrier, see there.
        curve: (5,): offset and slope from the control filter's log2 power to log2 gain, the lowest
            and the highest log2 power that count, the signal filter's gain.
    """

    taps: NDArray[np.float64]
    turn: NDArray[np.float64]
    curve: NDArray[np.float64]


def channel(
    *,
    control_taps: NDArray[np.float64],
    control_gain: float,
    taps: NDArray[np.float64],
    gain: float,
    rotation: NDArray[np.float64],
    cochlea: Cochlea,
    index: int,
    level: float,
) -> Channel:
    """Pack one channel of a cochlea.

    Args:
        control_taps: (5,) of the control filter.
        control_gain: its gain.
        taps: (5,) of the signal filter.
        gain: its gain.
        rotation: (2,) cosine and sine of the carrier's phase advance.
        cochlea: the listener's.
        index: which of its channels.
        level: dB SPL of an RMS of 1.
    """
    cosine, sine = rotation
    knee = float(cochlea.knee[index])
    slope = float(cochlea.slope[index])
    outer = float(cochlea.outer_loss[index])
    # The gain in dB is -outer - (envelope - knee) * slope, the envelope in dB SPL being
    # base + 10 log10(power); the loop takes both as powers of two.
    base = level + 20 * math.log10(control_gain)
    lowest = max(knee, min(level + 20 * math.log10(SMALLEST), LINEAR_FROM))
    return Channel(
        taps=np.repeat(np.stack((control_taps, taps), axis=-1).ravel(), 2),
        turn=np.array([cosine] * 4 + [sine, -sine] * 2),
        curve=np.array(
            [
                (-outer - (base - knee) * slope) / DECIBELS_PER_DOUBLING,
                -slope / 2,
                (lowest - base) * 2 / DECIBELS_PER_DOUBLING,
                (LINEAR_FROM - base) * 2 / DECIBELS_PER_DOUBLING,
                gain,
            ]
        ),
    )


Outputs: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


class Compressor:
    """One channel of both signals, filtered and compressed as far as it is asked for.

    Attributes:
        outputs: four arrays: the reference's compressed envelope and motion of the basilar membrane,
            then the processed signal's; of the samples from `offset` on.
        offset: the number of the first sample that they hold.
    """

    def __init__(
        self,
        reference: NDArray[np.float64],
        processed: NDArray[np.float64],
        *,
        length: int,
        channels: tuple[Channel, Channel],
        outputs: Outputs,
    ) -> None:
        """Start at the first sample.

        Args:
            reference: (m,) output of the middle ear at 24 kHz, m a multiple of BLOCK.
            processed: (m,) the same of the processed signal.
            length: how many of the samples count.
            channels: the channel for the reference and for the processed signal.
            outputs: four arrays, to be filled, for as many samples as are held at a time.
        """
        self.outputs = outputs
        self._signals = (reference, processed)
        self._length = length
        self._channels = channels
        self._low_passes = _low_pass(float(channels[0].curve[4])), _low_pass(float(channels[1].curve[4]))
        self.restart()

    def restart(self) -> None:
        """Go back to the first sample."""
        self.offset = 0
        self._position = 0
        self._filters = np.zeros(36)
        self._filters[0] = self._filters[2] = 1.0
        self._smoothing = np.zeros(4)
        self._powers = np.zeros(2)

    def advance(self, stop: int) -> None:
        """Go on, block by block, until sample number `stop` or the last one."""
        blocks = -(-(min(stop, self._length) - self._position) // BLOCK)
        if blocks <= 0:
            return
        ours, theirs = self._channels
        _compress(
            *self._signals,
            self._position,
            self._position + blocks * BLOCK,
            self.offset,
            self._length,
            *self._low_passes,
            ours.taps,
            ours.turn,
            ours.curve,
            theirs.taps,
            theirs.curve,
            self._filters,
            self._smoothing,
            self._powers,
            *self.outputs,
        )
        self._position += blocks * BLOCK

    def forget(self, before: int) -> None:
        """Make room: samples with numbers below `before` are not wanted any more."""
        if before <= self.offset:
            return
        for output in self.outputs:
            held = output[before - self.offset : self._position - self.offset]
            output[: len(held)] = held
        self.offset = before

    def averages(self) -> tuple[float, float]:
        """Return the RMS of the reference's and of the processed signal's envelope before compression."""
        ours, theirs = self._powers / self._length
        factors = [float(channel.curve[4]) for channel in self._channels]
        return factors[0] * math.sqrt(ours), factors[1] * math.sqrt(theirs)


def _low_pass(factor: float) -> NDArray[np.float64]:
    """Return the gain filter, times a factor, for four samples at once, (24,).

    The four outputs are a sum of six products: of the last output (p[0] to p[3]), of the last input (p[4]
    to p[7]) and of the four inputs (four numbers each).
    """
    numerator, pole = _gain_filter(GAIN_LOW_PASS)
    weight = factor * numerator
    powers = pole ** np.arange(WIDTH + 1)
    response = weight * np.concatenate(([1.0], (1 + pole) * powers[: WIDTH - 1]))
    rows = [powers[1:], weight * powers[:WIDTH]]
    rows += [np.concatenate((np.zeros(k), response[: WIDTH - k])) for k in range(WIDTH)]
    return np.concatenate(rows)


@cache
def _gain_filter(corner: float) -> tuple[float, float]:
    """Return the weight of this and the last input, and the pole."""
    numerator, denominator = butter(1, corner / (0.5 * SAMPLE_RATE))
    return float(numerator[0]), -float(denominator[1])


@fused
def _gains(power: NDArray[np.float64], curve: NDArray[np.float64], room: NDArray[np.float64]) -> None:
    """Turn the control filter's power, in place, into the linear gain that it asks for."""
    offset, slope, lowest, highest_power = curve[0], curve[1], curve[2], curve[3]
    for k in range(BLOCK):
        room[k], power[k] = log2_start(power[k])
    for k in range(BLOCK):
        p = max(min(log2_finish(room[k], power[k]), highest_power), lowest)
        room[k], power[k] = exp2_start(offset + slope * p)
    for k in range(BLOCK):
        power[k] = exp2_finish(room[k], power[k])


@fused
def _smooth(
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    low_pass_r: NDArray[np.float64],
    low_pass_p: NDArray[np.float64],
    state: NDArray[np.float64],
) -> None:
    """Pass the gains of both signals through their low-passes, in place."""
    x, y, u, v = state[0], state[1], state[2], state[3]
    for k in range(0, BLOCK, WIDTH):
        x, y = _smooth_four(ours, k, x, y, low_pass_r)
        u, v = _smooth_four(theirs, k, u, v, low_pass_p)
    state[0], state[1], state[2], state[3] = x, y, u, v


@inlined
def _smooth_four(
    gains: NDArray[np.float64], k: int, last_input: float, last_output: float, low_pass: NDArray[np.float64]
) -> tuple[float, float]:
    """Take four samples at once: one by one, each would wait for the output before."""
    fourth = gains[k + 3]
    early = fma(spread(gains[k]), load(low_pass, 8), spread(last_input) * load(low_pass, 4))
    late = fma(spread(gains[k + 1]), load(low_pass, 12), spread(gains[k + 2]) * load(low_pass, 16))
    from_inputs = fma(spread(fourth), load(low_pass, 20), early + late)
    smoothed = fma(spread(last_output), load(low_pass, 0), from_inputs)
    store(gains, k, smoothed)
    return fourth, highest(smoothed)


@fused
def _apply(
    gains: NDArray[np.float64],
    power: NDArray[np.float64],
    motion: NDArray[np.float64],
    envelopes: NDArray[np.float64],
    motions: NDArray[np.float64],
) -> None:
    """Give the signal filter's outputs their gain."""
    for k in range(BLOCK):
        envelopes[k] = gains[k] * math.sqrt(power[k])
    for k in range(BLOCK):
        motions[k] = gains[k] * motion[k]


@fused
def _compress(
    reference: NDArray[np.float64],
    processed: NDArray[np.float64],
    first: int,
    last: int,
    offset: int,
    length: int,
    low_pass_r: NDArray[np.float64],
    low_pass_p: NDArray[np.float64],
    taps_r: NDArray[np.float64],
    turn: NDArray[np.float64],
    curve_r: NDArray[np.float64],
    taps_p: NDArray[np.float64],
    curve_p: NDArray[np.float64],
    filters: NDArray[np.float64],
    smoothing: NDArray[np.float64],
    powers: NDArray[np.float64],
    envelope_r: NDArray[np.float64],
    motion_r: NDArray[np.float64],
    envelope_p: NDArray[np.float64],
    motion_p: NDArray[np.float64],
) -> None:
    control_r, power_r, move_r = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    control_p, power_p, move_p = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    room = np.empty(BLOCK)
    for start in range(first, last, BLOCK):
        filter_block(
            reference[start:],
            processed[start:],
            taps_r,
            taps_p,
            turn,
            filters,
            (control_r, power_r, move_r),
            (control_p, power_p, move_p),
        )
        powers[0] += _sum(power_r, min(BLOCK, length - start))
        powers[1] += _sum(power_p, min(BLOCK, length - start))
        _gains(control_r, curve_r, room)
        _gains(control_p, curve_p, room)
        _smooth(control_r, control_p, low_pass_r, low_pass_p, smoothing)
        place = start - offset
        _apply(control_r, power_r, move_r, envelope_r[place:], motion_r[place:])
        _apply(control_p, power_p, move_p, envelope_p[place:], motion_p[place:])


@fused
def _sum(values: NDArray[np.float64], count: int) -> float:
    sums = spread(0.0)
    whole = count - count % WIDTH
    for k in range(0, whole, WIDTH):
        sums = sums + load(values, k)
    rest = 0.0
    for k in range(whole, count):
        rest += values[k]
    return float(rest + total(sums))
