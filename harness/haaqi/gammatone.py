"""The gammatone filter bank: filter design, the control path's levels, and the widths they give.

A channel's signal is brought down to baseband by a cosine and a sine at its centre frequency and
both parts pass a filter with a fourfold pole and two zeros. Sources: Cooke (1993), "Modelling
auditory processing and organisation"; Slaney (1993), Apple technical report 35; for the widths at
high levels Kates (2013).

The filter's direct form is part of what the official number is: with poles this close to 1 its
rounding errors are amplified by up to 1e8, so the operations stand in one fixed order, each rounded
on its own, and so do the sums that the widths are computed from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from .hearing import CHANNELS, centre_frequencies, equivalent_bandwidths
from .kernel import exact
from .lanes import WIDTH, high_halves, high_pairs, load, low_halves, low_pairs, root, spread, store, swap
from .resampling import SAMPLE_RATE

ANGLE = 2 * np.pi / SAMPLE_RATE
WIDTH_FACTOR = 1.019
NARROW_BELOW = 50
WIDE_ABOVE = 100
SUM_RUN = 8192

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
    radius = np.exp(-(bandwidth * ANGLE * equivalent_bandwidths() * WIDTH_FACTOR))
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
    radius = np.exp(-(ANGLE * WIDTH_FACTOR * bandwidth * equivalent_bandwidths()))
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
    with np.errstate(divide="ignore"):
        decibels = 20 * np.log10(control_rms) + level
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
    pieces, joins = _summation_plan(len(signal), SUM_RUN if _sums_in_runs() else len(signal))
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


@cache
def _sums_in_runs() -> bool:
    """Say whether this NumPy adds up a long array in runs of its buffer's size (as 1.24 does)."""
    probe = np.zeros(3 * SUM_RUN // 2)
    probe[0] = 2.0**53
    probe[SUM_RUN - 1 : SUM_RUN + 1] = 1.0
    return bool(np.add.reduce(probe) == probe[0])


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
def _summed_power(
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
        for k in range(size):
            x = spread(signal[position + k])
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
def filter_block(
    signal: NDArray[np.float64],
    start: int,
    taps: NDArray[np.float64],
    turn: NDArray[np.float64],
    state: NDArray[np.float64],
    control: NDArray[np.float64],
    envelope: NDArray[np.float64],
    motion: NDArray[np.float64],
) -> None:
    """Pass one block of a signal through one channel's control filter and signal filter.

    Args:
        signal: samples; the block is signal[start : start + BLOCK].
        start: see above.
        taps: (20,): each of the five coefficients for control filter (twice) and signal filter (twice).
        turn: (8,): the cosine of the phase advance four times, then its sine with signs + - + -.
        state: (20,): what the block before left; at the start 1, 0, 1, 0 and zeros.
        control: (BLOCK,) to be filled with the squared envelope of the control filter.
        envelope: (BLOCK,) to be filled with the squared envelope of the signal filter.
        motion: (BLOCK,) to be filled with the signal filter's output back at the centre frequency.
    """
    t1, t2, t3, t4, t5 = load(taps, 0), load(taps, 4), load(taps, 8), load(taps, 12), load(taps, 16)
    turn_cos, turn_sin = load(turn, 0), load(turn, 4)
    carrier = load(state, 0)
    z1, z2, z3, z4 = load(state, 4), load(state, 8), load(state, 12), load(state, 16)
    for k in range(0, BLOCK, WIDTH):
        c0 = carrier
        x0 = spread(signal[start + k]) * c0
        y0 = z1 + x0
        z1 = z2 + x0 * t1 + y0 * t1
        z2 = z3 + x0 * t5 + y0 * t2
        z3 = z4 + y0 * t3
        z4 = y0 * t4
        c1 = c0 * turn_cos + swap(c0) * turn_sin

        x1 = spread(signal[start + k + 1]) * c1
        y1 = z1 + x1
        z1 = z2 + x1 * t1 + y1 * t1
        z2 = z3 + x1 * t5 + y1 * t2
        z3 = z4 + y1 * t3
        z4 = y1 * t4
        c2 = c1 * turn_cos + swap(c1) * turn_sin

        x2 = spread(signal[start + k + 2]) * c2
        y2 = z1 + x2
        z1 = z2 + x2 * t1 + y2 * t1
        z2 = z3 + x2 * t5 + y2 * t2
        z3 = z4 + y2 * t3
        z4 = y2 * t4
        c3 = c2 * turn_cos + swap(c2) * turn_sin

        x3 = spread(signal[start + k + 3]) * c3
        y3 = z1 + x3
        z1 = z2 + x3 * t1 + y3 * t1
        z2 = z3 + x3 * t5 + y3 * t2
        z3 = z4 + y3 * t3
        z4 = y3 * t4
        carrier = c3 * turn_cos + swap(c3) * turn_sin

        p0, p1, p2, p3 = y0 * y0, y1 * y1, y2 * y2, y3 * y3
        real = low_pairs(p0, p1), low_pairs(p2, p3)
        imag = high_pairs(p0, p1), high_pairs(p2, p3)
        store(control, k, low_halves(real[0], real[1]) + low_halves(imag[0], imag[1]))
        store(envelope, k, high_halves(real[0], real[1]) + high_halves(imag[0], imag[1]))
        m0, m1, m2, m3 = y0 * c0, y1 * c1, y2 * c2, y3 * c3
        first = high_halves(low_pairs(m0, m1), low_pairs(m2, m3))
        second = high_halves(high_pairs(m0, m1), high_pairs(m2, m3))
        store(motion, k, first + second)
    store(state, 0, carrier)
    store(state, 4, z1)
    store(state, 8, z2)
    store(state, 12, z3)
    store(state, 16, z4)
    for k in range(4, 20):
        if abs(state[k]) < NOTHING:
            state[k] = 0.0
