"""The gammatone filter bank: filter design, the control path's levels, level-dependent bandwidths.

A channel's signal is shifted to baseband by a cosine and a sine at its centre frequency, and both parts are
filtered with a fourfold pole and two zeros. Sources: Cooke (1993), "Modelling auditory processing and
organisation"; Slaney (1993), Apple technical report 35; for the bandwidths at high levels Kates (2013).

The direct form of the filters is part of the definition of the official score: with poles this close to 1,
its rounding errors are amplified by up to 1e8. The operations therefore have a fixed order and are rounded
one by one, and so are the sums from which the bandwidths are computed.
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.cochlea.hearing_loss import CHANNELS, centre_frequencies, equivalent_bandwidths
from harness.haaqi.kernels import rounding
from harness.haaqi.kernels.compilation import exact
from harness.haaqi.kernels.resampling import SAMPLE_RATE
from harness.haaqi.kernels.simd import (
    WIDTH,
    broadcast,
    high_halves,
    load,
    low_halves,
    sqrt,
    store,
    swap_neighbours,
    unpack_high,
    unpack_low,
)

ANGLE = 2 * np.pi / SAMPLE_RATE
BANDWIDTH_FACTOR = 1.019
NARROW_BELOW = 50
WIDE_ABOVE = 100

# Filter states this small occur only after a signal has ended. They are set to zero at the end of each block,
# before they become denormal, which would make the processor a hundred times slower.
FLUSH_BELOW = 1e-100
BLOCK = 256


@dataclass(frozen=True, kw_only=True)
class FilterBank:
    """The filters of some channels.

    Attributes:
        taps: (channels, 5) coefficients: the numerator is 1, taps[0], taps[4]; the denominator is 1 and the
            negative of taps[:4].
        gain: (channels,) factor for a gain of 0 dB in the pass band.
    """

    taps: NDArray[np.float64]
    gain: NDArray[np.float64]


def design(bandwidth: NDArray[np.float64]) -> FilterBank:
    """Design a gammatone filter for each channel.

    Args:
        bandwidth: (32,) bandwidths relative to a normal ear's.
    """
    radius = rounding.exp(-(bandwidth * ANGLE * equivalent_bandwidths() * BANDWIDTH_FACTOR))
    taps = _taps(radius)
    first, second, third, fourth, zero = taps.T
    gain = 2.0 * (1 - first - second - third - fourth) / (1 + first + zero)
    return FilterBank(taps=taps, gain=gain)


def _taps(radius: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack(
        (
            4.0 * radius,
            -6.0 * radius * radius,
            4.0 * radius * radius * radius,
            -radius * radius * radius * radius,
            4.0 * radius * radius,
        ),
        axis=-1,
    )


def phase_steps() -> NDArray[np.float64]:
    """Return (32, 2): the cosine and sine of each carrier's phase advance per sample."""
    angles = [float(ANGLE * centre) for centre in centre_frequencies()]
    return np.array([[math.cos(angle), math.sin(angle)] for angle in angles])


