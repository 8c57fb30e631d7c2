"""The envelope smoothed and sampled every 4 ms.

Source: Kates and Arehart (2016), envelope modulation: averages over segments of 8 ms that overlap
by half, weighted by a raised cosine; half segments at both ends.
"""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.kernels.compilation import fused
from harness.haaqi.kernels.lanes import WIDTH, fma, load, spread, total
from harness.haaqi.kernels.resampling import SAMPLE_RATE

SEGMENT_MS = 8
SIZE = round(SEGMENT_MS * 0.001 * SAMPLE_RATE)
HALF = SIZE // 2


def segments(length: int) -> int:
    """Return how many segments a signal of this length has."""
    return 1 + length // SIZE + (length - HALF) // SIZE


def window() -> NDArray[np.float64]:
    """Return (192,) weights."""
    return _raised_cosine(SIZE)


@cache
def _raised_cosine(size: int) -> NDArray[np.float64]:
    return np.hanning(size)


@fused
def weigh(
    level: NDArray[np.float64],
    count: int,
    weights: NDArray[np.float64],
    first: int,
    rising: NDArray[np.float64],
    falling: NDArray[np.float64],
) -> None:
    """Weigh pieces of half a segment with both halves of the window.

    Args:
        level: the envelope, from the start of a piece.
        count: how many pieces.
        weights: (192,) of `window`.
        first: the number of the first piece.
        rising: from its element `first` on to be filled with the sums weighted by the first half.
        falling: the same, for the second half.
    """
    for piece in range(count):
        up = down = spread(0.0)
        for k in range(0, HALF, WIDTH):
            v = load(level, piece * HALF + k)
            up = fma(v, load(weights, k), up)
            down = fma(v, load(weights, HALF + k), down)
        rising[first + piece] = total(up)
        falling[first + piece] = total(down)


def average(rising: NDArray[np.float64], falling: NDArray[np.float64]) -> NDArray[np.float64]:
    """Join the weighed pieces to segments.

    Args:
        rising: (channels, segments) of `weigh`.
        falling: (channels, segments) of `weigh`.

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
