"""Envelopes smoothed and sampled every 4 ms.

Source: Kates and Arehart (2016), envelope modulation: averages over segments of 8 ms that overlap by half,
weighted by a raised cosine; half segments at both ends.
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.kernels.compilation import fused
from harness.haaqi.kernels.resampling import SAMPLE_RATE
from harness.haaqi.kernels.simd import WIDTH, broadcast, fma, lane_sum, load

SEGMENT_MS = 8
SIZE = round(SEGMENT_MS * 0.001 * SAMPLE_RATE)
HALF = SIZE // 2


def segments(length: int) -> int:
    """Return the number of segments of a signal of `length` samples."""
    return 1 + length // SIZE + (length - HALF) // SIZE


def window() -> NDArray[np.float64]:
    """Return the weights of a segment, (192,)."""
    return _raised_cosine(SIZE)


@cache
def _raised_cosine(size: int) -> NDArray[np.float64]:
    return np.hanning(size)


@fused
def weigh_halves(
    level: NDArray[np.float64],
    count: int,
    weights: NDArray[np.float64],
    first: int,
    rising: NDArray[np.float64],
    falling: NDArray[np.float64],
) -> None:
    """Weight half segments with both halves of the window.

    Args:
        level: the envelope, from the start of the first half segment on.
        count: number of half segments.
        weights: (192,) `window()`.
        first: number of the first half segment.
        rising: (segments,) filled from element `first` on with the sums weighted by the window's first half.
        falling: (segments,) the same with its second half.
    """
    for number in range(count):
        up = down = broadcast(0.0)
        for k in range(0, HALF, WIDTH):
            v = load(level, number * HALF + k)
            up = fma(v, load(weights, k), up)
            down = fma(v, load(weights, HALF + k), down)
        rising[first + number] = lane_sum(up)
        falling[first + number] = lane_sum(down)


def smoothed_envelope(rising: NDArray[np.float64], falling: NDArray[np.float64]) -> NDArray[np.float64]:
    """Combine the weighted half segments to segments.

    Args:
        rising: (channels, segments) from `weigh_halves`.
        falling: (channels, segments) from `weigh_halves`.

    Returns:
        (channels, segments) smoothed envelopes.
    """
    weights = window()
    smooth = np.empty_like(rising)
    smooth[:, 0] = falling[:, 0] / np.sum(weights[HALF:])
    np.add(rising[:, 1:-1], falling[:, 2:], out=smooth[:, 1:-1])
    smooth[:, 1:-1] /= np.sum(weights)
    smooth[:, -1] = rising[:, -1] / np.sum(weights[HALF:])
    return smooth
