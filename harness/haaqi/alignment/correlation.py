"""The lag of the greatest cross-correlation of two whole signals, over all lags.

A real signal is transformed as a complex one of half as many points, even samples in the real and odd ones
in the imaginary part (Press et al., Numerical Recipes, section 12.3), and these points as a table: its
columns, then a turn of each element, then its rows (Bailey 1990, "FFTs in external or hierarchical memory").
SciPy's short transforms take a third of the time of its long ones, and keep no long table of factors. The
answer is given only where rounding can't change it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from harness.haaqi.kernels.compilation import fused
from harness.haaqi.kernels.signals import Signal

DOUBT = 64.0  # units of rounding of the product of both norms, by which two peaks must differ
BLOCK = 64  # elements for which a phase is advanced by multiplication


def half_spectrum(signal: Signal) -> NDArray[np.complexfloating]:
    """Return the transform of a signal's even and odd samples, padded so that no lag meets another.

    Args:
        signal: (n,) samples.

    Returns:
        (rows, columns) in the signal's precision, n points or more; point k stands in row k % rows.
    """
    columns = fft.next_fast_len(math.isqrt(len(signal)) + 1)
    rows = fft.next_fast_len(-(-len(signal) // columns))
    padded = np.zeros(2 * rows * columns, dtype=signal.dtype)
    padded[: len(signal)] = signal
    table = padded.view(np.result_type(signal.dtype, np.complex64)).reshape(rows, columns)
    table = fft.fft(table, axis=0, overwrite_x=True)
    _turn(table, -1.0)
    return np.asarray(fft.fft(table, axis=1, overwrite_x=True))


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
    values = _correlation(half_spectrum(ours) if spectrum is None else spectrum, half_spectrum(theirs))
    np.abs(values, out=values)
    place = int(np.argmax(values))
    peak = float(values[place])
    values[place] = 0.0
    norm = math.sqrt(float(np.dot(ours, ours)) * float(np.dot(theirs, theirs)))
    if not float(np.max(values)) < peak - DOUBT * float(np.finfo(ours.dtype).eps) * norm:
        return None
    return place if place < len(ours) else place - len(values)


def _correlation(ours: NDArray[np.complexfloating], theirs: NDArray[np.complexfloating]) -> Signal:
    """Return the cross-correlation from two half spectra, the second of which is overwritten."""
    _correlate(ours, theirs)
    table = fft.ifft(theirs, axis=1, overwrite_x=True)
    _turn(table, 1.0)
    pairs = np.asarray(fft.ifft(table, axis=0, overwrite_x=True))
    return pairs.ravel().view(pairs.real.dtype)


@fused
def _turn(table: NDArray[Any], sign: float) -> None:
    """Turn element (j, k) of a table of n elements by 2 pi j k / n."""
    rows, columns = table.shape
    for j in range(rows):
        step = sign * 2.0 * math.pi * j / (rows * columns)
        turn = complex(math.cos(step), math.sin(step))
        for start in range(0, columns, BLOCK):
            phase = complex(math.cos(step * start), math.sin(step * start))
            for k in range(start, min(start + BLOCK, columns)):
                table[j, k] *= phase
                phase *= turn


@fused
def _correlate(ours: NDArray[Any], theirs: NDArray[Any]) -> None:
    """Turn `theirs`, in place, into the half spectrum of the cross-correlation."""
    rows, columns = ours.shape
    step = math.pi / columns
    turn_r, turn_i = math.cos(step), -math.sin(step)
    # Each element is joined with that of the mirrored frequency: row 0 and perhaps a middle row with itself.
    for j in range(rows // 2 + 1):
        other = (rows - j) % rows
        last = columns if other != j else columns // 2 + 1 if j == 0 else -(-columns // 2)
        offset = math.pi * j / (rows * columns)
        for start in range(0, last, BLOCK):
            wr, wi = math.cos(step * start + offset), -math.sin(step * start + offset)
            for k in range(start, min(start + BLOCK, last)):
                mirror = columns - 1 - k if j > 0 else (columns - k) % columns
                # Of both signals: the spectrum here, and the conjugate of that at the mirrored frequency.
                xr, xi, ur, ui = _untangled(ours[j, k], ours[other, mirror], wr, wi)
                yr, yi, vr, vi = _untangled(theirs[j, k], theirs[other, mirror], wr, wi)
                pr, pi = xr * yr + xi * yi, xr * yi - xi * yr
                qr, qi = ur * vr + ui * vi, ur * vi - ui * vr
                even_r, even_i = (pr + qr) * 0.5, (pi + qi) * 0.5
                gap_r, gap_i = (pr - qr) * 0.5, (pi - qi) * 0.5
                odd_r, odd_i = gap_r * wr + gap_i * wi, gap_i * wr - gap_r * wi
                theirs[j, k] = complex(even_r - odd_i, even_i + odd_r)
                theirs[other, mirror] = complex(even_r + odd_i, odd_r - even_i)
                wr, wi = wr * turn_r - wi * turn_i, wr * turn_i + wi * turn_r


@fused
def _untangled(here: complex, there: complex, wr: float, wi: float) -> tuple[float, float, float, float]:
    """Return a real signal's spectrum, and the mirrored one's conjugate, from its pairs' at both places."""
    even_r, even_i = (here.real + there.real) * 0.5, (here.imag - there.imag) * 0.5
    odd_r, odd_i = (here.imag + there.imag) * 0.5, (there.real - here.real) * 0.5
    turned_r, turned_i = odd_r * wr - odd_i * wi, odd_r * wi + odd_i * wr
    return even_r + turned_r, even_i + turned_i, even_r - turned_r, even_i - turned_i
