"""Dynamic-range compression by the outer hair cells, in one auditory channel.

Source: Kates (2013): the gain is linear below the knee, compressive up to 100 dB SPL and linear above; it
follows the control path's envelope through a one-pole low-pass at 800 Hz (0.2 ms).
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter

from harness.haaqi.cochlea.basilar_membrane import BasilarMembrane, ChannelOutputs, SignalPair
from harness.haaqi.cochlea.gammatone import BLOCK, filter_block
from harness.haaqi.cochlea.hearing_loss import LINEAR_FROM, Cochlea
from harness.haaqi.kernels.compilation import fused, inlined, plain
from harness.haaqi.kernels.elementary import exp2_finish, exp2_start, log2_finish, log2_start
from harness.haaqi.kernels.resampling import SAMPLE_RATE
from harness.haaqi.kernels.simd import WIDTH, broadcast, fma, lane_sum, last_lane, load, store

GAIN_LOW_PASS = 800
SMALLEST = 1e-30
DECIBELS_PER_DOUBLING = 20 * math.log10(2)


class ChannelParameters(NamedTuple):
    """The filters and the compression of one channel for one signal, packed for the compiled loops.

    Attributes:
        taps: (20,) coefficients of control filter and signal filter, see `gammatone.filter_block`.
        phase_step: (8,) phase advance of the carrier, see there.
        curve: (4,) offset and slope of the line from the control filter's log2 power to the log2 gain; the
            lowest and the highest log2 power, to which the power is clipped.
        gain: gain of the signal filter.
        low_pass: (24,) coefficients of the gain's low-pass times `gain`, see `_low_pass`.
    """

    taps: NDArray[np.float64]
    phase_step: NDArray[np.float64]
    curve: NDArray[np.float64]
    gain: float
    low_pass: NDArray[np.float64]


class ChannelPair(NamedTuple):
    """The parameters of one channel for both signals."""

    reference: ChannelParameters
    processed: ChannelParameters


class _State(NamedTuple):
    """What the compiled loop carries from block to block.

    Attributes:
        filters: (36,) carrier and filter states, see `gammatone.filter_block`.
        gains: (4,) last input and output of the reference's low-pass, then of the processed signal's.
        powers: (2,) sums of the squared envelopes before compression, reference and processed signal.
    """

    filters: NDArray[np.float64]
    gains: NDArray[np.float64]
    powers: NDArray[np.float64]


def channel_parameters(
    *,
    control_taps: NDArray[np.float64],
    control_gain: float,
    taps: NDArray[np.float64],
    gain: float,
    phase_step: NDArray[np.float64],
    cochlea: Cochlea,
    channel: int,
    level: float,
) -> ChannelParameters:
    """Pack the parameters of one channel.

    Args:
        control_taps: (5,) coefficients of the control filter.
        control_gain: gain of the control filter.
        taps: (5,) coefficients of the signal filter.
        gain: gain of the signal filter.
        phase_step: (2,) cosine and sine of the carrier's phase advance per sample.
        cochlea: the listener's cochlea.
        channel: channel number, 0 to 31.
        level: dB SPL of an RMS of 1.
    """
    cosine, sine = phase_step
    knee = float(cochlea.knee[channel])
    slope = float(cochlea.slope[channel])
    outer = float(cochlea.outer_loss[channel])
    # The gain in dB is -outer - (envelope - knee) * slope, with the envelope in dB SPL being
    # unit_level + 10 log10(power). The loop computes both as powers of two.
    unit_level = level + 20 * math.log10(control_gain)
    lowest = max(knee, min(level + 20 * math.log10(SMALLEST), LINEAR_FROM))
    return ChannelParameters(
        taps=np.repeat(np.stack((control_taps, taps), axis=-1).ravel(), 2),
        phase_step=np.array([cosine] * 4 + [sine, -sine] * 2),
        curve=np.array(
            [
                (-outer - (unit_level - knee) * slope) / DECIBELS_PER_DOUBLING,
                -slope / 2,
                (lowest - unit_level) * 2 / DECIBELS_PER_DOUBLING,
                (LINEAR_FROM - unit_level) * 2 / DECIBELS_PER_DOUBLING,
            ]
        ),
        gain=gain,
        low_pass=_low_pass(gain),
    )


class Compressor:
    """One channel of both signals, filtered and compressed up to the sample that is asked for.

    Attributes:
        outputs: the compressed outputs, of the samples from `offset` on.
        offset: sample number of the first sample in `outputs`.
    """

    def __init__(
        self, signals: SignalPair, *, length: int, channels: ChannelPair, outputs: ChannelOutputs
    ) -> None:
        """Start at the first sample.

        Args:
            signals: both signals.
            length: samples that count.
            channels: the parameters for both signals.
            outputs: buffers for as many samples as are kept at a time.
        """
        self.outputs = outputs
        self._signals, self._length, self._channels = signals, length, channels
        self.restart()

    def restart(self) -> None:
        """Go back to the first sample."""
        self.offset = 0
        self._position = 0
        self._state = _State(filters=np.zeros(36), gains=np.zeros(4), powers=np.zeros(2))
        self._state.filters[0] = self._state.filters[2] = 1.0

    def advance(self, stop: int) -> None:
        """Process block by block up to sample number `stop`, or up to the end of the signals."""
        blocks = -(-(min(stop, self._length) - self._position) // BLOCK)
        if blocks <= 0:
            return
        last = self._position + blocks * BLOCK
        _compress(
            plain(self._signals),
            self._position,
            last,
            self.offset,
            self._length,
            plain(self._channels),
            plain(self._state),
            plain(self.outputs),
        )
        self._position = last

    def discard(self, before: int) -> None:
        """Drop the outputs of samples before sample number `before` to make space in the buffers."""
        if before <= self.offset:
            return
        for output in (*self.outputs.reference, *self.outputs.processed):
            kept = output[before - self.offset : self._position - self.offset]
            output[: len(kept)] = kept
        self.offset = before

    def envelope_rms(self) -> tuple[float, float]:
        """Return the RMS of the reference's and the processed signal's envelope before compression."""
        reference, processed = self._state.powers / self._length
        return (
            self._channels.reference.gain * math.sqrt(reference),
            self._channels.processed.gain * math.sqrt(processed),
        )


def _low_pass(factor: float) -> NDArray[np.float64]:
    """Return the coefficients of the gain's low-pass times a factor, for four samples at once, (24,).

    The four outputs are a sum of six products: with the last output (coefficients 0 to 3), with the last
    input (4 to 7) and with the four inputs (four coefficients each).
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
    """Return the weight of the current and the last input, and the pole."""
    numerator, denominator = butter(1, corner / (0.5 * SAMPLE_RATE))
    return float(numerator[0]), -float(denominator[1])


