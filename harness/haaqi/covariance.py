"""How well the fine structure of both signals agrees, tile by tile of time and frequency.

Source: Kates and Arehart (2016), basilar membrane vibration: short-time normalised
cross-covariances, averaged over the tiles above threshold with a weight for the loss of phase
locking at high frequencies (Johnson 1980, JASA 68, 1115-1122).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .hearing import CHANNELS, centre_frequencies
from .kernel import fused
from .lanes import fma, load, spread, store, total
from .resampling import SAMPLE_RATE

MOST_LAG = 24
LAGS = 2 * MOST_LAG + 1
SMALLEST = 1e-30
SYNC_ORDER = 5
SYNC_CUTOFF = 3500.0
_AT_ONCE = 28


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
        work: (2 * size + 56 + 56,) room.

    Returns:
        The normalised covariance at the best lag, 0 to 1; the reference's level in dB.
    """
    x, y, lagged = work[: size + 56], work[size + 56 : 2 * size + 56], work[2 * size + 56 :]
    square = _centred(ours, start, window, window_start, size, x, MOST_LAG) * power
    level = math.sqrt(square * 2.0)
    if not level > threshold:
        return 0.0, level
    other = _centred(theirs, start, window, window_start, size, y, 0) * power
    if not (square > SMALLEST and other > SMALLEST):
        return 0.0, level
    for k in range(MOST_LAG):
        x[k] = 0.0
    for k in range(MOST_LAG + size, size + 56):
        x[k] = 0.0
    _lagged_products(x, 0, y, size, lagged, 0)
    _lagged_products(x, _AT_ONCE, y, size, lagged, _AT_ONCE)
    best = 0.0
    for k in range(LAGS):
        best = max(best, abs(lagged[k] * scale[k]))
    return min(best / math.sqrt(square * other), 1.0), level


@fused
def _centred(
    source: NDArray[np.float64],
    start: int,
    window: NDArray[np.float64],
    window_start: int,
    size: int,
    target: NDArray[np.float64],
    place: int,
) -> float:
    """Put a windowed segment less its mean into target[place:], and return the sum of its squares."""
    for k in range(size):
        target[place + k] = source[start + k] * window[window_start + k]
    sums = spread(0.0)
    whole = size - size % 4
    for k in range(0, whole, 4):
        sums = sums + load(target, place + k)
    mean = 0.0
    for k in range(whole, size):
        mean += target[place + k]
    mean = (mean + total(sums)) / size
    for k in range(size):
        target[place + k] -= mean
    sums = spread(0.0)
    for k in range(0, whole, 4):
        v = load(target, place + k)
        sums = fma(v, v, sums)
    square = 0.0
    for k in range(whole, size):
        square += target[place + k] ** 2
    return square + total(sums)


@fused
def _lagged_products(
    x: NDArray[np.float64],
    first: int,
    y: NDArray[np.float64],
    size: int,
    out: NDArray[np.float64],
    place: int,
) -> None:
    """Put the sums of x[first + lag + k] * y[k], for lag from 0 to 27, into out[place:]."""
    zero = spread(0.0)
    a, b, c, d, e, f, g = zero, zero, zero, zero, zero, zero, zero
    for k in range(size):
        v = spread(y[k])
        p = first + k
        a = fma(v, load(x, p), a)
        b = fma(v, load(x, p + 4), b)
        c = fma(v, load(x, p + 8), c)
        d = fma(v, load(x, p + 12), d)
        e = fma(v, load(x, p + 16), e)
        f = fma(v, load(x, p + 20), f)
        g = fma(v, load(x, p + 24), g)
    store(out, place, a)
    store(out, place + 4, b)
    store(out, place + 8, c)
    store(out, place + 12, d)
    store(out, place + 16, e)
    store(out, place + 20, f)
    store(out, place + 24, g)


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
    loudness = 20 * np.log10(np.sum(10 ** (levels / 20), axis=0) / CHANNELS)
    loud = loudness > threshold
    if np.count_nonzero(loud) <= 1:
        return 0.0
    weights = (levels[:, loud] > threshold) * synchrony()[:, np.newaxis]
    with np.errstate(invalid="ignore"):
        return float(np.sum(weights * covariances[:, loud]) / np.sum(weights))
