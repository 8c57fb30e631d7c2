"""The peak of the cross-correlation of two whole signals, over all lags.

A real signal is transformed as a complex signal of half as many points, with even samples in the real part
and odd samples in the imaginary part (Press et al., Numerical Recipes, section 12.3). These points form a
table, which is transformed by columns, multiplied by twiddle factors and transformed by rows (Bailey 1990,
"FFTs in external or hierarchical memory"). SciPy's short transforms take a third of the time of its long
ones and keep no long table of factors. A lag is returned only if rounding errors cannot change it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from harness.haaqi.kernels.compilation import fused
from harness.haaqi.kernels.signals import Signal

TIE_MARGIN = 64.0  # rounding units of the product of both norms by which the peak must exceed all other lags
PHASE_BLOCK = 64  # elements over which a phase is advanced by multiplication


def half_spectrum(signal: Signal) -> NDArray[np.complexfloating]:
    """Return the transform of a signal's even and odd samples, zero-padded against circular overlap.

    Args:
        signal: (n,) samples.

    Returns:
        (rows, columns) in the signal's precision, n points or more; point k is in row k % rows.
    """
    columns = fft.next_fast_len(math.isqrt(len(signal)) + 1)
    rows = fft.next_fast_len(-(-len(signal) // columns))
    padded = np.zeros(2 * rows * columns, dtype=signal.dtype)
    padded[: len(signal)] = signal
    table = padded.view(np.result_type(signal.dtype, np.complex64)).reshape(rows, columns)
    table = fft.fft(table, axis=0, overwrite_x=True)
    _apply_twiddles(table, -1.0)
    return np.asarray(fft.fft(table, axis=1, overwrite_x=True))


def peak_lag(
    reference: Signal, processed: Signal, *, spectrum: NDArray[np.complexfloating] | None = None
) -> int | None:
    """Return the lag d at which the sum of reference[t] * processed[t + d] has the greatest magnitude.

    Args:
        reference: (n,) samples.
        processed: (n,) samples of the same precision.
        spectrum: `half_spectrum(reference)`, if it has been computed already.

    Returns:
        The lag, or None if another lag's magnitude is so close that rounding errors could decide.
    """
    values = _correlation(
        half_spectrum(reference) if spectrum is None else spectrum, half_spectrum(processed)
    )
    np.abs(values, out=values)
    index = int(np.argmax(values))
    peak = float(values[index])
    values[index] = 0.0
    norm = math.sqrt(float(np.dot(reference, reference)) * float(np.dot(processed, processed)))
    if not float(np.max(values)) < peak - TIE_MARGIN * float(np.finfo(reference.dtype).eps) * norm:
        return None
    return index if index < len(reference) else index - len(values)


def _correlation(reference: NDArray[np.complexfloating], processed: NDArray[np.complexfloating]) -> Signal:
    """Return the cross-correlation from two half spectra; the second is overwritten."""
    _cross_spectrum(reference, processed)
    table = fft.ifft(processed, axis=1, overwrite_x=True)
    _apply_twiddles(table, 1.0)
    pairs = np.asarray(fft.ifft(table, axis=0, overwrite_x=True))
    return pairs.ravel().view(pairs.real.dtype)


@fused
def _apply_twiddles(table: NDArray[Any], sign: float) -> None:
    """Rotate element (j, k) of a table of n elements by the angle sign * 2 pi j k / n, in place.

    Args:
        table: (rows, columns) complex.
        sign: -1 for a forward transform, 1 for an inverse one.
    """
    rows, columns = table.shape
    for j in range(rows):
        step = sign * 2.0 * math.pi * j / (rows * columns)
        rotation = complex(math.cos(step), math.sin(step))
        for start in range(0, columns, PHASE_BLOCK):
            phase = complex(math.cos(step * start), math.sin(step * start))
            for k in range(start, min(start + PHASE_BLOCK, columns)):
                table[j, k] *= phase
                phase *= rotation


@fused
def _cross_spectrum(reference: NDArray[Any], processed: NDArray[Any]) -> None:
    """Compute the half spectrum of the cross-correlation in place of the processed signal's.

    Args:
        reference: (rows, columns) half spectrum.
        processed: (rows, columns) half spectrum, overwritten.
    """
    rows, columns = reference.shape
    step = math.pi / columns
    step_r, step_i = math.cos(step), -math.sin(step)
    # Each element is combined with that of the mirrored frequency. Row 0 and, with an even number of rows, the
    # middle row contain their own mirrored elements.
    for j in range(rows // 2 + 1):
        other = (rows - j) % rows
        last = columns if other != j else columns // 2 + 1 if j == 0 else -(-columns // 2)
        offset = math.pi * j / (rows * columns)
        for start in range(0, last, PHASE_BLOCK):
            wr, wi = math.cos(step * start + offset), -math.sin(step * start + offset)
            for k in range(start, min(start + PHASE_BLOCK, last)):
                mirror = columns - 1 - k if j > 0 else (columns - k) % columns
                # For each signal: the spectrum here, and the conjugate of the spectrum at the mirrored frequency.
                xr, xi, ur, ui = _real_spectrum(reference[j, k], reference[other, mirror], wr, wi)
                yr, yi, vr, vi = _real_spectrum(processed[j, k], processed[other, mirror], wr, wi)
                pr, pi = xr * yr + xi * yi, xr * yi - xi * yr
                qr, qi = ur * vr + ui * vi, ur * vi - ui * vr
                even_r, even_i = (pr + qr) * 0.5, (pi + qi) * 0.5
                diff_r, diff_i = (pr - qr) * 0.5, (pi - qi) * 0.5
                odd_r, odd_i = diff_r * wr + diff_i * wi, diff_i * wr - diff_r * wi
                processed[j, k] = complex(even_r - odd_i, even_i + odd_r)
                processed[other, mirror] = complex(even_r + odd_i, odd_r - even_i)
                wr, wi = wr * step_r - wi * step_i, wr * step_i + wi * step_r


@fused
def _real_spectrum(
    here: complex, mirrored: complex, wr: float, wi: float
) -> tuple[float, float, float, float]:
    """Return a real signal's spectrum at a frequency, and its conjugate at the mirrored one.

    Args:
        here: half spectrum at the frequency.
        mirrored: half spectrum at the mirrored frequency.
        wr: real part of the twiddle factor.
        wi: imaginary part of the twiddle factor.
    """
    even_r, even_i = (here.real + mirrored.real) * 0.5, (here.imag - mirrored.imag) * 0.5
    odd_r, odd_i = (here.imag + mirrored.imag) * 0.5, (mirrored.real - here.real) * 0.5
    turned_r, turned_i = odd_r * wr - odd_i * wi, odd_r * wi + odd_i * wr
    return even_r + turned_r, even_i + turned_i, even_r - turned_r, even_i - turned_i
