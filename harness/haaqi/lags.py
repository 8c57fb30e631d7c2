"""The lag, within 100 ms, at which a channel's processed output fits the reference's best.

Source: Kates and Arehart (2016), alignment within each auditory band by the peak of the
cross-correlation.

A correlation over 4800 lags of a long signal is added up in the frequency domain, from stretches
that fit a Fourier transform of 16384 points (overlap-save). Two stretches share each transform, one
in its real and one in its imaginary part: the real part of the product's transform is then the sum
of both correlations.

Signals that are there as a whole are searched in float32. Every lag that its rounding leaves in
question is computed in float64, and where too many are, or two of them are equal but for float64's
rounding, float64 transforms decide.
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .kernel import fused
from .lanes import (
    fma,
    load,
    load_two_fours,
    short_lanes,
    spread,
    store,
    store_short,
    total,
    width,
)
from .resampling import SAMPLE_RATE
from .transform import (
    PIECES,
    POINTS,
    aligned,
    factors,
    inner_stages,
    join,
    short_factors,
    stage,
    transform,
    transform_back,
)

REACH = round(0.1 * SAMPLE_RATE)
STRETCH = POINTS - 2 * REACH
SPAN = 2 * STRETCH

# Bounds, in units of a span's norms (of reference times processed signal, added up over all spans), as
# roundings of 2**-24. Of each signal: 1 for float32, in each of seven stages 2 for two sums and, but in the last,
# 2 for a product and 1 for its factor, 33 together. Then 2 for the product, and one for each span that is added to it.
# The norms are themselves computed in float32 and the way back is in float64: both are what is left of 80.
SHORT_ROUNDINGS = 80
SHORT_ROUNDING = 2.0**-24
# The same in float64, for the transforms (131 of 2**-53 and one a span) and for sums of products in blocks together.
ROUNDING = 1e-12
# A span's contribution may be left out if it is no more than this: float32 has no small enough numbers for it.
NEGLIGIBLE = 2.0**-60
LARGEST = 2.0**80  # squared norm of a span, for float32
AT_ONCE = 8  # lags whose products are added up together
MOST_GROUPS = 6  # of lags in question
BLOCK = 2048


class Correlation:
    """The cross-correlation of two signals, added up stretch by stretch."""

    def __init__(self) -> None:
        self._product = aligned(2 * POINTS)
        self._product[:] = 0.0

    def add(
        self,
        reference: NDArray[np.float64],
        processed: NDArray[np.float64],
        *,
        offset: int,
        first: int,
        last: int,
        length: int,
    ) -> None:
        """Add what some samples of the reference contribute.

        Args:
            reference: samples from `offset` on, at least those from `first` to `last`.
            processed: samples from `offset` on, at least those within 2400 of these.
            offset: the number of the first sample in both.
            first: the number of the first sample to add, of the reference; a multiple of SPAN.
            last: the number of the one after the last; the same, or more than `length`.
            length: how many samples count altogether; what lies outside is taken for zero.
        """
        _accumulate(
            reference, processed, offset, first, min(last, length), length, self._product, factors()
        )

    def values(self) -> NDArray[np.float64]:
        """Return (4800,): the sum of reference[t] * processed[t + d] for d from -2400 to 2399; only once."""
        return _values(self._product)

    def best_delay(self, *, length: int) -> int:
        """Return by how many samples the processed signal comes late; it may be negative.

        Args:
            length: how many samples the signals have.
        """
        searched, first = _searched(self.values(), length)
        # Of equal peaks the latest delay counts.
        return first + len(searched) - 1 - int(np.argmax(searched[::-1]))


def cross_correlation(
    reference: NDArray[np.float64], processed: NDArray[np.float64], *, length: int
) -> NDArray[np.float64]:
    """Return the cross-correlation of two whole signals, see `Correlation.values`."""
    return _whole(reference, processed, length).values()


def best_delay(reference: NDArray[np.float64], processed: NDArray[np.float64], *, length: int) -> int:
    """Return by how many samples a whole processed signal comes late, see `Correlation.best_delay`."""
    delay = _quick_delay(reference, processed, length)
    return _whole(reference, processed, length).best_delay(length=length) if delay is None else delay


def _whole(reference: NDArray[np.float64], processed: NDArray[np.float64], length: int) -> Correlation:
    correlation = Correlation()
    correlation.add(reference, processed, offset=0, first=0, last=length, length=length)
    return correlation


def _values(product: NDArray[np.float64]) -> NDArray[np.float64]:
    transform_back(product, factors())
    return np.asarray(product.reshape(-1, 2, 4)[: REACH // 2, 0].ravel() / POINTS)


def _searched(values: NDArray[np.float64], length: int) -> tuple[NDArray[np.float64], int]:
    """Return the correlations among which the greatest is searched, and the lag of the first."""
    within = min(REACH, length)
    first = -within if within < length else 1 - within
    return values[REACH + first : REACH + within], first


def short_correlation(
    reference: NDArray[np.float64], processed: NDArray[np.float64], *, length: int
) -> tuple[NDArray[np.float64], float, float]:
    """Compute `cross_correlation` in float32.

    Returns:
        The same (4800,); how far a value may be off, at most; the norm of both signals' products.
        The signals cannot be computed in float32 if the second is infinite.
    """
    product = aligned(POINTS).view(np.float32)
    product[:] = 0.0
    norm, left_out = _accumulate_short(reference, processed, length, product, short_factors())
    spans = -(-length // SPAN)
    bound = norm * SHORT_ROUNDING * (SHORT_ROUNDINGS + spans) + left_out
    whole = aligned(2 * POINTS)
    # Here two groups of four real and four imaginary parts are eight real and eight imaginary ones.
    whole.reshape(-1, 2, 2, 4)[:] = product.reshape(-1, 2, 2, 4).transpose(0, 2, 1, 3)
    return _values(whole), bound, norm + left_out


def _quick_delay(
    reference: NDArray[np.float64], processed: NDArray[np.float64], length: int
) -> int | None:
    """Return `best_delay`, or None where it takes float64 transforms to tell."""
    values, bound, norm = short_correlation(reference, processed, length=length)
    searched, first = _searched(values, length)
    if not math.isfinite(bound):
        return None
    in_question = first + np.flatnonzero(searched >= np.max(searched) - 2 * bound)
    if len(in_question) == 1:
        return int(in_question[0])
    last = first + len(searched)
    best, second, delay = -math.inf, -math.inf, 0
    groups, done = 0, first
    for lag in in_question:
        if lag < done:
            continue
        groups += 1
        if groups > MOST_GROUPS:
            return None
        done = min(lag + AT_ONCE, last)
        for k, value in enumerate(_products(reference, processed, length, lag)[: done - lag]):
            if value > best:
                best, second, delay = value, best, int(lag) + k
            else:
                second = max(second, value)
    return delay if best - second > ROUNDING * norm else None


@fused
def _accumulate_short(
    reference: NDArray[np.float64],
    processed: NDArray[np.float64],
    length: int,
    product: NDArray[np.float32],
    table: NDArray[np.float32],
) -> tuple[float, float]:
    """Return the sum of the spans' norms, and that of those which were left out."""
    # Four of the reference's real parts and four of the processed signal's, then as many imaginary parts.
    both = aligned(2 * POINTS).view(np.float32)
    nothing = np.zeros(POINTS // 4)
    powers = np.empty(8, np.float32)
    norm = left_out = 0.0
    for start in range(0, length, SPAN):
        if start >= REACH and start + SPAN + REACH <= length:
            _fill_and_start(reference[start:], processed[start - REACH :], nothing, both, table, powers)
        else:
            powers[:] = np.float32(0.0)
            second = start + STRETCH
            powers[0] += _fill(reference, start, STRETCH, length, both, 0)
            powers[0] += _fill(reference, second, STRETCH, length, both, 8)
            powers[4] += _fill(processed, start - REACH, POINTS, length, both, 4)
            powers[4] += _fill(processed, second - REACH, POINTS, length, both, 12)
            stage(both, 0, 4 * POINTS, POINTS, table, 0)
        ours = powers[0] + powers[1] + powers[2] + powers[3]
        theirs = powers[4] + powers[5] + powers[6] + powers[7]
        if not (ours < LARGEST and theirs < LARGEST):
            return np.inf, np.inf
        most = math.sqrt(np.float64(ours) * np.float64(theirs))
        if most <= max(NEGLIGIBLE, norm * SHORT_ROUNDING):
            left_out += most
            continue
        norm += most
        stage(both, 0, 4 * POINTS, POINTS // 4, table, 6 * POINTS // 4)
        for piece in range(0, 4 * POINTS, 4 * POINTS // PIECES):
            inner_stages(both, piece, table)
            _add_products(both, piece, product)
    return norm, left_out


@fused
def _fill_and_start(
    reference: NDArray[np.float64],
    processed: NDArray[np.float64],
    nothing: NDArray[np.float64],
    both: NDArray[np.float32],
    table: NDArray[np.float32],
    powers: NDArray[np.float32],
) -> None:
    """Fill in a span of both signals and run the first stage on the way.

    Args:
        reference: from its first sample on.
        processed: from 2400 samples before it on.
        nothing: (4096,) zeros.
        both: what to fill.
        table: factors.
        powers: (8,) receives the sum of squares of the reference in the first four, of the processed
            signal in the others, each in four parts.
    """
    quarter = POINTS // 4
    power = spread(np.float32(0.0))
    zero = spread(0.0)
    ours, theirs = reference[STRETCH:], processed[STRETCH:]
    for piece in range(2):
        # The reference's stretch ends within its third quarter.
        first, last = (0, STRETCH - 2 * quarter) if piece == 0 else (STRETCH - 2 * quarter, quarter)
        third_r = reference[2 * quarter :] if piece == 0 else nothing
        third_i = ours[2 * quarter :] if piece == 0 else nothing
        for k in range(first, last, 4):
            a, b, c, d = 4 * k, 4 * (k + quarter), 4 * (k + 2 * quarter), 4 * (k + 3 * quarter)
            ar = short_lanes(load(reference, k), load(processed, k))
            br = short_lanes(load(reference, k + quarter), load(processed, k + quarter))
            cr = short_lanes(load(third_r, k), load(processed, k + 2 * quarter))
            dr = short_lanes(zero, load(processed, k + 3 * quarter))
            ai = short_lanes(load(ours, k), load(theirs, k))
            bi = short_lanes(load(ours, k + quarter), load(theirs, k + quarter))
            ci = short_lanes(load(third_i, k), load(theirs, k + 2 * quarter))
            di = short_lanes(zero, load(theirs, k + 3 * quarter))
            power = fma(dr, dr, fma(cr, cr, fma(br, br, fma(ar, ar, power))))
            power = fma(di, di, fma(ci, ci, fma(bi, bi, fma(ai, ai, power))))
            join(both, a, b, c, d, ar, ai, br, bi, cr, ci, dr, di, table, 6 * k)
    store(powers, 0, power)


@fused
def _add_products(both: NDArray[np.float32], start: int, product: NDArray[np.float32]) -> None:
    """Add the products of both transforms, of the reference's conjugate, for a piece."""
    for k in range(start, start + 4 * POINTS // PIECES, 32):
        ar, br = load_two_fours(both, k, k + 16), load_two_fours(both, k + 4, k + 20)
        ai, bi = load_two_fours(both, k + 8, k + 24), load_two_fours(both, k + 12, k + 28)
        place = k // 2
        store(product, place, fma(ar, br, fma(ai, bi, load(product, place))))
        store(product, place + 8, fma(ar, bi, load(product, place + 8)) - ai * br)


@fused
def _accumulate(
    reference: NDArray[np.float64],
    processed: NDArray[np.float64],
    offset: int,
    first: int,
    last: int,
    length: int,
    product: NDArray[np.float64],
    table: NDArray[np.float64],
) -> None:
    # In all three arrays, four real parts and their four imaginary parts take turns.
    ours, theirs = aligned(2 * POINTS), aligned(2 * POINTS)
    end = length - offset
    for start in range(first - offset, last - offset, SPAN):
        second = start + STRETCH
        _fill(reference, start, STRETCH, end, ours, 0)
        _fill(reference, second, STRETCH, end, ours, 4)
        _fill(processed, start - REACH, POINTS, end, theirs, 0)
        _fill(processed, second - REACH, POINTS, end, theirs, 4)
        transform(ours, table)
        transform(theirs, table)
        for k in range(0, 2 * POINTS, 8):
            ar, ai, br, bi = load(ours, k), load(ours, k + 4), load(theirs, k), load(theirs, k + 4)
            store(product, k, fma(ar, br, fma(ai, bi, load(product, k))))
            store(product, k + 4, fma(ar, bi, load(product, k + 4)) - ai * br)


@fused
def _fill(
    source: NDArray[np.float64], start: int, count: int, length: int, target: NDArray[Any], part: int
) -> float:
    """Put source[start : start + count] into the groups of a target, `part` numbers from where they start.

    Returns:
        The sum of the squares.
    """
    # From `first` to `stop` there are samples; `whole` is where the last four of them together end.
    first = min(max(-start, 0), POINTS)
    stop = max(min(count, length - start), first)
    inner = min(first + -first % 4, stop)
    whole = stop - (stop - inner) % 4
    group = 2 * width(target) // 4
    nothing = spread(0.0)
    for k in range(0, inner, 4):
        store_short(target, group * k + part, nothing)
    for k in range(whole - whole % 4, POINTS, 4):
        store_short(target, group * k + part, nothing)
    samples = source[start + inner : start + whole]
    places = target[group * inner + part :]
    squares = nothing
    for k in range(0, whole - inner, 4):
        some = load(samples, k)
        squares = fma(some, some, squares)
        store_short(places, group * k, some)
    rest = 0.0
    for k in range(first, inner):
        target[group * (k - k % 4) + k % 4 + part] = source[start + k]
        rest += source[start + k] ** 2
    for k in range(whole, stop):
        target[group * (k - k % 4) + k % 4 + part] = source[start + k]
        rest += source[start + k] ** 2
    return float(rest + total(squares))


@fused
def _products(
    reference: NDArray[np.float64], processed: NDArray[np.float64], length: int, lag: int
) -> NDArray[np.float64]:
    """Return (8,): the sums of reference[t] * processed[t + d], for d from `lag` on."""
    sums = np.zeros(AT_ONCE)
    # Here all eight lags fit.
    first = min(max(0, -lag), length)
    last = max(min(length, length - lag - AT_ONCE + 1), first)
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        x, y = reference[start:], processed[start + lag :]
        a = b = c = d = e = f = g = h = spread(0.0)
        whole = count - count % 4
        for k in range(0, whole, 4):
            v = load(x, k)
            a = fma(v, load(y, k), a)
            b = fma(v, load(y, k + 1), b)
            c = fma(v, load(y, k + 2), c)
            d = fma(v, load(y, k + 3), d)
            e = fma(v, load(y, k + 4), e)
            f = fma(v, load(y, k + 5), f)
            g = fma(v, load(y, k + 6), g)
            h = fma(v, load(y, k + 7), h)
        for j, lane in enumerate((a, b, c, d, e, f, g, h)):
            sums[j] += total(lane)
        for k in range(whole, count):
            for j in range(AT_ONCE):
                sums[j] += x[k] * y[k + j]
    for j in range(AT_ONCE):
        for t in range(max(0, -lag - j), min(first, length, length - lag - j)):
            sums[j] += reference[t] * processed[t + lag + j]
        for t in range(max(last, -lag - j), min(length, length - lag - j)):
            sums[j] += reference[t] * processed[t + lag + j]
    return sums