@fused
def _gains(power: NDArray[np.float64], curve: NDArray[np.float64], scratch: NDArray[np.float64]) -> None:
    """Convert the control filter's power to the linear compression gain, in place.

    Args:
        power: (BLOCK,) squared envelope of the control filter; overwritten with the gain.
        curve: (4,) of `ChannelParameters`.
        scratch: (BLOCK,) overwritten.
    """
    offset, slope, lowest, highest = curve[0], curve[1], curve[2], curve[3]
    for k in range(BLOCK):
        scratch[k], power[k] = log2_start(power[k])
    for k in range(BLOCK):
        p = max(min(log2_finish(scratch[k], power[k]), highest), lowest)
        scratch[k], power[k] = exp2_start(offset + slope * p)
    for k in range(BLOCK):
        power[k] = exp2_finish(scratch[k], power[k])


@fused
def _smooth(
    reference: NDArray[np.float64],
    processed: NDArray[np.float64],
    reference_low_pass: NDArray[np.float64],
    processed_low_pass: NDArray[np.float64],
    state: NDArray[np.float64],
) -> None:
    """Low-pass the gains of both signals, in place.

    Args:
        reference: (BLOCK,) gains.
        processed: (BLOCK,) gains.
        reference_low_pass: (24,) coefficients.
        processed_low_pass: (24,) coefficients.
        state: (4,) last inputs and outputs, updated.
    """
    x, y, u, v = state[0], state[1], state[2], state[3]
    for k in range(0, BLOCK, WIDTH):
        x, y = _smooth_four(reference, k, x, y, reference_low_pass)
        u, v = _smooth_four(processed, k, u, v, processed_low_pass)
    state[0], state[1], state[2], state[3] = x, y, u, v


