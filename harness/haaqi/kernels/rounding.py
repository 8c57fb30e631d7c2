"""Elementary functions and sums whose last bits do not hang on the version of NumPy.

The filters amplify a change in the last bit of what they are designed from and of what goes into
them. NumPy's own exponentials and sums end in other bits from version to version and from processor
to processor. What stands here gives the bits of NumPy 1.24 on the fixed target: the C library's
functions one by one, sums in runs of 8192, products with filters in the order of OpenBLAS for Haswell.

Where pyclarity itself can run (SciPy before 1.13), NumPy's own functions are called instead, so that
pyclarity's number is met on every processor; with the target fixed both are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from harness.haaqi.kernels.compilation import exact
from harness.haaqi.kernels.lanes import WIDTH, fma, load, spread, store
from harness.haaqi.target import is_fixed

LAST_WITH_PYCLARITY = (1, 12)
NUMPYS_OWN = tuple(int(part) for part in scipy.__version__.split(".")[:2]) <= LAST_WITH_PYCLARITY
RUN = 8192
ABREAST = 16

Real = TypeVar("Real", bound=np.floating)


def exp(x: ArrayLike) -> NDArray[np.float64]:
    """Return e to the power of x."""
    return np.asarray(np.exp(x)) if NUMPYS_OWN else _one_by_one(math.exp, x)


def cos(x: ArrayLike) -> NDArray[np.float64]:
    """Return the cosine of x."""
    return np.asarray(np.cos(x)) if NUMPYS_OWN else _one_by_one(math.cos, x)


def log(x: float) -> float:
    """Return the natural logarithm of a positive number."""
    return float(np.log(x)) if NUMPYS_OWN else math.log(x)


def log10(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the decimal logarithm of numbers none of which is negative; that of 0 is -infinity."""
    if NUMPYS_OWN:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log10(x))
    return _one_by_one(lambda value: math.log10(value) if value > 0 else -math.inf, x)


def power(base: ArrayLike, exponent: ArrayLike) -> NDArray[np.float64]:
    """Return base to the power of exponent, one of which may be a single number."""
    if NUMPYS_OWN:
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


def total(values: NDArray[Real]) -> Real:
    """Return the sum of an array of one dimension, in its own precision."""
    joined: Real = values.dtype.type(0)
    for start in range(0, len(values), RUN):
        joined += np.add.reduce(values[start : start + RUN])
    return joined


def mean(values: NDArray[Real]) -> Real:
    """Return the mean of an array of one dimension, in its own precision."""
    result: Real = total(values) / values.dtype.type(len(values))
    return result


def filtered(signal: NDArray[np.floating], taps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convolve a signal with fewer taps than it has samples, from where all taps have come in.

    Args:
        signal: (n,) samples.
        taps: (m,) of the filter, m at most n.

    Returns:
        (n,) samples, the convolution's from number m - 1 on.
    """
    late = len(taps) - 1
    if (
        NUMPYS_OWN and not is_fixed()
    ):  # our own has the same bits on the fixed target, and is five times as fast
        return np.convolve(signal, taps)[late : late + len(signal)].copy()
    out = np.empty(len(signal))
    _filter(np.asarray(signal, dtype=np.float64), taps[::-1].copy(), out)
    return out


@exact
def _filter(signal: NDArray[np.float64], reverse: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    taps = len(reverse)
    inner = len(signal) - taps + 1
    inner -= inner % WIDTH
    whole = taps - taps % ABREAST
    # Four outputs in the lanes. Each has sixteen sums, of every sixteenth product, four at a time.
    for k in range(0, inner, WIDTH):
        x = signal[k:]
        even, odd = _sums(x, reverse, 0, whole)
        more_even, more_odd = _sums(x, reverse, WIDTH, whole)
        even, odd = even + more_even, odd + more_odd
        third_even, third_odd = _sums(x, reverse, 2 * WIDTH, whole)
        more_even, more_odd = _sums(x, reverse, 3 * WIDTH, whole)
        joined = (even + (third_even + more_even)) + (odd + (third_odd + more_odd))
        for i in range(whole, taps):
            joined = joined + load(x, i) * spread(reverse[i])
        store(out, k, joined)
    sums = np.empty(ABREAST)
    for k in range(inner, len(signal)):
        out[k] = _dot(signal[k:], reverse, min(taps, len(signal) - k), sums)


@exact
def _sums(x: NDArray[np.float64], y: NDArray[np.float64], first: int, whole: int) -> tuple[Any, Any]:
    a = b = c = d = spread(0.0)
    for i in range(first, whole, ABREAST):
        a = fma(load(x, i), spread(y[i]), a)
        b = fma(load(x, i + 1), spread(y[i + 1]), b)
        c = fma(load(x, i + 2), spread(y[i + 2]), c)
        d = fma(load(x, i + 3), spread(y[i + 3]), d)
    return a + c, b + d


@exact
def _dot(x: NDArray[np.float64], y: NDArray[np.float64], count: int, sums: NDArray[np.float64]) -> float:
    """Return one sum of `count` products, added up in the same order."""
    whole = count - count % ABREAST
    for start in range(0, ABREAST, WIDTH):
        some = spread(0.0)
        for i in range(start, whole, ABREAST):
            some = fma(load(x, i), load(y, i), some)
        store(sums, start, some)
    even = ((sums[0] + sums[2]) + (sums[4] + sums[6])) + ((sums[8] + sums[10]) + (sums[12] + sums[14]))
    odd = ((sums[1] + sums[3]) + (sums[5] + sums[7])) + ((sums[9] + sums[11]) + (sums[13] + sums[15]))
    joined = even + odd
    for i in range(whole, count):
        joined += x[i] * y[i]
    return float(joined)
