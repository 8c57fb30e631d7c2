"""A Fourier transform of 16384 points, of one signal in float64 or of two signals at once in float32.

The transform is radix-4 with decimation in frequency. Its output stays in digit-reversed order, which does
not matter for pointwise products; the inverse transform starts from that order, which is the same for both
precisions.

Points are stored in groups of four. A float64 group is four real parts followed by their four imaginary
parts. A float32 group is eight and eight: the first four of each belong to one signal, the other four to
the other, so that the same loops transform both signals at once.
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.kernels.compilation import fused, inlined
from harness.haaqi.kernels.simd import fma, load, load_four, store, transpose, width

POINTS = 4**7
BLOCKS = 16  # parts of the data that fit into the first-level cache


@cache
def twiddles() -> NDArray[np.float64]:
    """Return the twiddle factors of all stages but the last, in the order in which a transform reads them.

    For every four points: the real and the imaginary parts of W^j, then those of W^2j and of W^3j, four
    numbers each.
    """
    parts = []
    size = POINTS
    while size > 4:
        steps = np.arange(size // 4)
        powers = [np.exp(-2j * np.pi * power * steps / size).reshape(-1, 4) for power in (1, 2, 3)]
        parts.append(np.concatenate([part for f in powers for part in (f.real, f.imag)], axis=1).ravel())
        size //= 4
    joined = np.concatenate(parts)
    table = aligned_empty(len(joined))
    table[:] = joined
    return table


@cache
def float32_twiddles() -> NDArray[np.float32]:
    """Return `twiddles` rounded to float32."""
    exact = twiddles()
    table = aligned_empty(len(exact) // 2).view(np.float32)
    table[:] = exact
    return table


@fused
def aligned_empty(size: int) -> NDArray[np.float64]:
    """Return an uninitialised array aligned to a cache line, so that no load or store crosses one."""
    array = np.empty(size + 8)
    offset = (-np.int64(array.ctypes.data) // 8) % 8
    return array[offset : offset + size]


@fused
def forward_transform(data: NDArray[Any], twiddles: NDArray[Any]) -> None:
    """Transform in place; the output is in digit-reversed order, with each group of four transposed.

    Args:
        data: (32768,) float64, or (65536,) float32 for two signals.
        twiddles: `twiddles()` or `float32_twiddles()`.
    """
    quarter = len(data) // 4
    radix4_stage(data, 0, len(data), quarter, twiddles, 0)
    radix4_stage(data, 0, len(data), quarter // 4, twiddles, 6 * POINTS // 4)
    for start in range(0, len(data), len(data) // BLOCKS):
        inner_stages(data, start, twiddles)


@fused
def inner_stages(data: NDArray[Any], start: int, twiddles: NDArray[Any]) -> None:
    """Run all stages but the first two on one of the 16 blocks of the data.

    Args:
        data: as in `forward_transform`.
        start: index of the block's first element.
        twiddles: as in `forward_transform`.
    """
    group = 2 * width(data)
    stop = start + len(data) // BLOCKS
    quarter = len(data) // 4 // BLOCKS
    first = 6 * (POINTS // 4 + POINTS // 16)
    while quarter >= group:
        radix4_stage(data, start, stop, quarter, twiddles, first)
        first += 24 * (quarter // group)
        quarter //= 4
    _last_stage(data, start, stop)


@fused
def radix4_stage(
    data: NDArray[Any], start: int, stop: int, quarter: int, twiddles: NDArray[Any], first: int
) -> None:
    """Run one stage in place.

    Args:
        data: as in `forward_transform`.
        start: index of the first element.
        stop: index after the last element.
        quarter: distance, in elements, between two points of a butterfly.
        twiddles: as in `forward_transform`.
        first: index of the stage's first twiddle factor.
    """
    half = width(data)
    for base in range(start, stop, 4 * quarter):
        w = first
        for a in range(base, base + quarter, 2 * half):
            b = a + quarter
            c = b + quarter
            d = c + quarter
            ar, ai, br, bi = load(data, a), load(data, a + half), load(data, b), load(data, b + half)
            cr, ci, dr, di = load(data, c), load(data, c + half), load(data, d), load(data, d + half)
            butterfly(data, a, b, c, d, ar, ai, br, bi, cr, ci, dr, di, twiddles, w)
            w += 24


@inlined
def butterfly(
    data: NDArray[Any],
    a: int,
    b: int,
    c: int,
    d: int,
    ar: Any,
    ai: Any,
    br: Any,
    bi: Any,
    cr: Any,
    ci: Any,
    dr: Any,
    di: Any,
    twiddles: NDArray[Any],
    w: int,
) -> None:
    """Combine four groups of points and store the results.

    Args:
        data: as in `forward_transform`.
        a: index at which the first result is stored.
        b: of the second.
        c: of the third.
        d: of the fourth.
        ar: real parts of the first group.
        ai: imaginary parts of the first group.
        br: of the second.
        bi: of the second.
        cr: of the third.
        ci: of the third.
        dr: of the fourth.
        di: of the fourth.
        twiddles: as in `forward_transform`.
        w: index of the first of the 24 twiddle factors.
    """
    half = width(data)
    even_r, even_i, diff_r, diff_i = ar + cr, ai + ci, ar - cr, ai - ci
    odd_r, odd_i, cross_r, cross_i = br + dr, bi + di, bi - di, dr - br
    store(data, a, even_r + odd_r)
    store(data, a + half, even_i + odd_i)
    yr, yi = diff_r + cross_r, diff_i + cross_i
    wr, wi = load_four(twiddles, w), load_four(twiddles, w + 4)
    store(data, b, yr * wr - yi * wi)
    store(data, b + half, fma(yr, wi, yi * wr))
    yr, yi = even_r - odd_r, even_i - odd_i
    wr, wi = load_four(twiddles, w + 8), load_four(twiddles, w + 12)
    store(data, c, yr * wr - yi * wi)
    store(data, c + half, fma(yr, wi, yi * wr))
    yr, yi = diff_r - cross_r, diff_i - cross_i
    wr, wi = load_four(twiddles, w + 16), load_four(twiddles, w + 20)
    store(data, d, yr * wr - yi * wi)
    store(data, d + half, fma(yr, wi, yi * wr))


@fused
def _last_stage(data: NDArray[Any], start: int, stop: int) -> None:
    """Combine neighbouring points, which takes a transposition instead of twiddle factors."""
    half = width(data)
    for a in range(start, stop, 8 * half):
        b = a + 2 * half
        c = b + 2 * half
        d = c + 2 * half
        ar, br, cr, dr = transpose(load(data, a), load(data, b), load(data, c), load(data, d))
        ai, bi, ci, di = transpose(
            load(data, a + half), load(data, b + half), load(data, c + half), load(data, d + half)
        )
        even_r, even_i, diff_r, diff_i = ar + cr, ai + ci, ar - cr, ai - ci
        odd_r, odd_i, cross_r, cross_i = br + dr, bi + di, bi - di, dr - br
        store(data, a, even_r + odd_r)
        store(data, a + half, even_i + odd_i)
        store(data, b, diff_r + cross_r)
        store(data, b + half, diff_i + cross_i)
        store(data, c, even_r - odd_r)
        store(data, c + half, even_i - odd_i)
        store(data, d, diff_r - cross_r)
        store(data, d + half, diff_i - cross_i)


@fused
def inverse_transform(data: NDArray[np.float64], twiddles: NDArray[np.float64]) -> None:
    """Invert `forward_transform` in place, without dividing by 16384; float64 only.

    Args:
        data: (32768,) groups of four real and four imaginary parts.
        twiddles: `twiddles()`.
    """
    for a in range(0, 2 * POINTS, 32):
        ar, br, cr, dr = load(data, a), load(data, a + 8), load(data, a + 16), load(data, a + 24)
        ai, bi, ci, di = load(data, a + 4), load(data, a + 12), load(data, a + 20), load(data, a + 28)
        even_r, even_i, diff_r, diff_i = ar + cr, ai + ci, ar - cr, ai - ci
        odd_r, odd_i, cross_r, cross_i = br + dr, bi + di, di - bi, br - dr
        ar, br, cr, dr = even_r + odd_r, diff_r + cross_r, even_r - odd_r, diff_r - cross_r
        ai, bi, ci, di = even_i + odd_i, diff_i + cross_i, even_i - odd_i, diff_i - cross_i
        ar, br, cr, dr = transpose(ar, br, cr, dr)
        ai, bi, ci, di = transpose(ai, bi, ci, di)
        store(data, a, ar)
        store(data, a + 4, ai)
        store(data, a + 8, br)
        store(data, a + 12, bi)
        store(data, a + 16, cr)
        store(data, a + 20, ci)
        store(data, a + 24, dr)
        store(data, a + 28, di)
    quarter = 8
    first = len(twiddles)
    while quarter < 2 * POINTS:
        first -= 3 * quarter
        for base in range(0, 2 * POINTS, 4 * quarter):
            w = first
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
                even_r, even_i, diff_r, diff_i = ar + cr, ai + ci, ar - cr, ai - ci
                odd_r, odd_i, cross_r, cross_i = br + dr, bi + di, di - bi, br - dr
                store(data, a, even_r + odd_r)
                store(data, a + 4, even_i + odd_i)
                store(data, b, diff_r + cross_r)
                store(data, b + 4, diff_i + cross_i)
                store(data, c, even_r - odd_r)
                store(data, c + 4, even_i - odd_i)
                store(data, d, diff_r - cross_r)
                store(data, d + 4, diff_i - cross_i)
                w += 24
        quarter *= 4
