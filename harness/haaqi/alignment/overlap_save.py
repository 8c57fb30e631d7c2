"""The cross-correlation of two signals, accumulated span by span in the frequency domain.

Sections of both signals fit a Fourier transform of 16384 points (overlap-save); the processed signal's
section extends 2400 samples further on both sides. A span is two sections that share each transform, one in
its real part and one in its imaginary part: the real part of the product's inverse transform is then the sum
of both correlations.
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.kernels.compilation import fused
from harness.haaqi.kernels.fft import (
    BLOCKS,
    POINTS,
    aligned_empty,
    butterfly,
    forward_transform,
    inner_stages,
    radix4_stage,
)
from harness.haaqi.kernels.resampling import SAMPLE_RATE
from harness.haaqi.kernels.simd import (
    broadcast,
    fma,
    lane_sum,
    load,
    load_four_pair,
    pack_float32,
    store,
    store_four,
    width,
)

MAX_LAG = round(0.1 * SAMPLE_RATE)
SECTION = POINTS - 2 * MAX_LAG
SPAN = 2 * SECTION

# Limits of a span in float32: the largest sum of squares, far from overflow; and the product of the norms below
# which the span is neglected, absolute, so that no number becomes denormal, and relative to the spans before it.
MAX_POWER = 2.0**80
NEGLIGIBLE_NORM = 2.0**-60
NEGLIGIBLE_RATIO = 2.0**-24
LOST_POWER = 2.0**-130  # bound of the squares of a span that float32 lost to underflow

LAGS_PER_CALL = 8  # lags that one call of `lagged_products` computes
PRODUCT_BLOCK = 2048  # products per partial sum, which limits the growth of the rounding error


@fused
def accumulate(
    reference: NDArray[np.float64],
    processed: NDArray[np.float64],
    offset: int,
    first: int,
    last: int,
    length: int,
    product: NDArray[np.float64],
    twiddles: NDArray[np.float64],
) -> None:
    """Accumulate the spans from sample number `first` to `last` in float64.

    Args:
        reference: samples from `offset` on.
        processed: samples from `offset` on.
        offset: sample number of the first element of both arrays.
        first: sample number of the first span's start.
        last: sample number of the last span's end, or before it.
        length: samples of the whole signals; samples outside count as zero.
        product: (32768,) sum of the products of the transforms, added to.
        twiddles: `fft.twiddles()`.
    """
    # All three arrays are groups of four real parts and their four imaginary parts.
    reference_spectrum, processed_spectrum = aligned_empty(2 * POINTS), aligned_empty(2 * POINTS)
    end = length - offset
    for start in range(first - offset, last - offset, SPAN):
        second = start + SECTION
        _load_section(reference, start, SECTION, end, reference_spectrum, 0)
        _load_section(reference, second, SECTION, end, reference_spectrum, 4)
        _load_section(processed, start - MAX_LAG, POINTS, end, processed_spectrum, 0)
        _load_section(processed, second - MAX_LAG, POINTS, end, processed_spectrum, 4)
        forward_transform(reference_spectrum, twiddles)
        forward_transform(processed_spectrum, twiddles)
        for k in range(0, 2 * POINTS, 8):
            ar, ai = load(reference_spectrum, k), load(reference_spectrum, k + 4)
            br, bi = load(processed_spectrum, k), load(processed_spectrum, k + 4)
            store(product, k, fma(ar, br, fma(ai, bi, load(product, k))))
            store(product, k + 4, fma(ar, bi, load(product, k + 4)) - ai * br)


@fused
def accumulate_float32(
    reference: NDArray[np.float64],
    processed: NDArray[np.float64],
    length: int,
    product: NDArray[np.float32],
    twiddles: NDArray[np.float32],
) -> tuple[float, float]:
    """Accumulate all spans in float32.

    Args:
        reference: (length or more,) samples.
        processed: (length or more,) samples.
        length: samples that count; samples outside count as zero.
        product: (32768,) filled with the sum of the products of the transforms, in groups of eight real and
            eight imaginary parts.
        twiddles: `fft.float32_twiddles()`.

    Returns:
        The sum over the spans of the product of both signals' norms; the same sum over the spans that were
        neglected. Both are infinite if float32 cannot represent the signals.
    """
    # A group is four real parts of the reference, four of the processed signal, and as many imaginary parts.
    product[:] = np.float32(0.0)
    spectra = aligned_empty(2 * POINTS).view(np.float32)
    zeros = np.zeros(POINTS // 4)
    powers = np.empty(8, np.float32)
    norm = neglected = 0.0
    for start in range(0, length, SPAN):
        if start >= MAX_LAG and start + SPAN + MAX_LAG <= length:
            _load_span(reference[start:], processed[start - MAX_LAG :], zeros, spectra, twiddles, powers)
        else:
            powers[:] = np.float32(0.0)
            second = start + SECTION
            powers[0] += _load_section(reference, start, SECTION, length, spectra, 0)
            powers[0] += _load_section(reference, second, SECTION, length, spectra, 8)
            powers[4] += _load_section(processed, start - MAX_LAG, POINTS, length, spectra, 4)
            powers[4] += _load_section(processed, second - MAX_LAG, POINTS, length, spectra, 12)
            radix4_stage(spectra, 0, 4 * POINTS, POINTS, twiddles, 0)
        reference_power = powers[0] + powers[1] + powers[2] + powers[3]
        processed_power = powers[4] + powers[5] + powers[6] + powers[7]
        if not (reference_power < MAX_POWER and processed_power < MAX_POWER):
            return np.inf, np.inf
        span_norm = math.sqrt((reference_power + LOST_POWER) * (processed_power + LOST_POWER))
        if span_norm <= max(NEGLIGIBLE_NORM, norm * NEGLIGIBLE_RATIO):
            neglected += span_norm
            continue
        norm += span_norm
        radix4_stage(spectra, 0, 4 * POINTS, POINTS // 4, twiddles, 6 * POINTS // 4)
        for block in range(0, 4 * POINTS, 4 * POINTS // BLOCKS):
            inner_stages(spectra, block, twiddles)
            _add_products(spectra, block, product)
    return norm, neglected


@fused
def _load_span(
    reference: NDArray[np.float64],
    processed: NDArray[np.float64],
    zeros: NDArray[np.float64],
    spectra: NDArray[np.float32],
    twiddles: NDArray[np.float32],
    powers: NDArray[np.float32],
) -> None:
    """Load a span of both signals and run the first stage of the transform on the way.

    Args:
        reference: samples from the span's start on.
        processed: samples from 2400 before the span's start on.
        zeros: (4096,) zeros.
        spectra: (65536,) filled.
        twiddles: `fft.float32_twiddles()`.
        powers: (8,) filled with the sum of squares of the reference in the first four elements and of the
            processed signal in the others, each in four parts.
    """
    quarter = POINTS // 4
    power = broadcast(np.float32(0.0))
    zero = broadcast(0.0)
    second_reference, second_processed = reference[SECTION:], processed[SECTION:]
    for part in range(2):
        # The reference's section ends within its third quarter.
        first, last = (0, SECTION - 2 * quarter) if part == 0 else (SECTION - 2 * quarter, quarter)
        third_r = reference[2 * quarter :] if part == 0 else zeros
        third_i = second_reference[2 * quarter :] if part == 0 else zeros
        for k in range(first, last, 4):
            a, b, c, d = 4 * k, 4 * (k + quarter), 4 * (k + 2 * quarter), 4 * (k + 3 * quarter)
            ar = pack_float32(load(reference, k), load(processed, k))
            br = pack_float32(load(reference, k + quarter), load(processed, k + quarter))
            cr = pack_float32(load(third_r, k), load(processed, k + 2 * quarter))
            dr = pack_float32(zero, load(processed, k + 3 * quarter))
            ai = pack_float32(load(second_reference, k), load(second_processed, k))
            bi = pack_float32(load(second_reference, k + quarter), load(second_processed, k + quarter))
            ci = pack_float32(load(third_i, k), load(second_processed, k + 2 * quarter))
            di = pack_float32(zero, load(second_processed, k + 3 * quarter))
            power = fma(dr, dr, fma(cr, cr, fma(br, br, fma(ar, ar, power))))
            power = fma(di, di, fma(ci, ci, fma(bi, bi, fma(ai, ai, power))))
            butterfly(spectra, a, b, c, d, ar, ai, br, bi, cr, ci, dr, di, twiddles, 6 * k)
    store(powers, 0, power)


@fused
def _add_products(spectra: NDArray[np.float32], start: int, product: NDArray[np.float32]) -> None:
    """Add the conjugate of the reference's transform times the processed signal's, for one block.

    Args:
        spectra: (65536,) transforms of both signals.
        start: index of the block's first element.
        product: (32768,) added to.
    """
    for k in range(start, start + 4 * POINTS // BLOCKS, 32):
        ar, br = load_four_pair(spectra, k, k + 16), load_four_pair(spectra, k + 4, k + 20)
        ai, bi = load_four_pair(spectra, k + 8, k + 24), load_four_pair(spectra, k + 12, k + 28)
        i = k // 2
        store(product, i, fma(ar, br, fma(ai, bi, load(product, i))))
        store(product, i + 8, fma(ar, bi, load(product, i + 8)) - ai * br)


@fused
def _load_section(
    source: NDArray[np.float64], start: int, count: int, length: int, target: NDArray[Any], slot: int
) -> float:
    """Copy source[start : start + count] into the groups of a transform's input.

    Args:
        source: samples.
        start: index of the first sample; it may be negative.
        count: samples of the section.
        length: samples of the source that count; those outside count as zero.
        target: (32768,) float64 or (65536,) float32.
        slot: index within each group of its first number.

    Returns:
        The sum of the squares.
    """
    # The samples are those from `first` to `stop`; those from `inner` to `whole` form complete groups of four.
    first = min(max(-start, 0), POINTS)
    stop = max(min(count, length - start), first)
    inner = min(first + -first % 4, stop)
    whole = stop - (stop - inner) % 4
    group = 2 * width(target) // 4
    zeros = broadcast(0.0)
    for k in range(0, inner, 4):
        store_four(target, group * k + slot, zeros)
    for k in range(whole - whole % 4, POINTS, 4):
        store_four(target, group * k + slot, zeros)
    samples = source[start + inner : start + whole]
    groups = target[group * inner + slot :]
    squares = zeros
    for k in range(0, whole - inner, 4):
        four = load(samples, k)
        squares = fma(four, four, squares)
        store_four(groups, group * k, four)
    rest = 0.0
    for k in range(first, inner):
        target[group * (k - k % 4) + k % 4 + slot] = source[start + k]
        rest += source[start + k] ** 2
    for k in range(whole, stop):
        target[group * (k - k % 4) + k % 4 + slot] = source[start + k]
        rest += source[start + k] ** 2
    return float(rest + lane_sum(squares))


@fused
def lagged_products(
    reference: NDArray[np.float64], processed: NDArray[np.float64], length: int, lag: int
) -> NDArray[np.float64]:
    """Return (8,): the sums of reference[t] * processed[t + d], for d from `lag` to `lag + 7`.

    Args:
        reference: (length or more,) samples.
        processed: (length or more,) samples.
        length: samples that count; samples outside count as zero.
        lag: the first lag.
    """
    sums = np.zeros(LAGS_PER_CALL)
    # Between `first` and `last`, all eight lags are within the signals.
    first = min(max(0, -lag), length)
    last = max(min(length, length - lag - LAGS_PER_CALL + 1), first)
    for start in range(first, last, PRODUCT_BLOCK):
        count = min(PRODUCT_BLOCK, last - start)
        x, y = reference[start:], processed[start + lag :]
        a = b = c = d = e = f = g = h = broadcast(0.0)
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
            sums[j] += lane_sum(lane)
        for k in range(whole, count):
            for j in range(LAGS_PER_CALL):
                sums[j] += x[k] * y[k + j]
    for j in range(LAGS_PER_CALL):
        for t in range(max(0, -lag - j), min(first, length, length - lag - j)):
            sums[j] += reference[t] * processed[t + lag + j]
        for t in range(max(last, -lag - j), min(length, length - lag - j)):
            sums[j] += reference[t] * processed[t + lag + j]
    return sums
