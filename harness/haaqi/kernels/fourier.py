"""The inverse Fourier transform that NAL-R's filter is made with, rounded as NumPy 1 rounds it.

NumPy 2 transforms by other code, whose last bits the gammatone filters would amplify. The transform
is of radix 4 and decimates in frequency, which any textbook has; what is NumPy 1's own are the
factors. Its table of an octant has every eleventh angle (of 1024) and the ten angles after 0 from the
series of the sine and of the cosine less 1; the angles between are sums of two of those. All of these
are rounded correctly here, but for four that NumPy's series leave one unit in the last place off.
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
# By angle: whether the cosine less 1 and the sine are a unit too high (1) or too low (-1).
OFF = {11: (0, -1), 55: (1, -1), 121: (1, 0)}
_PI = Fraction("3.14159265358979323846264338327950288419716939937510")
_TERMS = 12


def inverse(spectrum: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Return the real part of the inverse Fourier transform of 1024 numbers.

    Args:
        spectrum: (1024,).
    """
    cosines, sines = _circle()
    real, imag = spectrum.real.copy(), spectrum.imag.copy()
    groups = 1
    while groups < POINTS:
        size = POINTS // (RADIX * groups)
        ar, br, cr, dr = real.reshape(groups, RADIX, size).swapaxes(0, 1)
        ai, bi, ci, di = imag.reshape(groups, RADIX, size).swapaxes(0, 1)
        even_r, even_i, gap_r, gap_i = ar + cr, ai + ci, ar - cr, ai - ci
        odd_r, odd_i, turn_r, turn_i = br + dr, bi + di, di - bi, br - dr
        parts_r = np.stack((even_r + odd_r, gap_r + turn_r, even_r - odd_r, gap_r - turn_r))
        parts_i = np.stack((even_i + odd_i, gap_i + turn_i, even_i - odd_i, gap_i - turn_i))
        angles = groups * np.multiply.outer(np.arange(RADIX), np.arange(size))[:, np.newaxis]
        c, s = cosines[angles], sines[angles]
        real, imag = (c * parts_r - s * parts_i).ravel(), (c * parts_i + s * parts_r).ravel()
        groups *= RADIX
    return np.asarray(real / POINTS)


@cache
def _circle() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return cosine and sine of 1024 angles from 0 on, in steps of a 1024th of the circle."""
    lowered, sine = np.zeros(OCTANT), np.zeros(OCTANT)
    for angle in range(1, STRIDE):
        lowered[angle], sine[angle] = _sampled(angle)
    cosine = lowered + 1
    for start in range(STRIDE, OCTANT, STRIDE):
        c, s = _sampled(start)
        cosine[start], sine[start] = c + 1, s
        u, v = lowered[1 : min(STRIDE, OCTANT - start)], sine[1 : min(STRIDE, OCTANT - start)]
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
    """Return the cosine less 1 and the sine of an angle as the table has them."""
    x = 2 * _PI * angle / POINTS
    lowered = sum((-1) ** k * x ** (2 * k) / math.factorial(2 * k) for k in range(1, _TERMS))
    sine = sum((-1) ** k * x ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(_TERMS))
    moves = OFF.get(angle, (0, 0))
    found = [float(value) for value in (lowered, sine)]
    for which, move in enumerate(moves):
        if move:
            found[which] = math.nextafter(found[which], move * math.inf)
    return found[0], found[1]
