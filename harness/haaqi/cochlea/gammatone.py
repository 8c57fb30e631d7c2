"""The gammatone filter bank: filter design, the control path's levels, and the widths they give.

A channel's signal is brought down to baseband by a cosine and a sine at its centre frequency and
both parts pass a filter with a fourfold pole and two zeros. Sources: Cooke (1993), "Modelling
auditory processing and organisation"; Slaney (1993), Apple technical report 35; for the widths at
high levels Kates (2013).

The filter's direct form is part of what the official number is: with poles this close to 1 its
rounding errors are amplified by up to 1e8, so the operations stand in one fixed order, each rounded
on its own, and so do the sums that the widths are computed from.
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.cochlea.hearing import CHANNELS, centre_frequencies, equivalent_bandwidths
from harness.haaqi.kernels import rounding
from harness.haaqi.kernels.compilation import exact
from harness.haaqi.kernels.lanes import (
    WIDTH,
    high_halves,
    high_pairs,
    load,
    low_halves,
    low_pairs,
    root,
    spread,
    store,
    swap,
)
from harness.haaqi.kernels.resampling import SAMPLE_RATE

ANGLE = 2 * np.pi / SAMPLE_RATE
WIDTH_FACTOR = 1.019
NARROW_BELOW = 50
WIDE_ABOVE = 100

# Numbers this small can only stem from a signal that has ended. They are taken for zero at the end
# of each block, before they become denormal, which processors compute a hundred times slower.
NOTHING = 1e-100
BLOCK = 256


@dataclass(frozen=True, kw_only=True)
class Filters:
    """The filters of some channels.

    Attributes:
        taps: (channels, 5): the numerator is 1, taps[0], taps[4]; the denominator is 1 less the
            first four.
        gain: (channels,) factor that gives the pass band 0 dB.
    """

    taps: NDArray[np.float64]
    gain: NDArray[np.float64]


def design(bandwidth: NDArray[np.float64]) -> Filters:
    """Design a gammatone filter for each channel.

    Args:
        bandwidth: (32,) widths in widths of a normal ear.
    """
    radius = rounding.exp(-(bandwidth * ANGLE * equivalent_bandwidths() * WIDTH_FACTOR))
    taps = _taps(radius)
    first, second, third, fourth, zero = taps.T
    gain = 2.0 * (1 - first - second - third - fourth) / (1 + first + zero)
    return Filters(taps=taps, gain=gain)


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


def rotations() -> NDArray[np.float64]:
    """Return (32, 2): cosine and sine of each channel's phase advance in one sample."""
    angles = [float(ANGLE * centre) for centre in centre_frequencies()]
    return np.array([[math.cos(angle), math.sin(angle)] for angle in angles])


