"""Base-2 logarithm and exponential for vectorised loops, accurate to a few units in the last place.

The C library's functions take one number at a time. These consist of plain arithmetic, which LLVM
vectorises. Arguments must be finite. The polynomials are Taylor series, shortened by Chebyshev
economisation in exact fractions when the module is imported.

Each function comes in two steps, for two loops one after the other: a dependency chain as long as both
steps together stalls the processor, because too few iterations fit into its reorder window.
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
_BINADE_SHIFT = ONE_BITS - _ROOT_HALF
_TWO_52_BITS = 0x433 << _MANTISSA_BITS  # the bits of 2**52, whose last bit has the weight 1
_EXPONENT_OFFSET = float(2**52 + 1023)
_ROUNDER = 1.5 * 2.0**52  # adding it rounds to an integer


def economised(series: Sequence[Fraction], *, low: Fraction, high: Fraction, terms: int) -> tuple[float, ...]:
    """Shorten a power series, spreading the truncation error evenly over an interval.

    Args:
        series: coefficients of x**0, x**1, ...
        low: lower end of the interval.
        high: upper end of the interval.
        terms: number of coefficients to keep.

    Returns:
        (terms,) coefficients of the shorter polynomial.
    """
    middle, half = (high + low) / 2, (high - low) / 2
    # Substitute x = middle + half * t, so that t covers -1 to 1.
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
    """`number_of(i)`: the float64 with these 64 bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), generate


@instruction
def upper_bits(typingctx: Any, bits: Any) -> Any:
    """`upper_bits(i)`: i logically shifted right by 52 bits; AVX2 has no arithmetic 64-bit shift."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.lshr(args[0], ir.Constant(ir.IntType(64), _MANTISSA_BITS))

    return types.int64(types.int64), generate


@inlined
def log2_start(x: float) -> tuple[float, float]:
    """Return the intermediate values from which `log2_finish` computes log2(x).

    Args:
        x: not negative; 0 counts as 2**-1023.
    """
    raised = bits_of(x) + _BINADE_SHIFT
    exponent = number_of(upper_bits(raised) | _TWO_52_BITS)
    mantissa = number_of((raised & _MANTISSA_MASK) + _ROOT_HALF)
    return exponent, (mantissa - 1.0) / (mantissa + 1.0)


@inlined
def log2_and_inverse_start(x: float) -> tuple[float, float, float]:
    """Return the two intermediate values for `log2_finish`, and 1 / x, with a single division.

    Args:
        x: a positive normal number.
    """
    raised = bits_of(x) + _BINADE_SHIFT
    exponent = number_of(upper_bits(raised) | _TWO_52_BITS)
    mantissa = number_of((raised & _MANTISSA_MASK) + _ROOT_HALF)
    common = 1.0 / ((mantissa + 1.0) * x)
    return exponent, (mantissa - 1.0) * (common * x), common * (mantissa + 1.0)


@inlined
def log2_finish(exponent: float, s: float) -> float:
    """Return log2(x) from the values that `log2_start` or `log2_and_inverse_start` returned."""
    z = s * s
    w = z * z
    even = _L0 + w * (_L2 + w * (_L4 + w * _L6))
    odd = _L1 + w * (_L3 + w * (_L5 + w * _L7))
    return float((exponent - _EXPONENT_OFFSET) + s * (even + z * odd) * _PER_LN2)


@inlined
def exp2_start(x: float) -> tuple[float, float]:
    """Return the intermediate values from which `exp2_finish` computes 2**x.

    Args:
        x: between -1000 and 1000.
    """
    shifted = x + _ROUNDER
    return shifted, x - (shifted - _ROUNDER)


@inlined
def exp2_finish(shifted: float, r: float) -> float:
    """Return 2**x from the values that `exp2_start` returned."""
    z = r * r
    even = _E0 + z * (_E2 + z * (_E4 + z * (_E6 + z * (_E8 + z * _E10))))
    odd = _E1 + z * (_E3 + z * (_E5 + z * (_E7 + z * (_E9 + z * _E11))))
    result: float = number_of(bits_of(even + r * odd) + (bits_of(shifted) << _MANTISSA_BITS))
    return result


@inlined
def exp2(x: float) -> float:
    """Return 2**x, for x between -1000 and 1000."""
    shifted, r = exp2_start(x)
    return float(exp2_finish(shifted, r))
