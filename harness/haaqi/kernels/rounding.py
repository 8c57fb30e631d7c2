"""Elementary functions, sums and filters whose last bits do not depend on the NumPy version.

The gammatone filters amplify a change in the last bit of their design and of their input, and NumPy's
exponentials and sums differ in the last bits between versions and processors. These functions return the
bits of NumPy 1.24 on the fixed target: the C library's functions one element at a time, sums in chunks of
8192, FIR filters in the order of OpenBLAS for Haswell.

Where pyclarity itself can run (SciPy before 1.13), NumPy's own functions are called instead, so that the
result equals pyclarity's on every processor. With the target fixed, both give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from harness.haaqi.kernels.compilation import exact
from harness.haaqi.kernels.simd import WIDTH, broadcast, fma, load, store
from harness.haaqi.target import is_fixed

LAST_SCIPY_WITH_PYCLARITY = (1, 12)
USE_NUMPY = tuple(int(part) for part in scipy.__version__.split(".")[:2]) <= LAST_SCIPY_WITH_PYCLARITY
SUM_BUFFER = 8192  # NumPy's buffer size: longer arrays are summed chunk by chunk
ACCUMULATORS = 16  # partial sums of OpenBLAS's dot product for Haswell

Real = TypeVar("Real", bound=np.floating)


def exp(x: ArrayLike) -> NDArray[np.float64]:
    """Return e to the power of x."""
    return np.asarray(np.exp(x)) if USE_NUMPY else _one_by_one(math.exp, x)


def cos(x: ArrayLike) -> NDArray[np.float64]:
    """Return the cosine of x."""
    return np.asarray(np.cos(x)) if USE_NUMPY else _one_by_one(math.cos, x)


def log(x: float) -> float:
    """Return the natural logarithm of a positive number."""
    return float(np.log(x)) if USE_NUMPY else math.log(x)


def log10(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the decimal logarithm of numbers that are not negative; that of 0 is -infinity."""
    if USE_NUMPY:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log10(x))
    return _one_by_one(lambda value: math.log10(value) if value > 0 else -math.inf, x)


def power(base: ArrayLike, exponent: ArrayLike) -> NDArray[np.float64]:
    """Return base to the power of exponent; one of the two may be a scalar."""
    if USE_NUMPY:
        return np.asarray(np.power(np.asarray(base, dtype=np.float64), exponent))
    both = np.empty((2, *np.broadcast_shapes(np.shape(base), np.shape(exponent))))
    both[0], both[1] = base, exponent
    return _powers(both[0].ravel(), both[1].ravel()).reshape(both.shape[1:])


