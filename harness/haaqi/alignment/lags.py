"""The lag, within 100 ms, at which a channel's processed output fits the reference's best.

Source: Kates and Arehart (2016), alignment within each auditory band by the peak of the
cross-correlation.

Signals that are there as a whole are searched in float32. Every lag that its rounding leaves in
question is computed in float64. Where too many are, or the best two are equal but for float64's
rounding, float64 transforms decide, as they do for signals that come in chunks.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.alignment import spans
from harness.haaqi.alignment.spans import AT_ONCE, REACH, SPAN
from harness.haaqi.kernels.transform import POINTS, aligned, factors, short_factors, transform_back

__all__ = ["REACH", "SPAN", "Correlation", "best_delay", "cross_correlation", "short_correlation"]

# How far float32 may be off, in units of 2**-24 and of the norms' products: each signal by 1 for its own
# rounding and, in each of seven stages, 2 for two sums and, but in the last, 2 for a product and 1 for its
# factor; the products of both by 2; together 68, and one more for each span that is added up. The rest
# is for the way back, which is in float64, and for the norms, which are in float32.
SHORT_ROUNDINGS = 80
SHORT_ROUNDING = 2.0**-24
# The same for float64: of two sums of products in blocks, 1921 of 2**-53 each for the two minutes up to
# which signals are kept whole, and of two values from transforms, 256 each.
ROUNDING = 5e-13
MOST_GROUPS = 6  # of eight lags in question; more would take longer than float64 transforms


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
        spans.accumulate(
            reference, processed, offset, first, min(last, length), length, self._product, factors()
        )

    def values(self) -> NDArray[np.float64]:
        """Return (4800,): the sum of reference[t] * processed[t + d] for d from -2400 to 2399; only once."""
        return _values(self._product)

    def best_delay(self, *, length: int) -> int:
        """Return by how many samples the processed signal comes late; it may be negative.

        Args:
            length: how many samples the signals have.
        """
        searched, first = _searched(self.values(), length)
        # Of equal peaks the latest delay counts.
        return first + len(searched) - 1 - int(np.argmax(searched[::-1]))


def cross_correlation(
    reference: NDArray[np.float64], processed: NDArray[np.float64], *, length: int
) -> NDArray[np.float64]:
    """Return the cross-correlation of two whole signals, see `Correlation.values`."""
    return _whole(reference, processed, length).values()


def best_delay(reference: NDArray[np.float64], processed: NDArray[np.float64], *, length: int) -> int:
    """Return by how many samples a whole processed signal comes late, see `Correlation.best_delay`."""
    delay = _quick_delay(reference, processed, length)
    return _whole(reference, processed, length).best_delay(length=length) if delay is None else delay


def _whole(reference: NDArray[np.float64], processed: NDArray[np.float64], length: int) -> Correlation:
    correlation = Correlation()
    correlation.add(reference, processed, offset=0, first=0, last=length, length=length)
    return correlation


def _values(product: NDArray[np.float64]) -> NDArray[np.float64]:
    transform_back(product, factors())
    return np.asarray(product.reshape(-1, 2, 4)[: REACH // 2, 0].ravel() / POINTS)


def _searched(values: NDArray[np.float64], length: int) -> tuple[NDArray[np.float64], int]:
    """Return the correlations among which the greatest is searched, and the lag of the first."""
    within = min(REACH, length)
    first = -within if within < length else 1 - within
    return values[REACH + first : REACH + within], first


def short_correlation(
    reference: NDArray[np.float64], processed: NDArray[np.float64], *, length: int
) -> tuple[NDArray[np.float64], float, float]:
    """Compute `cross_correlation` in float32.

    Returns:
        The same (4800,); how far a value may be off, at most; the product of both norms. The second is
        infinite where float32 cannot hold the signals.
    """
    product = aligned(POINTS).view(np.float32)
    norm, left_out = spans.accumulate_short(reference, processed, length, product, short_factors())
    bound = norm * SHORT_ROUNDING * (SHORT_ROUNDINGS + -(-length // SPAN)) + left_out
    whole = aligned(2 * POINTS)
    # Here two groups of four real and four imaginary parts are eight real and eight imaginary ones.
    whole.reshape(-1, 2, 2, 4)[:] = product.reshape(-1, 2, 2, 4).transpose(0, 2, 1, 3)
    return _values(whole), bound, norm + left_out


def _quick_delay(reference: NDArray[np.float64], processed: NDArray[np.float64], length: int) -> int | None:
    """Return `best_delay`, or None where it takes float64 transforms to tell."""
    values, bound, norm = short_correlation(reference, processed, length=length)
    searched, first = _searched(values, length)
    if not math.isfinite(bound):
        return None
    in_question = first + np.flatnonzero(searched >= np.max(searched) - 2 * bound)
    if len(in_question) == 1:
        return int(in_question[0])
    starts = _groups(in_question)
    if len(starts) > MOST_GROUPS:
        return None
    last = first + len(searched)
    lags = np.concatenate([np.arange(start, min(start + AT_ONCE, last)) for start in starts])
    exact = np.concatenate(
        [spans.products(reference, processed, length, start)[: last - start] for start in starts]
    )
    second, best = np.argsort(exact)[-2:]
    return int(lags[best]) if exact[best] - exact[second] > ROUNDING * norm else None


def _groups(lags: NDArray[np.intp]) -> list[int]:
    """Return where groups of eight lags start that contain all of some ascending ones."""
    starts: list[int] = []
    for lag in lags:
        if not starts or lag >= starts[-1] + AT_ONCE:
            starts.append(int(lag))
    return starts
