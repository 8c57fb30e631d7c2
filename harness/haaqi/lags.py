"""The lag, within 100 ms, at which a channel's processed output fits the reference's best.

Source: Kates and Arehart (2016), alignment within each auditory band by the peak of the
cross-correlation.

A correlation over 4800 lags of a long signal is added up in the frequency domain, from stretches
that fit a Fourier transform of 16384 points (overlap-save). Two stretches share each transform, one
in its real and one in its imaginary part: the real part of the product's transform is then the sum
of both correlations. The transform is of radix 4, decimates in frequency and leaves its output in
the order in which it falls, since a product does not mind, and its inverse starts from that order.
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from .kernel import fused
from .lanes import fma, high_halves, high_pairs, load, low_halves, low_pairs, spread, store
from .resampling import SAMPLE_RATE

REACH = round(0.1 * SAMPLE_RATE)
POINTS = 4**7
STRETCH = POINTS - 2 * REACH
SPAN = 2 * STRETCH


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
            reference, processed, offset, first, min(last, length), length, self._product, _twiddles()
        )

    def values(self) -> NDArray[np.float64]:
        """Return (4800,): the sum of reference[t] * processed[t + d] for d from -2400 to 2399; only once."""
        _transform_back(self._product, _twiddles())
        return np.asarray(self._product.reshape(-1, 2, 4)[:, 0].ravel()[: 2 * REACH] / POINTS)

    def best_delay(self, *, length: int) -> int:
        """Return by how many samples the processed signal comes late; it may be negative.

        Args:
            length: how many samples the signals have.
        """
        within = min(REACH, length)
        # Of equal peaks the latest delay counts.
        late_first = self.values()[REACH + within - 1 :: -1]
        searched = late_first[: 2 * within if within < length else 2 * within - 1]
        return within - 1 - int(np.argmax(searched))


def cross_correlation(
    reference: NDArray[np.float64], processed: NDArray[np.float64], *, length: int
) -> NDArray[np.float64]:
    """Return the cross-correlation of two whole signals, see `Correlation.values`."""
    correlation = Correlation()
    correlation.add(reference, processed, offset=0, first=0, last=length, length=length)
    return correlation.values()


def best_delay(reference: NDArray[np.float64], processed: NDArray[np.float64], *, length: int) -> int:
    """Return by how many samples a whole processed signal comes late, see `Correlation.best_delay`."""
    correlation = Correlation()
    correlation.add(reference, processed, offset=0, first=0, last=length, length=length)
    return correlation.best_delay(length=length)


@cache
def _twiddles() -> NDArray[np.float64]:
    """Return the factors of all stages but the last, in the order in which a transform needs them.

    Four by four: the real and the imaginary parts of W^j, then those of W^2j and of W^3j.
    """
    parts = []
    size = POINTS
    while size > 4:
        steps = np.arange(size // 4)
        factors = [np.exp(-2j * np.pi * power * steps / size).reshape(-1, 4) for power in (1, 2, 3)]
        parts.append(np.concatenate([part for f in factors for part in (f.real, f.imag)], axis=1).ravel())
        size //= 4
    joined = np.concatenate(parts)
    table = aligned(len(joined))
    table[:] = joined
    return table


@fused
def aligned(size: int) -> NDArray[np.float64]:
    """Return an uninitialised array that starts on a cache line, so that no load or store crosses one."""
    array = np.empty(size + 8)
    first = (-np.int64(array.ctypes.data) // 8) % 8
    return array[first : first + size]


@fused
def _accumulate(
    reference: NDArray[np.float64],
    processed: NDArray[np.float64],
    offset: int,
    first: int,
    last: int,
    length: int,
    product: NDArray[np.float64],
    twiddles: NDArray[np.float64],
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
        _transform(ours, twiddles)
        _transform(theirs, twiddles)
        for k in range(0, 2 * POINTS, 8):
            ar, ai, br, bi = load(ours, k), load(ours, k + 4), load(theirs, k), load(theirs, k + 4)
            store(product, k, fma(ar, br, fma(ai, bi, load(product, k))))
            store(product, k + 4, fma(ar, bi, load(product, k + 4)) - ai * br)


@fused
def _fill(
    source: NDArray[np.float64],
    start: int,
    count: int,
    length: int,
    target: NDArray[np.float64],
    part: int,
) -> None:
    """Make source[start : start + count] the real (0) or imaginary (4) part of a target, and the rest zero."""
    # From `first` to `stop` there are samples; `whole` is where the last four of them together end.
    first = min(max(-start, 0), POINTS)
    stop = max(min(count, length - start), first)
    inner = min(first + -first % 4, stop)
    whole = stop - (stop - inner) % 4
    nothing = spread(0.0)
    for k in range(0, inner, 4):
        store(target, 2 * k + part, nothing)
    for k in range(whole - whole % 4, POINTS, 4):
        store(target, 2 * k + part, nothing)
    samples = source[start + inner : start + whole]
    places = target[2 * inner + part :]
    for k in range(0, whole - inner, 4):
        store(places, 2 * k, load(samples, k))
    for k in range(first, inner):
        target[2 * k - k % 4 + part] = source[start + k]
    for k in range(whole, stop):
        target[2 * k - k % 4 + part] = source[start + k]


@fused
def _transform(data: NDArray[np.float64], twiddles: NDArray[np.float64]) -> None:
    """Transform in place; the output's order is the digit-reversed one, four by four transposed."""
    _stage(data, 0, 2 * POINTS, POINTS // 2, twiddles, 0)
    _stage(data, 0, 2 * POINTS, POINTS // 8, twiddles, 6 * POINTS // 4)
    # The rest piece by piece, so that each stays in the first-level cache until it is done.
    for start in range(0, 2 * POINTS, POINTS // 8):
        quarter = POINTS // 32
        table = 6 * (POINTS // 4 + POINTS // 16)
        while quarter > 2:
            _stage(data, start, start + POINTS // 8, quarter, twiddles, table)
            table += 3 * quarter
            quarter //= 4
        _last_stage(data, start, start + POINTS // 8)


@fused
def _stage(
    data: NDArray[np.float64], start: int, stop: int, quarter: int, twiddles: NDArray[np.float64], table: int
) -> None:
    """Run one stage; `quarter` is the way, in array elements, between two points that it joins."""
    for base in range(start, stop, 4 * quarter):
        w = table
        for a in range(base, base + quarter, 8):
            b = a + quarter
            c = b + quarter
            d = c + quarter
            ar, ai, br, bi = load(data, a), load(data, a + 4), load(data, b), load(data, b + 4)
            cr, ci, dr, di = load(data, c), load(data, c + 4), load(data, d), load(data, d + 4)
            even_r, even_i, gap_r, gap_i = ar + cr, ai + ci, ar - cr, ai - ci
            odd_r, odd_i, turn_r, turn_i = br + dr, bi + di, bi - di, dr - br
            store(data, a, even_r + odd_r)
            store(data, a + 4, even_i + odd_i)
            yr, yi = gap_r + turn_r, gap_i + turn_i
            wr, wi = load(twiddles, w), load(twiddles, w + 4)
            store(data, b, yr * wr - yi * wi)
            store(data, b + 4, fma(yr, wi, yi * wr))
            yr, yi = even_r - odd_r, even_i - odd_i
            wr, wi = load(twiddles, w + 8), load(twiddles, w + 12)
            store(data, c, yr * wr - yi * wi)
            store(data, c + 4, fma(yr, wi, yi * wr))
            yr, yi = gap_r - turn_r, gap_i - turn_i
            wr, wi = load(twiddles, w + 16), load(twiddles, w + 20)
            store(data, d, yr * wr - yi * wi)
            store(data, d + 4, fma(yr, wi, yi * wr))
            w += 24


@fused
def _last_stage(data: NDArray[np.float64], start: int, stop: int) -> None:
    """Join neighbouring points, which takes no factors but a transposition."""
    for a in range(start, stop, 32):
        ar, br, cr, dr = load(data, a), load(data, a + 8), load(data, a + 16), load(data, a + 24)
        ai, bi, ci, di = load(data, a + 4), load(data, a + 12), load(data, a + 20), load(data, a + 28)
        pr, qr, sr, tr = low_pairs(ar, br), high_pairs(ar, br), low_pairs(cr, dr), high_pairs(cr, dr)
        pi, qi, si, ti = low_pairs(ai, bi), high_pairs(ai, bi), low_pairs(ci, di), high_pairs(ci, di)
        ar, br, cr, dr = low_halves(pr, sr), low_halves(qr, tr), high_halves(pr, sr), high_halves(qr, tr)
        ai, bi, ci, di = low_halves(pi, si), low_halves(qi, ti), high_halves(pi, si), high_halves(qi, ti)
        even_r, even_i, gap_r, gap_i = ar + cr, ai + ci, ar - cr, ai - ci
        odd_r, odd_i, turn_r, turn_i = br + dr, bi + di, bi - di, dr - br
        store(data, a, even_r + odd_r)
        store(data, a + 4, even_i + odd_i)
        store(data, a + 8, gap_r + turn_r)
        store(data, a + 12, gap_i + turn_i)
        store(data, a + 16, even_r - odd_r)
        store(data, a + 20, even_i - odd_i)
        store(data, a + 24, gap_r - turn_r)
        store(data, a + 28, gap_i - turn_i)


@fused
def _transform_back(data: NDArray[np.float64], twiddles: NDArray[np.float64]) -> None:
    """Undo `_transform`, but for the factor POINTS."""
    for a in range(0, 2 * POINTS, 32):
        ar, br, cr, dr = load(data, a), load(data, a + 8), load(data, a + 16), load(data, a + 24)
        ai, bi, ci, di = load(data, a + 4), load(data, a + 12), load(data, a + 20), load(data, a + 28)
        even_r, even_i, gap_r, gap_i = ar + cr, ai + ci, ar - cr, ai - ci
        odd_r, odd_i, turn_r, turn_i = br + dr, bi + di, di - bi, br - dr
        ar, br, cr, dr = even_r + odd_r, gap_r + turn_r, even_r - odd_r, gap_r - turn_r
        ai, bi, ci, di = even_i + odd_i, gap_i + turn_i, even_i - odd_i, gap_i - turn_i
        pr, qr, sr, tr = low_pairs(ar, br), high_pairs(ar, br), low_pairs(cr, dr), high_pairs(cr, dr)
        pi, qi, si, ti = low_pairs(ai, bi), high_pairs(ai, bi), low_pairs(ci, di), high_pairs(ci, di)
        store(data, a, low_halves(pr, sr))
        store(data, a + 4, low_halves(pi, si))
        store(data, a + 8, low_halves(qr, tr))
        store(data, a + 12, low_halves(qi, ti))
        store(data, a + 16, high_halves(pr, sr))
        store(data, a + 20, high_halves(pi, si))
        store(data, a + 24, high_halves(qr, tr))
        store(data, a + 28, high_halves(qi, ti))
    quarter = 8
    table = len(twiddles)
    while quarter < 2 * POINTS:
        table -= 3 * quarter
        for base in range(0, 2 * POINTS, 4 * quarter):
            w = table
            for a in range(base, base + quarter, 8):
                b = a + quarter
                c = b + quarter
                d = c + quarter
                ar, ai = load(data, a), load(data, a + 4)
                yr, yi, wr, wi = load(data, b), load(data, b + 4), load(twiddles, w), load(twiddles, w + 4)
                br, bi = fma(yr, wr, yi * wi), yi * wr - yr * wi
                yr, yi, wr, wi = (
                    load(data, c),
                    load(data, c + 4),
                    load(twiddles, w + 8),
                    load(twiddles, w + 12),
                )
                cr, ci = fma(yr, wr, yi * wi), yi * wr - yr * wi
                yr, yi, wr, wi = (
                    load(data, d),
                    load(data, d + 4),
                    load(twiddles, w + 16),
                    load(twiddles, w + 20),
                )
                dr, di = fma(yr, wr, yi * wi), yi * wr - yr * wi
                even_r, even_i, gap_r, gap_i = ar + cr, ai + ci, ar - cr, ai - ci
                odd_r, odd_i, turn_r, turn_i = br + dr, bi + di, di - bi, br - dr
                store(data, a, even_r + odd_r)
                store(data, a + 4, even_i + odd_i)
                store(data, b, gap_r + turn_r)
                store(data, b + 4, gap_i + turn_i)
                store(data, c, even_r - odd_r)
                store(data, c + 4, even_i - odd_i)
                store(data, d, gap_r - turn_r)
                store(data, d + 4, gap_i - turn_i)
                w += 24
        quarter *= 4