@inlined
def _smooth_four(
    gains: NDArray[np.float64], k: int, last_input: float, last_output: float, low_pass: NDArray[np.float64]
) -> tuple[float, float]:
    """Low-pass samples k to k + 3 at once, and return the last input and output.

    One by one, each sample would wait for the previous output.
    """
    fourth = gains[k + 3]
    early = fma(broadcast(gains[k]), load(low_pass, 8), broadcast(last_input) * load(low_pass, 4))
    late = fma(broadcast(gains[k + 1]), load(low_pass, 12), broadcast(gains[k + 2]) * load(low_pass, 16))
    from_inputs = fma(broadcast(fourth), load(low_pass, 20), early + late)
    smoothed = fma(broadcast(last_output), load(low_pass, 0), from_inputs)
    store(gains, k, smoothed)
    return fourth, last_lane(smoothed)


@fused
def _apply(
    gains: NDArray[np.float64],
    power: NDArray[np.float64],
    motion: NDArray[np.float64],
    output: BasilarMembrane,
    first: int,
) -> None:
    """Apply the gain to a block of the signal filter's outputs.

    Args:
        gains: (BLOCK,) linear.
        power: (BLOCK,) squared envelope.
        motion: (BLOCK,) linear.
        output: filled, from element `first` on.
        first: see above.
    """
    envelopes, motions = output.envelope[first:], output.motion[first:]
    for k in range(BLOCK):
        envelopes[k] = gains[k] * math.sqrt(power[k])
    for k in range(BLOCK):
        motions[k] = gains[k] * motion[k]


@fused
def _compress(
    signals: tuple[Any, ...],
    first: int,
    last: int,
    offset: int,
    length: int,
    channels: tuple[Any, ...],
    state: tuple[Any, ...],
    outputs: tuple[Any, ...],
) -> None:
    """Call `_compress_blocks` with NamedTuples made from tuples, see `plain`."""
    _compress_blocks(
        SignalPair(*signals),
        first,
        last,
        offset,
        length,
        ChannelPair(ChannelParameters(*channels[0]), ChannelParameters(*channels[1])),
        _State(*state),
        ChannelOutputs(BasilarMembrane(*outputs[0]), BasilarMembrane(*outputs[1])),
    )


@fused
def _compress_blocks(
    signals: SignalPair,
    first: int,
    last: int,
    offset: int,
    length: int,
    channels: ChannelPair,
    state: _State,
    outputs: ChannelOutputs,
) -> None:
    """Filter and compress both signals in one channel, block by block.

    Args:
        signals: both signals.
        first: sample number of the first block's start.
        last: sample number of the last block's end.
        offset: sample number of the first element of the outputs.
        length: samples that count for the envelopes' power.
        channels: the parameters for both signals.
        state: updated.
        outputs: filled, from element `first - offset` on.
    """
    reference, processed = channels.reference, channels.processed
    reference_gain, reference_power, reference_motion = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    processed_gain, processed_power, processed_motion = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    scratch = np.empty(BLOCK)
    for start in range(first, last, BLOCK):
        # The control filter's power, which `_gains` turns into the gain.
        filter_block(
            signals.reference[start:],
            signals.processed[start:],
            reference.taps,
            processed.taps,
            reference.phase_step,
            state.filters,
            (reference_gain, reference_power, reference_motion),
            (processed_gain, processed_power, processed_motion),
        )
        state.powers[0] += _sum(reference_power, min(BLOCK, length - start))
        state.powers[1] += _sum(processed_power, min(BLOCK, length - start))
        _gains(reference_gain, reference.curve, scratch)
        _gains(processed_gain, processed.curve, scratch)
        _smooth(reference_gain, processed_gain, reference.low_pass, processed.low_pass, state.gains)
        _apply(reference_gain, reference_power, reference_motion, outputs.reference, start - offset)
        _apply(processed_gain, processed_power, processed_motion, outputs.processed, start - offset)


@fused
def _sum(values: NDArray[np.float64], count: int) -> float:
    """Return the sum of the first `count` values."""
    sums = broadcast(0.0)
    whole = count - count % WIDTH
    for k in range(0, whole, WIDTH):
        sums = sums + load(values, k)
    rest = 0.0
    for k in range(whole, count):
        rest += values[k]
    return float(rest + lane_sum(sums))
