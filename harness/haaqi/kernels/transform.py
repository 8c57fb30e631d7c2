"""A Fourier transform of 16384 points, in float64 or, of two signals at once, in float32.

It is of radix 4, decimates in frequency and leaves its output in the order in which it falls, since a
product does not mind; its inverse starts from that order, which is the same for both kinds.

Points go by groups of four. In float64 a group is four real parts and their four imaginary parts. In
float32 it is eight and eight: the first four of each belong to one signal, the others to the other, so
that the same loops transform both at once.
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.kernels.compilation import fused, inlined
from harness.haaqi.kernels.lanes import fma, load, load_four, store, transposed, width

POINTS = 4**7
PIECES = 16


@cache
def factors() -> NDArray[np.float64]:
    """Return the factors of all stages but the last, in the order in which a transform needs them.

    Four by four: the real and the imaginary parts of W^j, then those of W^2j and of W^3j.
    """
    parts = []
    size = POINTS
    while size > 4:
        steps = np.arange(size // 4)
        powers = [np.exp(-2j * np.pi * power * steps / size).reshape(-1, 4) for power in (1, 2, 3)]
        parts.append(np.concatenate([part for f in powers for part in (f.real, f.imag)], axis=1).ravel())
        size //= 4
    joined = np.concatenate(parts)
    table = aligned(len(joined))
    table[:] = joined
    return table


@cache
def short_factors() -> NDArray[np.float32]:
    """Return `factors` rounded to float32."""
    exact = factors()
    table = aligned(len(exact) // 2).view(np.float32)
    table[:] = exact
    return table


@fused
def aligned(size: int) -> NDArray[np.float64]:
    """Return an uninitialised array that starts on a cache line, so that no load or store crosses one."""
    array = np.empty(size + 8)
    first = (-np.int64(array.ctypes.data) // 8) % 8
    return array[first : first + size]


@fused
def transform(data: NDArray[Any], table: NDArray[Any]) -> None:
    """Transform in place; the output's order is the digit-reversed one, four by four transposed.

    Args:
        data: 16384 points in float64, or twice as many in float32.
        table: `factors` or `short_factors`.
    """
    quarter = len(data) // 4
    stage(data, 0, len(data), quarter, table, 0)
    stage(data, 0, len(data), quarter // 4, table, 6 * POINTS // 4)
    for start in range(0, len(data), len(data) // PIECES):
        inner_stages(data, start, table)


@fused
def inner_stages(data: NDArray[Any], start: int, table: NDArray[Any]) -> None:
    """Run all stages but the first two on one of 16 pieces of the data."""
    group = 2 * width(data)
    stop = start + len(data) // PIECES
    quarter = len(data) // 4 // PIECES
    place = 6 * (POINTS // 4 + POINTS // 16)
    while quarter >= group:
        stage(data, start, stop, quarter, table, place)
        place += 24 * (quarter // group)
        quarter //= 4
    _last_stage(data, start, stop)


@fused
def stage(data: NDArray[Any], start: int, stop: int, quarter: int, table: NDArray[Any], place: int) -> None:
    """Run one stage; `quarter` is the way, in array elements, between two points that it joins."""
    half = width(data)
    for base in range(start, stop, 4 * quarter):
        w = place
        for a in range(base, base + quarter, 2 * half):
            b = a + quarter
            c = b + quarter
            d = c + quarter
            ar, ai, br, bi = load(data, a), load(data, a + half), load(data, b), load(data, b + half)
            cr, ci, dr, di = load(data, c), load(data, c + half), load(data, d), load(data, d + half)
            join(data, a, b, c, d, ar, ai, br, bi, cr, ci, dr, di, table, w)
            w += 24


@inlined
def join(
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
    table: NDArray[Any],
    w: int,
) -> None:
    """Join four groups of points, with the factors from table[w] on, and put them where a, b, c, d say."""
    half = width(data)
    even_r, even_i, gap_r, gap_i = ar + cr, ai + ci, ar - cr, ai - ci
    odd_r, odd_i, turn_r, turn_i = br + dr, bi + di, bi - di, dr - br
    store(data, a, even_r + odd_r)
    store(data, a + half, even_i + odd_i)
    yr, yi = gap_r + turn_r, gap_i + turn_i
    wr, wi = load_four(table, w), load_four(table, w + 4)
    store(data, b, yr * wr - yi * wi)
    store(data, b + half, fma(yr, wi, yi * wr))
    yr, yi = even_r - odd_r, even_i - odd_i
    wr, wi = load_four(table, w + 8), load_four(table, w + 12)
    store(data, c, yr * wr - yi * wi)
    store(data, c + half, fma(yr, wi, yi * wr))
    yr, yi = gap_r - turn_r, gap_i - turn_i
    wr, wi = load_four(table, w + 16), load_four(table, w + 20)
    store(data, d, yr * wr - yi * wi)
    store(data, d + half, fma(yr, wi, yi * wr))


@fused
def _last_stage(data: NDArray[Any], start: int, stop: int) -> None:
    """Join neighbouring points, which takes no factors but a transposition."""
    half = width(data)
    for a in range(start, stop, 8 * half):
        b = a + 2 * half
        c = b + 2 * half
        d = c + 2 * half
        ar, br, cr, dr = transposed(load(data, a), load(data, b), load(data, c), load(data, d))
        ai, bi, ci, di = transposed(
            load(data, a + half), load(data, b + half), load(data, c + half), load(data, d + half)
        )
        even_r, even_i, gap_r, gap_i = ar + cr, ai + ci, ar - cr, ai - ci
        odd_r, odd_i, turn_r, turn_i = br + dr, bi + di, bi - di, dr - br
        store(data, a, even_r + odd_r)
        store(data, a + half, even_i + odd_i)
        store(data, b, gap_r + turn_r)
        store(data, b + half, gap_i + turn_i)
        store(data, c, even_r - odd_r)
        store(data, c + half, even_i - odd_i)
        store(data, d, gap_r - turn_r)
        store(data, d + half, gap_i - turn_i)


@fused
def transform_back(data: NDArray[np.float64], table: NDArray[np.float64]) -> None:
    """Undo `transform`, but for the factor POINTS; in float64 only."""
    for a in range(0, 2 * POINTS, 32):
        ar, br, cr, dr = load(data, a), load(data, a + 8), load(data, a + 16), load(data, a + 24)
        ai, bi, ci, di = load(data, a + 4), load(data, a + 12), load(data, a + 20), load(data, a + 28)
        even_r, even_i, gap_r, gap_i = ar + cr, ai + ci, ar - cr, ai - ci
        odd_r, odd_i, turn_r, turn_i = br + dr, bi + di, di - bi, br - dr
        ar, br, cr, dr = even_r + odd_r, gap_r + turn_r, even_r - odd_r, gap_r - turn_r
        ai, bi, ci, di = even_i + odd_i, gap_i + turn_i, even_i - odd_i, gap_i - turn_i
        ar, br, cr, dr = transposed(ar, br, cr, dr)
        ai, bi, ci, di = transposed(ai, bi, ci, di)
        store(data, a, ar)
        store(data, a + 4, ai)
        store(data, a + 8, br)
        store(data, a + 12, bi)
        store(data, a + 16, cr)
        store(data, a + 20, ci)
        store(data, a + 24, dr)
        store(data, a + 28, di)
    quarter = 8
    place = len(table)
    while quarter < 2 * POINTS:
        place -= 3 * quarter
        for base in range(0, 2 * POINTS, 4 * quarter):
            w = place
            for a in range(base, base + quarter, 8):
                b = a + quarter
                c = b + quarter
                d = c + quarter
                ar, ai = load(data, a), load(data, a + 4)
                yr, yi, wr, wi = load(data, b), load(data, b + 4), load(table, w), load(table, w + 4)
                br, bi = fma(yr, wr, yi * wi), yi * wr - yr * wi
                yr, yi, wr, wi = load(data, c), load(data, c + 4), load(table, w + 8), load(table, w + 12)
                cr, ci = fma(yr, wr, yi * wi), yi * wr - yr * wi
                yr, yi, wr, wi = load(data, d), load(data, d + 4), load(table, w + 16), load(table, w + 20)
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
