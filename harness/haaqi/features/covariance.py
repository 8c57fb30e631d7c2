"""How well the fine structure of both signals agrees, tile by tile of time and frequency.

Source: Kates and Arehart (2016), basilar membrane vibration: short-time normalised
cross-covariances, averaged over the tiles above threshold with a weight for the loss of phase
locking at high frequencies (Johnson 1980, JASA 68, 1115-1122).
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.cochlea.hearing import centre_frequencies
from harness.haaqi.cochlea.loudness import loud
from harness.haaqi.kernels.compilation import fused
from harness.haaqi.kernels.lanes import SHORT_WIDTH, fma, load, spread, store, store_short, total
from harness.haaqi.kernels.resampling import SAMPLE_RATE

MOST_LAG = 24
LAGS = 2 * MOST_LAG + 1
SMALLEST = 1e-30
SYNC_ORDER = 5
SYNC_CUTOFF = 3500.0
SHORT_ROUNDING = 2.0**-23  # of a float32 product and sum, twice over


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How time is divided into overlapping segments, and what they are weighted and normalised with.

    Attributes:
        half: half a segment, in samples.
        window: (2 * half,) raised cosine.
        scale: (49,) for a whole segment: the reciprocal of the window's autocorrelation, lag by lag.
        power: the reciprocal of the window's power.
        half_scale: (49,) `scale` for the half segments at the ends.
        half_power: `power` for them.
    """

    half: int
    window: NDArray[np.float64]
    scale: NDArray[np.float64]
    power: float
    half_scale: NDArray[np.float64]
    half_power: float

    def segments(self, length: int) -> int:
        """Return how many segments a signal of this length has."""
        size = 2 * self.half
        return 1 + length // size + (length - self.half) // size


def tiling(segment: float) -> Tiling:
    """Divide time.

    Args:
        segment: milliseconds; 16 in HAAQI.

    Raises:
        ValueError: the segments would not span the lags of 1 ms on both sides.
    """
    size = int(np.around(segment * (0.001 * SAMPLE_RATE)))
    size += size % 2
    half = size // 2
    if half - 1 < MOST_LAG:
        raise ValueError(f"Segments of {segment} ms are too short: covariances need 2.1 ms or more.")
    window = np.hanning(size)
    falling = window[half:]
    return Tiling(
        half=half,
        window=window,
        scale=_reciprocal_autocorrelation(window),
        power=float(1.0 / np.sum(window**2)),
        half_scale=_reciprocal_autocorrelation(falling),
        half_power=float(1.0 / np.sum(falling**2)),
    )


def _reciprocal_autocorrelation(window: NDArray[np.float64]) -> NDArray[np.float64]:
    whole = np.correlate(window, window, "full")
    middle = len(window) - 1
    return np.asarray(1 / whole[middle - MOST_LAG : middle + MOST_LAG + 1])


@fused
def tile(
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    start: int,
    window: NDArray[np.float64],
    window_start: int,
    size: int,
    scale: NDArray[np.float64],
    power: float,
    threshold: float,
    work: NDArray[np.float64],
    short: NDArray[np.float32],
) -> tuple[float, float]:
    """Compare both signals in one tile.

    Args:
        ours: the reference's motion of the basilar membrane.
        theirs: the processed signal's.
        start: the segment's first sample in both.
        window: weights, from window[window_start] on.
        window_start: see above.
        size: samples of the segment.
        scale: (49,) factors for the covariances at lags of -24 to 24.
        power: factor for the mean squares.
        threshold: dB; a tile whose reference does not exceed it gets no covariance.
        work: (2 * size + 112,) room.
        short: (2 * size + 112,) room.

    Returns:
        The normalised covariance at the best lag, 0 to 1; the reference's level in dB.
    """
    x, y = work[: size + 56], work[size + 56 :]
    short_x, short_y = short[: size + 56], short[size + 56 :]
    weights = window[window_start:]
    square = _centred(ours[start:], weights, size, x[MOST_LAG:], short_x[MOST_LAG:]) * power
    level = math.sqrt(square * 2.0)
    if not level > threshold:
        return 0.0, level
    other = _centred(theirs[start:], weights, size, y, short_y) * power
    if not (square > SMALLEST and other > SMALLEST):
        return 0.0, level
    for k in range(MOST_LAG):
        x[k] = 0.0
        short_x[k] = np.float32(0.0)
    for k in range(MOST_LAG + size, size + 56):
        x[k] = 0.0
        short_x[k] = np.float32(0.0)
    _lagged_products(short_x, short_y, size, short_y[size:])
    norm = math.sqrt(square * other)
    best = _best_covariance(x, y, size, short_y[size:], scale, norm / power)
    return min(best / norm, 1.0), level