def _one_by_one(function: Callable[[float], float], x: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(x, dtype=np.float64)
    return np.array([function(value) for value in values.ravel().tolist()]).reshape(values.shape)


@exact
def _powers(bases: NDArray[np.float64], exponents: NDArray[np.float64]) -> NDArray[np.float64]:
    out = np.empty(len(bases))
    for k in range(len(out)):
        out[k] = math.pow(bases[k], exponents[k])
    return out


def pairwise_sum(values: NDArray[Real]) -> Real:
    """Return the sum of a one-dimensional array, in the array's precision."""
    total: Real = values.dtype.type(0)
    for start in range(0, len(values), SUM_BUFFER):
        total += np.add.reduce(values[start : start + SUM_BUFFER])
    return total


@exact
def summation_plan(length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the order in which NumPy adds `length` numbers: the sizes of its pieces and the merges after each.

    NumPy halves a sum, at multiples of eight, until at most 128 numbers are left. The plan lists these pieces
    from left to right, and after each the number of partial sums that are merged. Arrays longer than
    8192 are added chunk by chunk.

    Args:
        length: numbers to add.
    """
    pieces = np.empty(length // 32 + 2, dtype=np.int64)
    merges = np.empty(length // 32 + 2, dtype=np.int64)
    pending_sizes = np.empty(128, dtype=np.int64)
    pending_merges = np.empty(128, dtype=np.int64)
    count = 0
    for start in range(0, length, SUM_BUFFER):
        depth = 1
        pending_sizes[0] = min(SUM_BUFFER, length - start)
        pending_merges[0] = 1 if start > 0 else 0
        while depth > 0:
            depth -= 1
            size = pending_sizes[depth]
            merge_count = pending_merges[depth]
            if size <= 128:
                pieces[count] = size
                merges[count] = merge_count
                count += 1
            else:
                left = size // 2
                left -= left % 8
                pending_sizes[depth] = size - left
                pending_merges[depth] = merge_count + 1
                pending_sizes[depth + 1] = left
                pending_merges[depth + 1] = 0
                depth += 2
    return pieces[:count], merges[:count]


def mean(values: NDArray[Real]) -> Real:
    """Return the mean of a one-dimensional array, in the array's precision."""
    result: Real = pairwise_sum(values) / values.dtype.type(len(values))
    return result


def fir_filter(signal: NDArray[np.floating], taps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convolve a signal with FIR taps, dropping the first m - 1 outputs.

    Args:
        signal: (n,) samples.
        taps: (m,) filter coefficients, m at most n.

    Returns:
        (n,) samples: the full convolution from sample m - 1 on.
    """
    skipped = len(taps) - 1
    # On the fixed target `_fir_filter` has the same bits and is five times as fast.
    if USE_NUMPY and not is_fixed():
        return np.convolve(signal, taps)[skipped : skipped + len(signal)].copy()
    out = np.empty(len(signal))
    _fir_filter(np.asarray(signal, dtype=np.float64), taps[::-1].copy(), out)
    return out


@exact
def _fir_filter(signal: NDArray[np.float64], reverse: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Compute `fir_filter`.

    Args:
        signal: (n,) samples.
        reverse: (m,) taps in reverse order.
        out: (n,) filled with the result.
    """
    taps = len(reverse)
    inner = len(signal) - taps + 1
    inner -= inner % WIDTH
    whole = taps - taps % ACCUMULATORS
    # The lanes are four outputs. Each output has sixteen partial sums, four of which are computed at a time.
    for k in range(0, inner, WIDTH):
        x = signal[k:]
        even, odd = _sums(x, reverse, 0, whole)
        more_even, more_odd = _sums(x, reverse, WIDTH, whole)
        even, odd = even + more_even, odd + more_odd
        third_even, third_odd = _sums(x, reverse, 2 * WIDTH, whole)
        more_even, more_odd = _sums(x, reverse, 3 * WIDTH, whole)
        total = (even + (third_even + more_even)) + (odd + (third_odd + more_odd))
        for i in range(whole, taps):
            total = total + load(x, i) * broadcast(reverse[i])
        store(out, k, total)
    sums = np.empty(ACCUMULATORS)
    for k in range(inner, len(signal)):
        out[k] = _dot(signal[k:], reverse, min(taps, len(signal) - k), sums)


@exact
def _sums(x: NDArray[np.float64], y: NDArray[np.float64], first: int, whole: int) -> tuple[Any, Any]:
    """Accumulate four outputs, one in each lane, over every sixteenth tap from each of four starts.

    Args:
        x: samples, from the first of the four outputs on.
        y: reversed taps.
        first: index of the first tap.
        whole: number of taps, rounded down to a multiple of 16.

    Returns:
        Two lanes values: the sums of the even and of the odd starts.
    """
    a = b = c = d = broadcast(0.0)
    for i in range(first, whole, ACCUMULATORS):
        a = fma(load(x, i), broadcast(y[i]), a)
        b = fma(load(x, i + 1), broadcast(y[i + 1]), b)
        c = fma(load(x, i + 2), broadcast(y[i + 2]), c)
        d = fma(load(x, i + 3), broadcast(y[i + 3]), d)
    return a + c, b + d


@exact
def _dot(x: NDArray[np.float64], y: NDArray[np.float64], count: int, sums: NDArray[np.float64]) -> float:
    """Return the sum of `count` products, added in the order that `_fir_filter` uses."""
    whole = count - count % ACCUMULATORS
    for start in range(0, ACCUMULATORS, WIDTH):
        some = broadcast(0.0)
        for i in range(start, whole, ACCUMULATORS):
            some = fma(load(x, i), load(y, i), some)
        store(sums, start, some)
    even = ((sums[0] + sums[2]) + (sums[4] + sums[6])) + ((sums[8] + sums[10]) + (sums[12] + sums[14]))
    odd = ((sums[1] + sums[3]) + (sums[5] + sums[7])) + ((sums[9] + sums[11]) + (sums[13] + sums[15]))
    total = even + odd
    for i in range(whole, count):
        total += x[i] * y[i]
    return float(total)
