"""Adding up the cross-correlation of two signals, span by span, in the frequency domain.

Stretches of both signals fit a Fourier transform of 16384 points (overlap-save), the processed
signal's with 2400 samples more on both sides. A span is two of them, which share each transform, one in
its real and one in its imaginary part: the real part of the product's transform is then the sum of both
correlations.
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.kernels.compilation import fused
from harness.haaqi.kernels.lanes import (
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
from harness.haaqi.kernels.resampling import SAMPLE_RATE
from harness.haaqi.kernels.transform import PIECES, POINTS, aligned, inner_stages, join, stage, transform

REACH = round(0.1 * SAMPLE_RATE)
STRETCH = POINTS - 2 * REACH
SPAN = 2 * STRETCH

# Of a span in float32: the largest sum of squares, far from overflow; and what its norms' product may be for it to
# be left out, absolutely, so that nothing becomes denormal, or for all those before it, as a part.
LARGEST = 2.0**80
NEGLIGIBLE = 2.0**-60
NEGLIGIBLE_PART = 2.0**-24
UNDERFLOW = 2.0**-130  # squares of a span that float32 may have lost, at most

AT_ONCE = 8  # lags whose products are added up together
BLOCK = 2048  # products added up by themselves, so that roundings do not pile up


@fused
def accumulate(
    reference: NDArray[np.float64],
    processed: NDArray[np.float64],
    offset: int,
    first: int,
    last: int,
    length: int,
    product: NDArray[np.float64],
    table: NDArray[np.float64],
) -> None:
    """Add up, in float64, the spans from sample number `first` to `last`.

    Args:
        reference: samples from `offset` on.
        processed: the same.
        offset: the number of the first sample in both.
        first: where the first span starts.
        last: where the last one ends, or before that.
        length: how many samples count; what lies outside is taken for zero.
        product: (32768,) the sum of the transforms' products, to be added to.
        table: `transform.factors`.
    """
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
def accumulate_short(
    reference: NDArray[np.float64],
    processed: NDArray[np.float64],
    length: int,
    product: NDArray[np.float32],
    table: NDArray[np.float32],
) -> tuple[float, float]:
    """Add up all spans in float32.

    Args:
        reference: samples from the first on.
        processed: the same.
        length: how many samples count; what lies outside is taken for zero.
        product: (32768,) receives the sum of the transforms' products: of 8 points each, the real parts
            and the imaginary ones.
        table: `transform.short_factors`.

    Returns:
        The product of both signals' norms, added up over the spans; the same of spans that were left
        out. Both are infinite where float32 cannot hold the signals.
    """
    # Four of the reference's real parts and four of the processed signal's, then as many imaginary parts.
    product[:] = np.float32(0.0)
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
        most = math.sqrt((ours + UNDERFLOW) * (theirs + UNDERFLOW))
        if most <= max(NEGLIGIBLE, norm * NEGLIGIBLE_PART):
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
def products(
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