@fused
def _best_covariance(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    size: int,
    lagged: NDArray[np.float32],
    scale: NDArray[np.float64],
    norm: float,
) -> float:
    """Return the greatest scaled covariance, by magnitude, over all lags.

    They are known in single precision. Those that its rounding errors leave in question, nearly always
    one, are then computed in double precision.
    """
    scaled = y[size:]
    for k in range(LAGS):
        scaled[k] = abs(lagged[k]) * scale[k]
    a, b, c = scaled[0], scaled[1], scaled[2]
    for k in range(3, LAGS - 1, 3):
        a, b, c = max(a, scaled[k]), max(b, scaled[k + 1]), max(c, scaled[k + 2])
    # The doubt is that of the largest lag, which has the largest factor.
    least = max(a, b, c, scaled[LAGS - 1]) - 2.0 * size * SHORT_ROUNDING * norm * scale[0]
    best = 0.0
    for k in range(LAGS):
        if scaled[k] >= least:
            best = max(best, abs(_product(x[k:], y, size) * scale[k]))
    return best


# Sums go on in several accumulators, since each addition takes four cycles and two can start in one.


@fused
def _product(x: NDArray[np.float64], y: NDArray[np.float64], size: int) -> float:
    """Return the sum of x[k] * y[k]."""
    a = b = c = d = spread(0.0)
    whole = size - size % 16
    for k in range(0, whole, 16):
        a = fma(load(x, k), load(y, k), a)
        b = fma(load(x, k + 4), load(y, k + 4), b)
        c = fma(load(x, k + 8), load(y, k + 8), c)
        d = fma(load(x, k + 12), load(y, k + 12), d)
    rest = 0.0
    for k in range(whole, size):
        rest += x[k] * y[k]
    return float(rest + total((a + b) + (c + d)))


@fused
def _centred(
    source: NDArray[np.float64],
    window: NDArray[np.float64],
    size: int,
    target: NDArray[np.float64],
    short: NDArray[np.float32],
) -> float:
    """Put a windowed segment less its mean into target and short, and return the sum of its squares."""
    a = b = c = d = spread(0.0)
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
    mean = (mean + total((a + b) + (c + d))) / size
    means = spread(mean)
    a = b = c = d = spread(0.0)
    for k in range(0, whole, 16):
        p, q = load(target, k) - means, load(target, k + 4) - means
        r, s = load(target, k + 8) - means, load(target, k + 12) - means
        store(target, k, p)
        store(target, k + 4, q)
        store(target, k + 8, r)
        store(target, k + 12, s)
        store_short(short, k, p)
        store_short(short, k + 4, q)
        store_short(short, k + 8, r)
        store_short(short, k + 12, s)
        a, b, c, d = fma(p, p, a), fma(q, q, b), fma(r, r, c), fma(s, s, d)
    square = 0.0
    for k in range(whole, size):
        target[k] -= mean
        short[k] = np.float32(target[k])
        square += target[k] ** 2
    return float(square + total((a + b) + (c + d)))


@fused
def _lagged_products(
    x: NDArray[np.float32], y: NDArray[np.float32], size: int, out: NDArray[np.float32]
) -> None:
    """Put the sums of x[lag + k] * y[k], for lag from 0 to 55, into out.

    Every eighth sample is taken first: from one to the next, six of the seven vectors of x stay in registers.
    """
    zero = spread(np.float32(0.0))
    a, b, c, d, e, f, g = zero, zero, zero, zero, zero, zero, zero
    whole = size - size % SHORT_WIDTH
    for first in range(SHORT_WIDTH):
        p, q, r = load(x, first), load(x, first + 8), load(x, first + 16)
        s, t, u = load(x, first + 24), load(x, first + 32), load(x, first + 40)
        for k in range(first, whole, SHORT_WIDTH):
            v, w = spread(y[k]), load(x, k + 48)
            a, b, c, d = fma(v, p, a), fma(v, q, b), fma(v, r, c), fma(v, s, d)
            e, f, g = fma(v, t, e), fma(v, u, f), fma(v, w, g)
            p, q, r, s, t, u = q, r, s, t, u, w
    for k in range(whole, size):
        v = spread(y[k])
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
    """Return (32,): how much each channel's fine structure counts."""
    cutoff = SYNC_CUTOFF ** (2 * SYNC_ORDER)
    return np.asarray(np.sqrt(cutoff / (cutoff + centre_frequencies() ** (2 * SYNC_ORDER))))


def average(covariances: NDArray[np.float64], levels: NDArray[np.float64], *, threshold: float) -> float:
    """Average the covariances of the tiles above threshold.

    Args:
        covariances: (32, segments), 0 to 1.
        levels: (32, segments) of the reference in dB.
        threshold: dB, for a segment's mean over the channels as well as for a tile.

    Returns:
        0 to 1; 0 when at most one segment is above threshold; NaN when no tile of theirs is.
    """
    counting = loud(levels, threshold=threshold)
    if np.count_nonzero(counting) <= 1:
        return 0.0
    weights = (levels[:, counting] > threshold) * synchrony()[:, np.newaxis]
    with np.errstate(invalid="ignore"):
        return float(np.sum(weights * covariances[:, counting]) / np.sum(weights))
