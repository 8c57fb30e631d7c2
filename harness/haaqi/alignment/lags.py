"""The delay, within 100 ms, between the outputs of an auditory channel for both signals.

Source: Kates and Arehart (2016), alignment within each auditory band by the peak of the cross-correlation.

Signals that are held as a whole are searched in float32. Every lag that its rounding error leaves undecided
is recomputed in float64. If there are too many such lags, or the best two differ by no more than float64's
rounding error, float64 transforms decide, as they do for signals that are processed in chunks.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.alignment import overlap_save
from harness.haaqi.alignment.overlap_save import LAGS_PER_CALL, MAX_LAG, SPAN
from harness.haaqi.kernels.fft import POINTS, aligned_empty, float32_twiddles, inverse_transform, twiddles

# Bound of the float32 error, in units of 2**-24 times the product of the norms. Each signal contributes 1 for its
# own rounding and, in each of seven stages, 2 for two sums and, except in the last stage, 2 for a product and 1
# for its twiddle factor; the products of both contribute 2; together 68, and one more for each span that is
# added. The rest covers the inverse transform, which is in float64, and the norms, which are in float32.
FLOAT32_ERRORS = 80
FLOAT32_UNIT = 2.0**-24
# The same for float64, as a factor of the product of the norms: two sums of products in blocks, 1921 * 2**-53
# each for the two minutes up to which signals are held as a whole, and two values from transforms, 256 each.
FLOAT64_ERROR = 5e-13
MAX_GROUPS = 6  # undecided groups of eight lags; more would take longer than float64 transforms


class ChunkedCorrelation:
    """The cross-correlation of two signals, accumulated chunk by chunk in float64."""

    def __init__(self) -> None:
        self._product = aligned_empty(2 * POINTS)
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
        """Add the contribution of a chunk of the reference.

        Args:
            reference: samples from `offset` on, at least those from `first` to `last`.
            processed: samples from `offset` on, at least those within 2400 of the chunk.
            offset: sample number of the first element of both arrays.
            first: sample number of the chunk's start, a multiple of SPAN.
            last: sample number of its end, a multiple of SPAN or more than `length`.
            length: samples of the whole signals; samples outside count as zero.
        """
        overlap_save.accumulate(
            reference, processed, offset, first, min(last, length), length, self._product, twiddles()
        )

    def values(self) -> NDArray[np.float64]:
        """Return (4800,): the sum of reference[t] * processed[t + d] for d from -2400 to 2399. Call it once."""
        return _correlation(self._product)

    def best_delay(self, *, length: int) -> int:
        """Return the delay of the processed signal in samples; negative if it is early. Call it once.

        Args:
            length: samples of the whole signals.
        """
        searched, first = _search_range(self.values(), length)
        # Among equal peaks, the latest delay counts.
        return first + len(searched) - 1 - int(np.argmax(searched[::-1]))


def best_delay(reference: NDArray[np.float64], processed: NDArray[np.float64], *, length: int) -> int:
    """Return the delay of a processed signal in samples; negative if it is early.

    Args:
        reference: (length or more,) samples.
        processed: (length or more,) samples.
        length: samples that count.
    """
    delay = _float32_delay(reference, processed, length)
    return _float64_delay(reference, processed, length) if delay is None else delay


def _float64_delay(reference: NDArray[np.float64], processed: NDArray[np.float64], length: int) -> int:
    correlation = ChunkedCorrelation()
    correlation.add(reference, processed, offset=0, first=0, last=length, length=length)
    return correlation.best_delay(length=length)


def _correlation(product: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (4800,) correlations from a product of transforms, which is overwritten."""
    inverse_transform(product, twiddles())
    return np.asarray(product.reshape(-1, 2, 4)[: MAX_LAG // 2, 0].ravel() / POINTS)


def _search_range(values: NDArray[np.float64], length: int) -> tuple[NDArray[np.float64], int]:
    """Return the correlations that are searched for the peak, and the lag of the first."""
    within = min(MAX_LAG, length)
    first = -within if within < length else 1 - within
    return values[MAX_LAG + first : MAX_LAG + within], first


def float32_correlation(
    reference: NDArray[np.float64], processed: NDArray[np.float64], *, length: int
) -> tuple[NDArray[np.float64], float, float]:
    """Compute the cross-correlation in float32.

    Args:
        reference: (length or more,) samples.
        processed: (length or more,) samples.
        length: samples that count.

    Returns:
        (4800,) as from `ChunkedCorrelation.values`; a bound of each value's error; the product of both norms.
        The bound is infinite if float32 cannot represent the signals.
    """
    product = aligned_empty(POINTS).view(np.float32)
    norm, neglected = overlap_save.accumulate_float32(
        reference, processed, length, product, float32_twiddles()
    )
    bound = norm * FLOAT32_UNIT * (FLOAT32_ERRORS + -(-length // SPAN)) + neglected
    float64_product = aligned_empty(2 * POINTS)
    # Groups of eight real and eight imaginary parts become two groups of four and four.
    float64_product.reshape(-1, 2, 2, 4)[:] = product.reshape(-1, 2, 2, 4).transpose(0, 2, 1, 3)
    return _correlation(float64_product), bound, norm + neglected


def _float32_delay(reference: NDArray[np.float64], processed: NDArray[np.float64], length: int) -> int | None:
    """Return `best_delay`, or None if only float64 transforms can decide it."""
    values, bound, norm = float32_correlation(reference, processed, length=length)
    searched, first = _search_range(values, length)
    if not math.isfinite(bound):
        return None
    candidates = first + np.flatnonzero(searched >= np.max(searched) - 2 * bound)
    if len(candidates) == 1:
        return int(candidates[0])
    starts = _group_starts(candidates)
    if len(starts) > MAX_GROUPS:
        return None
    stop = first + len(searched)
    lags = np.concatenate([np.arange(start, min(start + LAGS_PER_CALL, stop)) for start in starts])
    exact = np.concatenate(
        [
            overlap_save.lagged_products(reference, processed, length, start)[: stop - start]
            for start in starts
        ]
    )
    second, best = np.argsort(exact)[-2:]
    return int(lags[best]) if exact[best] - exact[second] > FLOAT64_ERROR * norm else None


def _group_starts(lags: NDArray[np.intp]) -> list[int]:
    """Return the first lags of groups of eight consecutive lags that cover all of some ascending lags."""
    starts: list[int] = []
    for lag in lags:
        if not starts or lag >= starts[-1] + LAGS_PER_CALL:
            starts.append(int(lag))
    return starts