def group_delays(bandwidth: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return by how many samples each channel has to wait for the slowest one.

    The delay is that of the filter at its centre frequency, which is zero in baseband.

    Args:
        bandwidth: (32,) widths in widths of a normal ear.
    """
    radius = rounding.exp(-(ANGLE * WIDTH_FACTOR * bandwidth * equivalent_bandwidths()))
    taps = _taps(radius)
    delays = np.empty(CHANNELS)
    for channel, (first, second, third, fourth, zero) in enumerate(taps):
        numerator = np.array([1, first, zero])
        denominator = np.array([1, -first, -second, -third, -fourth])
        joint = np.convolve(numerator, denominator[::-1])
        ramped = joint * np.arange(joint.size)
        delays[channel] = np.sum(ramped[::-1]) / np.sum(joint[::-1]) - denominator.size + 1
    samples = np.round(delays).astype(np.int64)
    return np.asarray(samples.max() - samples)


def adjusted_bandwidth(
    control_rms: NDArray[np.float64],
    *,
    narrowest: NDArray[np.float64],
    widest: NDArray[np.float64],
    level: float,
) -> NDArray[np.float64]:
    """Widen each filter for the level that its control filter passes.

    Args:
        control_rms: (32,) RMS of the control envelopes.
        narrowest: (32,) widths up to 50 dB SPL.
        widest: (32,) widths from 100 dB SPL on.
        level: dB SPL of an RMS of 1.

    Returns:
        (32,) widths, in widths of a normal ear.
    """
    decibels = 20 * rounding.log10(control_rms) + level
    share = (decibels - NARROW_BELOW) / (WIDE_ABOVE - NARROW_BELOW)
    with np.errstate(invalid="ignore"):
        between = narrowest + share * (widest - narrowest)
    return np.asarray(
        np.where(decibels < NARROW_BELOW, narrowest, np.where(decibels > WIDE_ABOVE, widest, between))
    )


def control_rms(signal: NDArray[np.float64], *, filters: Filters) -> NDArray[np.float64]:
    """Return the RMS of the envelope in each channel of the control filter bank.

    Args:
        signal: (n,) output of the middle ear at 24 kHz.
        filters: the control filters of all channels.

    Returns:
        (32,) RMS values, rounded as NumPy's mean rounds them.
    """
    pieces, joins = _summation_plan(len(signal), rounding.RUN)
    turns = rotations()
    means = np.empty(CHANNELS)
    for first in range(0, CHANNELS, WIDTH):
        some = slice(first, first + WIDTH)
        means[some] = _summed_power(
            signal,
            np.ascontiguousarray(filters.taps[some].T).ravel(),
            np.ascontiguousarray(turns[some].T).ravel(),
            np.ascontiguousarray(filters.gain[some]),
            pieces,
            joins,
        )
    return np.asarray(np.sqrt(means / len(signal)))


@exact
def _summation_plan(length: int, run: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how NumPy adds up `length` numbers: the pieces it starts from, and when it joins sums.

    NumPy halves a sum, at multiples of eight, until at most 128 numbers are left. The plan lists
    those pieces from left to right, and after each how many of the sums so far are joined. Arrays
    longer than `run` are added up run by run.
    """
    pieces = np.empty(length // 32 + 2, dtype=np.int64)
    joins = np.empty(length // 32 + 2, dtype=np.int64)
    waiting = np.empty(128, dtype=np.int64)
    closing = np.empty(128, dtype=np.int64)
    count = 0
    for start in range(0, length, run):
        depth = 1
        waiting[0] = min(run, length - start)
        closing[0] = 1 if start > 0 else 0
        while depth > 0:
            depth -= 1
            size = waiting[depth]
            closes = closing[depth]
            if size <= 128:
                pieces[count] = size
                joins[count] = closes
                count += 1
            else:
                left = size // 2
                left -= left % 8
                waiting[depth] = size - left
                closing[depth] = closes + 1
                waiting[depth + 1] = left
                closing[depth + 1] = 0
                depth += 2
    return pieces[:count], joins[:count]


@exact
def _summed_power(  # noqa: PLR0915 - eight sums are written out, so that they stay in registers
    signal: NDArray[np.float64],
    taps: NDArray[np.float64],
    turn: NDArray[np.float64],
    gain: NDArray[np.float64],
    pieces: NDArray[np.int64],
    joins: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the summed squares of four channels' envelopes, one channel in each lane."""
    t1, t2, t3, t4, t5 = load(taps, 0), load(taps, 4), load(taps, 8), load(taps, 12), load(taps, 16)
    turn_cos, turn_sin = load(turn, 0), load(turn, 4)
    factor = load(gain, 0)
    cosine, sine = spread(1.0), spread(0.0)
    zero = spread(0.0)
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
            x = spread(block[k])
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
            envelope = factor * root(r * r + i * i)
            store(powers, 4 * k, envelope * envelope)
            advanced = cosine * turn_cos + sine * turn_sin
            sine = sine * turn_cos - cosine * turn_sin
            cosine = advanced
        position += size

        # Eight sums side by side, then the rest one by one.
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
        for _ in range(joins[piece]):
            depth -= 1
            store(stack, 4 * (depth - 1), load(stack, 4 * (depth - 1)) + load(stack, 4 * depth))
    return stack[:4]


@exact
def _step(x: Any, z1: Any, z2: Any, z3: Any, z4: Any, taps: tuple[Any, ...]) -> tuple[Any, ...]:
    """Filter one sample in four lanes: the output, then the four numbers that the filter remembers."""
    first, second, third, fourth, zero = taps
    y = z1 + x
    return y, z2 + x * first + y * first, z3 + x * zero + y * second, z4 + y * third, y * fourth


@exact
def _split_step(
    y0: Any, y1: Any, y2: Any, y3: Any, c0: Any, c1: Any, c2: Any, c3: Any
) -> tuple[Any, Any, Any]:
    """Return the control power, the signal power and the motion of four samples.

    Args:
        y0: filter outputs of the first sample: control real and imaginary, signal real and imaginary.
        y1: of the second.
        y2: of the third.
        y3: of the fourth.
        c0: the carrier at the first sample: cosine, sine, cosine, sine.
        c1: at the second.
        c2: at the third.
        c3: at the fourth.
    """
    p0, p1, p2, p3 = y0 * y0, y1 * y1, y2 * y2, y3 * y3
    real, more_real = low_pairs(p0, p1), low_pairs(p2, p3)
    imag, more_imag = high_pairs(p0, p1), high_pairs(p2, p3)
    m0, m1, m2, m3 = y0 * c0, y1 * c1, y2 * c2, y3 * c3
    return (
        low_halves(real, more_real) + low_halves(imag, more_imag),
        high_halves(real, more_real) + high_halves(imag, more_imag),
        high_halves(low_pairs(m0, m1), low_pairs(m2, m3))
        + high_halves(high_pairs(m0, m1), high_pairs(m2, m3)),
    )


@exact
def filter_block(
    reference: NDArray[np.float64],
    processed: NDArray[np.float64],
    taps_r: NDArray[np.float64],
    taps_p: NDArray[np.float64],
    turn: NDArray[np.float64],
    state: NDArray[np.float64],
    out_r: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    out_p: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
) -> None:
    """Pass one block of both signals through one channel's control filter and signal filters.

    Both go in one loop, so that one's operations fill the time in which the other's wait.

    Args:
        reference: (BLOCK or more,) samples, of which the block is the first BLOCK.
        processed: the same.
        taps_r: (20,): each of the five coefficients for the control filter (twice) and for the
            reference's signal filter (twice).
        taps_p: the same for the processed signal.
        turn: (8,): the cosine of the phase advance four times, then its sine with signs + - + -.
        state: (36,): what the block before left; at the start 1, 0, 1, 0 and zeros.
        out_r: three (BLOCK,) to be filled: the squared envelopes of control and signal filter, and
            the signal filter's output back at the centre frequency.
        out_p: the same for the processed signal.
    """
    t = load(taps_r, 0), load(taps_r, 4), load(taps_r, 8), load(taps_r, 12), load(taps_r, 16)
    s = load(taps_p, 0), load(taps_p, 4), load(taps_p, 8), load(taps_p, 12), load(taps_p, 16)
    turn_cos, turn_sin = load(turn, 0), load(turn, 4)
    carrier = load(state, 0)
    r1, r2, r3, r4 = load(state, 4), load(state, 8), load(state, 12), load(state, 16)
    p1, p2, p3, p4 = load(state, 20), load(state, 24), load(state, 28), load(state, 32)
    for k in range(0, BLOCK, WIDTH):
        c0 = carrier
        y0, r1, r2, r3, r4 = _step(spread(reference[k]) * c0, r1, r2, r3, r4, t)
        x0, p1, p2, p3, p4 = _step(spread(processed[k]) * c0, p1, p2, p3, p4, s)
        c1 = c0 * turn_cos + swap(c0) * turn_sin
        y1, r1, r2, r3, r4 = _step(spread(reference[k + 1]) * c1, r1, r2, r3, r4, t)
        x1, p1, p2, p3, p4 = _step(spread(processed[k + 1]) * c1, p1, p2, p3, p4, s)
        c2 = c1 * turn_cos + swap(c1) * turn_sin
        y2, r1, r2, r3, r4 = _step(spread(reference[k + 2]) * c2, r1, r2, r3, r4, t)
        x2, p1, p2, p3, p4 = _step(spread(processed[k + 2]) * c2, p1, p2, p3, p4, s)
        c3 = c2 * turn_cos + swap(c2) * turn_sin
        y3, r1, r2, r3, r4 = _step(spread(reference[k + 3]) * c3, r1, r2, r3, r4, t)
        x3, p1, p2, p3, p4 = _step(spread(processed[k + 3]) * c3, p1, p2, p3, p4, s)
        carrier = c3 * turn_cos + swap(c3) * turn_sin
        control, power, motion = _split_step(y0, y1, y2, y3, c0, c1, c2, c3)
        store(out_r[0], k, control)
        store(out_r[1], k, power)
        store(out_r[2], k, motion)
        control, power, motion = _split_step(x0, x1, x2, x3, c0, c1, c2, c3)
        store(out_p[0], k, control)
        store(out_p[1], k, power)
        store(out_p[2], k, motion)
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
        if abs(state[k]) < NOTHING:
            state[k] = 0.0
