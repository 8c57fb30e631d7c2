"""The inverse Fourier transform that designs the NAL-R filter, rounded as NumPy 1 rounds it.

NumPy 2 uses another FFT library, and the gammatone filters would amplify the difference in the last bits.
The transform is a textbook radix-4 decimation in frequency; specific to NumPy 1 are the twiddle factors.
NumPy's table covers one octant: every eleventh angle (of 1024) and the ten angles after 0 come from the
series of sin(x) and cos(x) - 1, and the angles in between are sums of two of those. Here all of them are
correctly rounded, except for four that NumPy's series leave off by one unit in the last place.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray

POINTS = 1024
RADIX = 4
OCTANT = POINTS // 8
STRIDE = math.isqrt(OCTANT)
# Angle: NumPy's errors of cos(x) - 1 and of sin(x), in units in the last place.
NUMPY_ERRORS = {11: (0, -1), 55: (1, -1), 121: (1, 0)}
_PI = Fraction("3.14159265358979323846264338327950288419716939937510")
_TERMS = 12


def real_inverse(spectrum: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Return the real part of the inverse Fourier transform.

    Args:
        spectrum: (1024,) complex.

    Returns:
        (1024,) real part, including the factor 1/1024.
    """
    cosines, sines = _circle()
    real, imag = spectrum.real.copy(), spectrum.imag.copy()
    groups = 1
    while groups < POINTS:
        size = POINTS // (RADIX * groups)
        ar, br, cr, dr = real.reshape(groups, RADIX, size).swapaxes(0, 1)
        ai, bi, ci, di = imag.reshape(groups, RADIX, size).swapaxes(0, 1)
        even_r, even_i, diff_r, diff_i = ar + cr, ai + ci, ar - cr, ai - ci
        odd_r, odd_i, cross_r, cross_i = br + dr, bi + di, di - bi, br - dr
        parts_r = np.stack((even_r + odd_r, diff_r + cross_r, even_r - odd_r, diff_r - cross_r))
        parts_i = np.stack((even_i + odd_i, diff_i + cross_i, even_i - odd_i, diff_i - cross_i))
        angles = groups * np.multiply.outer(np.arange(RADIX), np.arange(size))[:, np.newaxis]
        c, s = cosines[angles], sines[angles]
        real, imag = (c * parts_r - s * parts_i).ravel(), (c * parts_i + s * parts_r).ravel()
        groups *= RADIX
    return np.asarray(real / POINTS)


@cache
def _circle() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the cosine and sine of the angles 2 pi k / 1024, each (1024,)."""
    cosine_minus_1, sine = np.zeros(OCTANT), np.zeros(OCTANT)
    for angle in range(1, STRIDE):
        cosine_minus_1[angle], sine[angle] = _sampled(angle)
    cosine = cosine_minus_1 + 1
    for start in range(STRIDE, OCTANT, STRIDE):
        c, s = _sampled(start)
        cosine[start], sine[start] = c + 1, s
        u, v = cosine_minus_1[1 : min(STRIDE, OCTANT - start)], sine[1 : min(STRIDE, OCTANT - start)]
        cosine[start + 1 : start + STRIDE] = (c * u - s * v + c) + u + 1
        sine[start + 1 : start + STRIDE] = (c * v + s * u) + s + v
    half = math.sqrt(0.5)
    cosines = np.concatenate((cosine, [half], sine[:0:-1]))
    sines = np.concatenate((sine, [half], cosine[:0:-1]))
    return (
        np.concatenate((cosines, -sines, -cosines, sines)),
        np.concatenate((sines, cosines, -sines, -cosines)),
    )


def _sampled(angle: int) -> tuple[float, float]:
    """Return cos(x) - 1 and sin(x) at x = 2 pi angle / 1024, as NumPy's table has them."""
    x = 2 * _PI * angle / POINTS
    cosine_minus_1 = sum((-1) ** k * x ** (2 * k) / math.factorial(2 * k) for k in range(1, _TERMS))
    sine = sum((-1) ** k * x ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(_TERMS))
    errors = NUMPY_ERRORS.get(angle, (0, 0))
    found = [float(value) for value in (cosine_minus_1, sine)]
    for k, error in enumerate(errors):
        if error:
            found[k] = math.nextafter(found[k], error * math.inf)
    return found[0], found[1]
