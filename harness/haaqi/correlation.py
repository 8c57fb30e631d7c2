"""The lag of the greatest cross-correlation of two whole signals, over all lags.

Real signals of n samples are transformed as complex ones of half as many points, even samples in the real
and odd ones in the imaginary part (Press et al., Numerical Recipes, section 12.3): SciPy takes a third of
the time of its own real transforms for them. The answer is given only where rounding cannot change it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from .kernel import fused
from .signals import Signal

DOUBT = 64.0  # units of rounding of the product of both norms, by which two peaks must differ
BLOCK = 64  # points for which the phase is advanced by multiplication


def half_spectrum(signal: Signal) -> NDArray[np.complexfloating]:
    """Return the transform of a signal's even and odd samples, padded so that no lag meets another.

    Args:
        signal: (n,) samples.

    Returns:
        (m,) points in the signal's precision, m at least n.
    """
    points = fft.next_fast_len(len(signal))
    padded = np.zeros(2 * points, dtype=signal.dtype)
    padded[: len(signal)] = signal
    pairs = padded.view(np.result_type(signal.dtype, np.complex64))
    return np.asarray(fft.fft(pairs, overwrite_x=True))


def greatest_lag(
    ours: Signal, theirs: Signal, *, spectrum: NDArray[np.complexfloating] | None = None
) -> int | None:
    """Return the lag d with the greatest magnitude of the sum of ours[t] * theirs[t + d].

    Args:
        ours: (n,) samples.
        theirs: (n,) samples of the same precision.
        spectrum: `half_spectrum(ours)`, if it is there already.

    Returns:
        The lag, or None where another one's magnitude is so near that rounding errors could decide.
    """
    product = half_spectrum(theirs)
    _correlate(half_spectrum(ours) if spectrum is None else spectrum, product)
    values = np.asarray(fft.ifft(product, overwrite_x=True)).view(ours.dtype)
    del product
    np.abs(values, out=values)
    place = int(np.argmax(values))
    peak = float(values[place])
    values[place] = 0.0
    norm = math.sqrt(float(np.dot(ours, ours)) * float(np.dot(theirs, theirs)))
    if not float(np.max(values)) < peak - DOUBT * float(np.finfo(ours.dtype).eps) * norm:
        return None
    return place if place < len(ours) else place - len(values)


@fused
def _correlate(ours: NDArray[Any], theirs: NDArray[Any]) -> None:
    """Turn `theirs`, in place, into the transform of the pairs of the cross-correlation.

    Args:
        ours: (m,) of `half_spectrum`.
        theirs: the same of the other signal.
    """
    points = len(ours)
    step = math.pi / points
    turn_r, turn_i = math.cos(step), -math.sin(step)
    for start in range(0, points // 2 + 1, BLOCK):
        wr, wi = math.cos(step * start), -math.sin(step * start)
        for k in range(start, min(start + BLOCK, points // 2 + 1)):
            mirror = points - k if k > 0 else 0
            # Of both signals: the spectrum at k, and the conjugate of that at `mirror`.
            xr, xi, ur, ui = _untangled(ours[k], ours[mirror], wr, wi)
            yr, yi, vr, vi = _untangled(theirs[k], theirs[mirror], wr, wi)
            pr, pi = xr * yr + xi * yi, xr * yi - xi * yr
            qr, qi = ur * vr + ui * vi, ur * vi - ui * vr
            even_r, even_i = (pr + qr) * 0.5, (pi + qi) * 0.5
            gap_r, gap_i = (pr - qr) * 0.5, (pi - qi) * 0.5
            odd_r, odd_i = gap_r * wr + gap_i * wi, gap_i * wr - gap_r * wi
            theirs[k] = complex(even_r - odd_i, even_i + odd_r)
            theirs[mirror] = complex(even_r + odd_i, odd_r - even_i)
            wr, wi = wr * turn_r - wi * turn_i, wr * turn_i + wi * turn_r


@fused
def _untangled(here: complex, there: complex, wr: float, wi: float) -> tuple[float, float, float, float]:
    """Return a real signal's spectrum at k, and the conjugate of that at m - k, from its pairs' at both."""
    even_r, even_i = (here.real + there.real) * 0.5, (here.imag - there.imag) * 0.5
    odd_r, odd_i = (here.imag + there.imag) * 0.5, (there.real - here.real) * 0.5
    turned_r, turned_i = odd_r * wr - odd_i * wi, odd_r * wi + odd_i * wr
    return even_r + turned_r, even_i + turned_i, even_r - turned_r, even_i - turned_i