def group_delay_compensation(bandwidth: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the number of samples by which each channel is delayed to match the slowest one, (32,).

    The delay is that of the filter at its centre frequency, which is zero in baseband.

    Args:
        bandwidth: (32,) bandwidths relative to a normal ear's.
    """
    radius = rounding.exp(-(ANGLE * BANDWIDTH_FACTOR * bandwidth * equivalent_bandwidths()))
    taps = _taps(radius)
    delays = np.empty(CHANNELS)
    for channel, (first, second, third, fourth, zero) in enumerate(taps):
        numerator = np.array([1, first, zero])
        denominator = np.array([1, -first, -second, -third, -fourth])
        product = np.convolve(numerator, denominator[::-1])
        ramped = product * np.arange(product.size)
        delays[channel] = np.sum(ramped[::-1]) / np.sum(product[::-1]) - denominator.size + 1
    samples = np.round(delays).astype(np.int64)
    return np.asarray(samples.max() - samples)


def adjusted_bandwidth(
    control_rms: NDArray[np.float64],
    *,
    narrowest: NDArray[np.float64],
    widest: NDArray[np.float64],
    level: float,
) -> NDArray[np.float64]:
    """Widen each filter according to the level of its control filter's output.

    Args:
        control_rms: (32,) RMS of the control envelopes.
        narrowest: (32,) bandwidths up to 50 dB SPL.
        widest: (32,) bandwidths from 100 dB SPL on.
        level: dB SPL of an RMS of 1.

    Returns:
        (32,) bandwidths relative to a normal ear's.
    """
    decibels = 20 * rounding.log10(control_rms) + level
    share = (decibels - NARROW_BELOW) / (WIDE_ABOVE - NARROW_BELOW)
    with np.errstate(invalid="ignore"):
        between = narrowest + share * (widest - narrowest)
    return np.asarray(
        np.where(decibels < NARROW_BELOW, narrowest, np.where(decibels > WIDE_ABOVE, widest, between))
    )


def control_rms(signal: NDArray[np.float64], *, filters: FilterBank) -> NDArray[np.float64]:
    """Return the RMS of the envelope in each channel of the control filter bank.

    Args:
        signal: (n,) output of the middle ear at 24 kHz.
        filters: control filters of all channels.

    Returns:
        (32,) RMS values, rounded as NumPy's mean rounds.
    """
    pieces, merges = rounding.summation_plan(len(signal))
    steps = phase_steps()
    sums = np.empty(CHANNELS)
    for first in range(0, CHANNELS, WIDTH):
        four = slice(first, first + WIDTH)
        sums[four] = _summed_power(
            signal,
            np.ascontiguousarray(filters.taps[four].T).ravel(),
            np.ascontiguousarray(steps[four].T).ravel(),
            np.ascontiguousarray(filters.gain[four]),
            pieces,
            merges,
        )
    return np.asarray(np.sqrt(sums / len(signal)))


@exact
def _summed_power(  # noqa: PLR0915 - eight sums, written out to stay in registers
    signal: NDArray[np.float64],
    taps: NDArray[np.float64],
    phase_step: NDArray[np.float64],
    gain: NDArray[np.float64],
    pieces: NDArray[np.int64],
    merges: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the sums of squares of four channels' envelopes, one channel in each lane.

    Args:
        signal: (n,) output of the middle ear.
        taps: (20,) five coefficients of each channel, coefficient by coefficient.
        phase_step: (8,) cosines and sines of the four carriers' phase advance per sample.
        gain: (4,) gains of the filters.
        pieces: sizes of the pieces of `rounding.summation_plan`.
        merges: merges after each piece.
    """
    t1, t2, t3, t4, t5 = load(taps, 0), load(taps, 4), load(taps, 8), load(taps, 12), load(taps, 16)
    step_cos, step_sin = load(phase_step, 0), load(phase_step, 4)
    factor = load(gain, 0)
    cosine, sine = broadcast(1.0), broadcast(0.0)
    zero = broadcast(0.0)
    r1, r2, r3, r4 = zero, zero, zero, zero
    i1, i2, i3, i4 = zero, zero, zero, zero
    powers = np.empty(4 * 136)
    stack = np.empty(4 * 128)
    depth = 0
    position = 0
    for piece in range(len(pieces)):
        size = pieces[piece]
        block = signal[position:]
        for k in range(size):
            x = broadcast(block[k])
            real = x * cosine
            imag = x * sine
            r = r1 + real
            r1 = r2 + real * t1 + r * t1
            r2 = r3 + real * t5 + r * t2
            r3 = r4 + r * t3
            r4 = r * t4
            i = i1 + imag
            i1 = i2 + imag * t1 + i * t1
            i2 = i3 + imag * t5 + i * t2
            i3 = i4 + i * t3
            i4 = i * t4
            envelope = factor * sqrt(r * r + i * i)
            store(powers, 4 * k, envelope * envelope)
            advanced = cosine * step_cos + sine * step_sin
            sine = sine * step_cos - cosine * step_sin
            cosine = advanced
        position += size

        # Eight partial sums, then the rest one by one, as in NumPy.
        if size < 8:
            whole = zero
            start = 0
        else:
            s0, s1, s2, s3 = load(powers, 0), load(powers, 4), load(powers, 8), load(powers, 12)
            s4, s5, s6, s7 = load(powers, 16), load(powers, 20), load(powers, 24), load(powers, 28)
            start = size - size % 8
            for k in range(8, start, 8):
                s0 = s0 + load(powers, 4 * k)
                s1 = s1 + load(powers, 4 * k + 4)
                s2 = s2 + load(powers, 4 * k + 8)
                s3 = s3 + load(powers, 4 * k + 12)
                s4 = s4 + load(powers, 4 * k + 16)
                s5 = s5 + load(powers, 4 * k + 20)
                s6 = s6 + load(powers, 4 * k + 24)
                s7 = s7 + load(powers, 4 * k + 28)
            whole = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
        for k in range(start, size):
            whole = whole + load(powers, 4 * k)
        store(stack, 4 * depth, whole)
        depth += 1
        for _ in range(merges[piece]):
            depth -= 1
            store(stack, 4 * (depth - 1), load(stack, 4 * (depth - 1)) + load(stack, 4 * depth))
    return stack[:4]


@exact
def _step(x: Any, z1: Any, z2: Any, z3: Any, z4: Any, taps: tuple[Any, ...]) -> tuple[Any, ...]:
    """Filter one sample in four lanes.

    Args:
        x: input.
        z1: first element of the filter's state.
        z2: second element.
        z3: third element.
        z4: fourth element.
        taps: five coefficients.

    Returns:
        The output and the four elements of the new state.
    """
    first, second, third, fourth, zero = taps
    y = z1 + x
    return y, z2 + x * first + y * first, z3 + x * zero + y * second, z4 + y * third, y * fourth


@exact
def _envelopes_and_motion(
    y0: Any, y1: Any, y2: Any, y3: Any, c0: Any, c1: Any, c2: Any, c3: Any
) -> tuple[Any, Any, Any]:
    """Return the control envelope squared, the signal envelope squared and the motion for four samples.

    Args:
        y0: filter outputs of the first sample: control real and imaginary, signal real and imaginary.
        y1: of the second sample.
        y2: of the third sample.
        y3: of the fourth sample.
        c0: carrier of the first sample: cosine, sine, cosine, sine.
        c1: of the second sample.
        c2: of the third sample.
        c3: of the fourth sample.
    """
    p0, p1, p2, p3 = y0 * y0, y1 * y1, y2 * y2, y3 * y3
    real, more_real = unpack_low(p0, p1), unpack_low(p2, p3)
    imag, more_imag = unpack_high(p0, p1), unpack_high(p2, p3)
    m0, m1, m2, m3 = y0 * c0, y1 * c1, y2 * c2, y3 * c3
    return (
        low_halves(real, more_real) + low_halves(imag, more_imag),
        high_halves(real, more_real) + high_halves(imag, more_imag),
        high_halves(unpack_low(m0, m1), unpack_low(m2, m3))
        + high_halves(unpack_high(m0, m1), unpack_high(m2, m3)),
    )


@exact
def filter_block(
    reference: NDArray[np.float64],
    processed: NDArray[np.float64],
    reference_taps: NDArray[np.float64],
    processed_taps: NDArray[np.float64],
    phase_step: NDArray[np.float64],
    state: NDArray[np.float64],
    reference_out: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    processed_out: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
) -> None:
    """Filter one block of both signals with one channel's control filter and signal filters.

    Both signals share a loop, so that the operations of one fill the latencies of the other.

    Args:
        reference: (BLOCK or more,) samples, of which the first BLOCK are filtered.
        processed: (BLOCK or more,) samples.
        reference_taps: (20,) each of the five coefficients twice for the control filter and twice for the
            reference's signal filter.
        processed_taps: (20,) the same with the processed signal's filter.
        phase_step: (8,) cosine of the phase advance four times, then its sine with the signs + - + -.
        state: (36,) carrier and filter states, updated; initially 1, 0, 1, 0 and zeros.
        reference_out: three arrays (BLOCK,) to fill: the squared envelopes of control and signal filter, and the
            basilar membrane motion (the signal filter's output back at the centre frequency).
        processed_out: the same for the processed signal.
    """
    r = (
        load(reference_taps, 0),
        load(reference_taps, 4),
        load(reference_taps, 8),
        load(reference_taps, 12),
        load(reference_taps, 16),
    )
    p = (
        load(processed_taps, 0),
        load(processed_taps, 4),
        load(processed_taps, 8),
        load(processed_taps, 12),
        load(processed_taps, 16),
    )
    step_cos, step_sin = load(phase_step, 0), load(phase_step, 4)
    carrier = load(state, 0)
    r1, r2, r3, r4 = load(state, 4), load(state, 8), load(state, 12), load(state, 16)
    p1, p2, p3, p4 = load(state, 20), load(state, 24), load(state, 28), load(state, 32)
    for k in range(0, BLOCK, WIDTH):
        c0 = carrier
        y0, r1, r2, r3, r4 = _step(broadcast(reference[k]) * c0, r1, r2, r3, r4, r)
        x0, p1, p2, p3, p4 = _step(broadcast(processed[k]) * c0, p1, p2, p3, p4, p)
        c1 = c0 * step_cos + swap_neighbours(c0) * step_sin
        y1, r1, r2, r3, r4 = _step(broadcast(reference[k + 1]) * c1, r1, r2, r3, r4, r)
        x1, p1, p2, p3, p4 = _step(broadcast(processed[k + 1]) * c1, p1, p2, p3, p4, p)
        c2 = c1 * step_cos + swap_neighbours(c1) * step_sin
        y2, r1, r2, r3, r4 = _step(broadcast(reference[k + 2]) * c2, r1, r2, r3, r4, r)
        x2, p1, p2, p3, p4 = _step(broadcast(processed[k + 2]) * c2, p1, p2, p3, p4, p)
        c3 = c2 * step_cos + swap_neighbours(c2) * step_sin
        y3, r1, r2, r3, r4 = _step(broadcast(reference[k + 3]) * c3, r1, r2, r3, r4, r)
        x3, p1, p2, p3, p4 = _step(broadcast(processed[k + 3]) * c3, p1, p2, p3, p4, p)
        carrier = c3 * step_cos + swap_neighbours(c3) * step_sin
        control, power, motion = _envelopes_and_motion(y0, y1, y2, y3, c0, c1, c2, c3)
        store(reference_out[0], k, control)
        store(reference_out[1], k, power)
        store(reference_out[2], k, motion)
        control, power, motion = _envelopes_and_motion(x0, x1, x2, x3, c0, c1, c2, c3)
        store(processed_out[0], k, control)
        store(processed_out[1], k, power)
        store(processed_out[2], k, motion)
    store(state, 0, carrier)
    store(state, 4, r1)
    store(state, 8, r2)
    store(state, 12, r3)
    store(state, 16, r4)
    store(state, 20, p1)
    store(state, 24, p2)
    store(state, 28, p3)
    store(state, 32, p4)
    for k in range(4, 36):
        if abs(state[k]) < FLUSH_BELOW:
            state[k] = 0.0
