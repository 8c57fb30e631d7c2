"""Logarithm and power for loops, good to a few units in the last place.

The library's own functions take one number at a time; these consist of plain arithmetic, so that
LLVM runs them in all lanes of the processor. Both are meant for finite arguments. The polynomials
are Taylor series, economised by Chebyshev's method in exact fractions when the module is imported.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from llvmlite import ir
from numba import types

from harness.haaqi.kernels.compilation import inlined, instruction

_MANTISSA_BITS = 52
_MANTISSA_MASK = (1 << _MANTISSA_BITS) - 1
ONE_BITS = 0x3FF << _MANTISSA_BITS
_ROOT_HALF = 0x3FE6A09E667F3BCD  # the bits of sqrt(1/2)
_TO_BINADE = ONE_BITS - _ROOT_HALF
_COUNTER = 0x433 << _MANTISSA_BITS  # 2**52: its last bits count in ones
_COUNTER_START = float(2**52 + 1023)
_ROUNDER = 1.5 * 2.0**52


def economised(series: Sequence[Fraction], *, low: Fraction, high: Fraction, terms: int) -> tuple[float, ...]:
    """Shorten a power series, spreading what is left out evenly over an interval.

    Args:
        series: coefficients of x**0, x**1, ...
        low: lower end of the interval.
        high: upper end.
        terms: how many coefficients to keep.

    Returns:
        The coefficients of the shorter polynomial.
    """
    middle, half = (high + low) / 2, (high - low) / 2
    # In t, with x = middle + half * t, the interval is -1 to 1.
    inner = [Fraction(0)] * len(series)
    for coefficient in reversed(series):
        inner = [middle * value + half * (inner[k - 1] if k else 0) for k, value in enumerate(inner)]
        inner[0] += coefficient
    while len(inner) > terms:
        degree = len(inner) - 1
        chebyshev = _chebyshev(degree)
        factor = inner[-1] / chebyshev[-1]
        inner = [value - factor * chebyshev[k] for k, value in enumerate(inner[:-1])]
    outer = [Fraction(0)] * terms
    for coefficient in reversed(inner):
        outer = [-middle / half * value + (outer[k - 1] / half if k else 0) for k, value in enumerate(outer)]
        outer[0] += coefficient
    return tuple(float(value) for value in outer)


def _chebyshev(degree: int) -> list[int]:
    before, current = [1], [0, 1]
    for _ in range(degree - 1):
        following = [0, *(2 * value for value in current)]
        for k, value in enumerate(before):
            following[k] -= value
        before, current = current, following
    return current


# ln(m) / s in powers of s**2, with m = (1 + s) / (1 - s) between sqrt(1/2) and sqrt(2).
_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7 = economised(
    [Fraction(2, 2 * k + 1) for k in range(24)], low=Fraction(0), high=Fraction(29438, 10**6), terms=8
)
# 2**r for r between -1/2 and 1/2.
_LN2 = Fraction("0.693147180559945309417232121458176568")
_E0, _E1, _E2, _E3, _E4, _E5, _E6, _E7, _E8, _E9, _E10, _E11 = economised(
    [_LN2**k / math.factorial(k) for k in range(24)], low=Fraction(-1, 2), high=Fraction(1, 2), terms=12
)
_PER_LN2 = 1 / math.log(2)


@instruction
def bits_of(typingctx: Any, number: Any) -> Any:
    """`bits_of(x)`: the 64 bits of a float64 as an integer."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), generate


@instruction
def number_of(typingctx: Any, bits: Any) -> Any:
    """`number_of(i)`: the float64 that has these 64 bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), generate


# Each function comes in two steps, for two loops one after the other: a chain of dependent operations as
# long as both together leaves the processor waiting, because too few turns of the loop are in sight at once.


@instruction
def upper_bits(typingctx: Any, bits: Any) -> Any:
    """`upper_bits(i)`: the exponent's bits of 64, shifted without sign, for which AVX2 has an instruction."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.lshr(args[0], ir.Constant(ir.IntType(64), _MANTISSA_BITS))

    return types.int64(types.int64), generate


@inlined
def log2_start(x: float) -> tuple[float, float]:
    """Return what `log2_finish` makes log2(x) of; x is a number that is not negative, 0 counts as 2**-1023."""
    raised = bits_of(x) + _TO_BINADE
    exponent = number_of(upper_bits(raised) | _COUNTER)
    mantissa = number_of((raised & _MANTISSA_MASK) + _ROOT_HALF)
    return exponent, (mantissa - 1.0) / (mantissa + 1.0)


@inlined
def log2_and_inverse_start(x: float) -> tuple[float, float, float]:
    """Return what `log2_finish` makes log2(x) of, and 1 / x, of a positive normal number."""
    raised = bits_of(x) + _TO_BINADE
    exponent = number_of(upper_bits(raised) | _COUNTER)
    mantissa = number_of((raised & _MANTISSA_MASK) + _ROOT_HALF)
    common = 1.0 / ((mantissa + 1.0) * x)
    return exponent, (mantissa - 1.0) * (common * x), common * (mantissa + 1.0)


@inlined
def log2_finish(exponent: float, s: float) -> float:
    """Return the binary logarithm that `log2_start` was asked for."""
    z = s * s
    w = z * z
    even = _L0 + w * (_L2 + w * (_L4 + w * _L6))
    odd = _L1 + w * (_L3 + w * (_L5 + w * _L7))
    return float((exponent - _COUNTER_START) + s * (even + z * odd) * _PER_LN2)


@inlined
def exp2_start(x: float) -> tuple[float, float]:
    """Return what `exp2_finish` makes 2 to the power of x of, for x between -1000 and 1000."""
    shifted = x + _ROUNDER
    return shifted, x - (shifted - _ROUNDER)


@inlined
def exp2_finish(shifted: float, r: float) -> float:
    """Return the power that `exp2_start` was asked for."""
    z = r * r
    even = _E0 + z * (_E2 + z * (_E4 + z * (_E6 + z * (_E8 + z * _E10))))
    odd = _E1 + z * (_E3 + z * (_E5 + z * (_E7 + z * (_E9 + z * _E11))))
    result: float = number_of(bits_of(even + r * odd) + (bits_of(shifted) << _MANTISSA_BITS))
    return result


@inlined
def log2(x: float) -> float:
    """Return the binary logarithm of a number that is not negative; 0 counts as 2**-1023."""
    exponent, s = log2_start(x)
    return float(log2_finish(exponent, s))


@inlined
def log2_and_inverse(x: float) -> tuple[float, float]:
    """Return log2(x) and 1 / x of a positive normal number, for the price of one division."""
    exponent, s, inverse = log2_and_inverse_start(x)
    return log2_finish(exponent, s), inverse


@inlined
def exp2(x: float) -> float:
    """Return 2 to the power of x, for x between -1000 and 1000."""
    shifted, r = exp2_start(x)
    return float(exp2_finish(shifted, r))
