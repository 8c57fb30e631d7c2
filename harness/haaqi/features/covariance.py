"""Basilar membrane vibration: the agreement of both signals' fine structure, tile by tile.

A tile is one segment of time in one channel. Source: Kates and Arehart (2016), basilar membrane vibration:
short-time normalised cross-covariances, averaged over the tiles above threshold with a weight for the loss of
phase locking at high frequencies (Johnson 1980, JASA 68, 1115-1122).
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.cochlea.audibility import audible_segments
from harness.haaqi.cochlea.hearing_loss import centre_frequencies
from harness.haaqi.kernels.compilation import fused
from harness.haaqi.kernels.resampling import SAMPLE_RATE
from harness.haaqi.kernels.simd import FLOAT32_WIDTH, broadcast, fma, lane_sum, load, store, store_four

MAX_LAG = 24
LAGS = 2 * MAX_LAG + 1
PADDED_LAGS = 56  # LAGS, rounded up to whole float32 registers
SMALLEST = 1e-30
SYNCHRONY_ORDER = 5
SYNCHRONY_CUTOFF = 3500.0
FLOAT32_ROUNDING = 2.0**-23  # bound of a float32 product and sum, doubled


class Weighting(NamedTuple):
    """Window and normalisation of a segment.

    Attributes:
        window: (size,) weights.
        scale: (49,) factors of the covariances at lags of -24 to 24: the reciprocal of the window's
            autocorrelation.
        power: factor of the sums of squares: the reciprocal of the window's power.
    """

    window: NDArray[np.float64]
    scale: NDArray[np.float64]
    power: float


class Segmentation(NamedTuple):
    """The division of time into segments that overlap by half, with half segments at both ends.

    Attributes:
        half: half a segment, in samples.
        first: weighting of the half segment at the start.
        whole: weighting of the segments in between, a raised cosine.
        last: weighting of the half segment at the end.
    """

    half: int
    first: Weighting
    whole: Weighting
    last: Weighting

    def segments(self, length: int) -> int:
        """Return the number of segments of a signal of `length` samples."""
        size = 2 * self.half
        return 1 + length // size + (length - self.half) // size


def segment_time(milliseconds: float) -> Segmentation:
    """Divide time into segments.

    Args:
        milliseconds: duration of a segment; 16 in HAAQI.

    Raises:
        ValueError: the segments would not span the lags of 1 ms on both sides.
    """
    size = int(np.around(milliseconds * (0.001 * SAMPLE_RATE)))
    size += size % 2
    half = size // 2
    if half - 1 < MAX_LAG:
        raise ValueError(f"Segments of {milliseconds} ms are too short; the minimum is 2.1 ms.")
    window = np.hanning(size)
    whole = _weighting(window)
    falling = _weighting(window[half:])
    # Both half segments are normalised by the falling half's numbers.
    return Segmentation(half=half, first=falling, whole=whole, last=falling._replace(window=window[:half]))


def _weighting(window: NDArray[np.float64]) -> Weighting:
    return Weighting(
        window=window,
        scale=_reciprocal_autocorrelation(window),
        power=float(1.0 / np.sum(window**2)),
    )


def _reciprocal_autocorrelation(window: NDArray[np.float64]) -> NDArray[np.float64]:
    autocorrelation = np.correlate(window, window, "full")
    middle = len(window) - 1
    return np.asarray(1 / autocorrelation[middle - MAX_LAG : middle + MAX_LAG + 1])


@fused
def tile_covariance(
    reference: NDArray[np.float64],
    processed: NDArray[np.float64],
    start: int,
    weighting: Weighting,
    threshold: float,
    scratch: NDArray[np.float64],
    scratch32: NDArray[np.float32],
) -> tuple[float, float]:
    """Compare both signals in one tile.

    Args:
        reference: motion of the basilar membrane for the reference.
        processed: motion of the basilar membrane for the processed signal.
        start: index of the segment's first sample in both.
        weighting: window and normalisation of the segment.
        threshold: dB; a tile whose reference does not exceed it gets no covariance.
        scratch: (2 * size + 112 or more,) overwritten, with size samples in the segment.
        scratch32: (2 * size + 112 or more,) overwritten.

    Returns:
        The normalised covariance at the best lag, 0 to 1; the reference's level in dB.
    """
    window, power = weighting.window, weighting.power
    size = len(window)
    padded = size + PADDED_LAGS
    x, y = scratch[:padded], scratch[padded:]
    x32, y32 = scratch32[:padded], scratch32[padded:]
    square = _window_and_centre(reference[start:], window, size, x[MAX_LAG:], x32[MAX_LAG:]) * power
    level = math.sqrt(square * 2.0)
    if not level > threshold:
        return 0.0, level
    other = _window_and_centre(processed[start:], window, size, y, y32) * power
    if not (square > SMALLEST and other > SMALLEST):
        return 0.0, level
    for k in range(MAX_LAG):
        x[k] = 0.0
        x32[k] = np.float32(0.0)
    for k in range(MAX_LAG + size, padded):
        x[k] = 0.0
        x32[k] = np.float32(0.0)
    _lagged_products(x32, y32, size, y32[size:])
    norm = math.sqrt(square * other)
    best = _peak_covariance(x, y, size, y32[size:], weighting.scale, norm / power)
    return min(best / norm, 1.0), level


@fused
def _peak_covariance(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    size: int,
    lagged: NDArray[np.float32],
    scale: NDArray[np.float64],
    norm: float,
) -> float:
    """Return the greatest scaled covariance, by magnitude, over all lags.

    The covariances are known in float32. Those that its rounding error leaves undecided, nearly always one, are
    recomputed in float64.

    Args:
        x: (size + 56,) windowed and centred reference between zeros.
        y: (size + 56,) windowed and centred processed signal; elements from `size` on are overwritten.
        size: samples of the segment.
        lagged: (56,) float32 sums of products.
        scale: (49,) factors of the lags.
        norm: product of the norms of both segments.
    """
    scaled = y[size:]
    for k in range(LAGS):
        scaled[k] = abs(lagged[k]) * scale[k]
    a, b, c = scaled[0], scaled[1], scaled[2]
    for k in range(3, LAGS - 1, 3):
        a, b, c = max(a, scaled[k]), max(b, scaled[k + 1]), max(c, scaled[k + 2])
    # The margin is that of the largest lag, which has the largest factor.
    minimum = max(a, b, c, scaled[LAGS - 1]) - 2.0 * size * FLOAT32_ROUNDING * norm * scale[0]
    best = 0.0
    for k in range(LAGS):
        if scaled[k] >= minimum:
            best = max(best, abs(_product(x[k:], y, size) * scale[k]))
    return best


# Sums use several accumulators, because an addition takes four cycles and two can start in each cycle.


@fused
def _product(x: NDArray[np.float64], y: NDArray[np.float64], size: int) -> float:
    """Return the sum of x[k] * y[k] over `size` elements."""
    a = b = c = d = broadcast(0.0)
    whole = size - size % 16
    for k in range(0, whole, 16):
        a = fma(load(x, k), load(y, k), a)
        b = fma(load(x, k + 4), load(y, k + 4), b)
        c = fma(load(x, k + 8), load(y, k + 8), c)
        d = fma(load(x, k + 12), load(y, k + 12), d)
    rest = 0.0
    for k in range(whole, size):
        rest += x[k] * y[k]
    return float(rest + lane_sum((a + b) + (c + d)))


@fused
def _window_and_centre(
    source: NDArray[np.float64],
    window: NDArray[np.float64],
    size: int,
    target: NDArray[np.float64],
    target32: NDArray[np.float32],
) -> float:
    """Window a segment, subtract its mean, and return the sum of its squares.

    Args:
        source: (size or more,) samples.
        window: (size or more,) weights.
        size: samples of the segment.
        target: (size or more,) filled.
        target32: (size or more,) filled with the same, rounded to float32.
    """
    a = b = c = d = broadcast(0.0)
    whole = size - size % 16
    for k in range(0, whole, 16):
        p, q = load(source, k) * load(window, k), load(source, k + 4) * load(window, k + 4)
        r, s = load(source, k + 8) * load(window, k + 8), load(source, k + 12) * load(window, k + 12)
        store(target, k, p)
        store(target, k + 4, q)
        store(target, k + 8, r)
        store(target, k + 12, s)
        a, b, c, d = a + p, b + q, c + r, d + s
    mean = 0.0
    for k in range(whole, size):
        target[k] = source[k] * window[k]
        mean += target[k]
    mean = (mean + lane_sum((a + b) + (c + d))) / size
    means = broadcast(mean)
    a = b = c = d = broadcast(0.0)
    for k in range(0, whole, 16):
        p, q = load(target, k) - means, load(target, k + 4) - means
        r, s = load(target, k + 8) - means, load(target, k + 12) - means
        store(target, k, p)
        store(target, k + 4, q)
        store(target, k + 8, r)
        store(target, k + 12, s)
        store_four(target32, k, p)
        store_four(target32, k + 4, q)
        store_four(target32, k + 8, r)
        store_four(target32, k + 12, s)
        a, b, c, d = fma(p, p, a), fma(q, q, b), fma(r, r, c), fma(s, s, d)
    square = 0.0
    for k in range(whole, size):
        target[k] -= mean
        target32[k] = np.float32(target[k])
        square += target[k] ** 2
    return float(square + lane_sum((a + b) + (c + d)))


@fused
def _lagged_products(
    x: NDArray[np.float32], y: NDArray[np.float32], size: int, out: NDArray[np.float32]
) -> None:
    """Fill out[lag] with the sum of x[lag + k] * y[k], for lags 0 to 55.

    Every eighth sample is processed first: from one to the next, six of the seven vectors of x stay in registers.

    Args:
        x: (size + 56,) samples.
        y: (size,) samples.
        size: samples of the segment.
        out: (56,) filled.
    """
    zero = broadcast(np.float32(0.0))
    a, b, c, d, e, f, g = zero, zero, zero, zero, zero, zero, zero
    whole = size - size % FLOAT32_WIDTH
    for first in range(FLOAT32_WIDTH):
        p, q, r = load(x, first), load(x, first + 8), load(x, first + 16)
        s, t, u = load(x, first + 24), load(x, first + 32), load(x, first + 40)
        for k in range(first, whole, FLOAT32_WIDTH):
            v, w = broadcast(y[k]), load(x, k + 48)
            a, b, c, d = fma(v, p, a), fma(v, q, b), fma(v, r, c), fma(v, s, d)
            e, f, g = fma(v, t, e), fma(v, u, f), fma(v, w, g)
            p, q, r, s, t, u = q, r, s, t, u, w
    for k in range(whole, size):
        v = broadcast(y[k])
        a = fma(v, load(x, k), a)
        b = fma(v, load(x, k + 8), b)
        c = fma(v, load(x, k + 16), c)
        d = fma(v, load(x, k + 24), d)
        e = fma(v, load(x, k + 32), e)
        f = fma(v, load(x, k + 40), f)
        g = fma(v, load(x, k + 48), g)
    store(out, 0, a)
    store(out, 8, b)
    store(out, 16, c)
    store(out, 24, d)
    store(out, 32, e)
    store(out, 40, f)
    store(out, 48, g)


def synchrony() -> NDArray[np.float64]:
    """Return the weight of each channel's fine structure, for the loss of phase locking, (32,)."""
    cutoff = SYNCHRONY_CUTOFF ** (2 * SYNCHRONY_ORDER)
    return np.asarray(np.sqrt(cutoff / (cutoff + centre_frequencies() ** (2 * SYNCHRONY_ORDER))))


def average_covariance(
    covariances: NDArray[np.float64], levels: NDArray[np.float64], *, threshold: float
) -> float:
    """Average the covariances of the tiles above threshold.

    Args:
        covariances: (32, segments), 0 to 1.
        levels: (32, segments) of the reference, dB.
        threshold: dB, for a segment's mean over the channels and for each tile.

    Returns:
        0 to 1; 0 if at most one segment is above threshold; NaN if no tile of those segments is.
    """
    audible = audible_segments(levels, threshold=threshold)
    if np.count_nonzero(audible) <= 1:
        return 0.0
    weights = (levels[:, audible] > threshold) * synchrony()[:, np.newaxis]
    with np.errstate(invalid="ignore"):
        return float(np.sum(weights * covariances[:, audible]) / np.sum(weights))
