"""The NAL-R filter: linear amplification for a hearing loss.

Conventions: an audiogram is a list of frequencies in Hz and a list of hearing levels in dB HL; a signal is a
one-dimensional array with full scale ±1. The filter has the gains of `validator.checks.nalr` and the design of
pyclarity 0.3.2 (`clarity.enhancer.nalr`): a linear-phase FIR filter by frequency sampling, on a grid of 513 bins
and with a Hamming window, like MATLAB's `fir2`. Tests compare it with pyclarity (within 1e-12).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from validator.challenge.rules import CAD1
from validator.checks.nalr import FREQUENCIES, is_normal_hearing, nalr_gains

Samples = NDArray[np.float64]

NALR_ORDER = CAD1.tail  # of the recipe's filter at 44.1 kHz; its delay is half of it
_GRID = 512  # half the length of the transform from the response to the taps

_BLOCK = 4096  # samples of one transform in the overlap-save convolution
_BATCH = 16  # transforms at a time: fits the cache and limits the memory


def nalr_taps(
    *,
    frequencies: Sequence[float],
    levels: Sequence[float],
    sample_rate: float = 44100.0,
    order: int = NALR_ORDER,
) -> Samples:
    """Taps of the NAL-R filter for one ear.

    Args:
        frequencies: Frequencies of the audiogram in Hz, increasing, covering 250 to 6000 Hz.
        levels: Hearing levels in dB HL, one for each frequency.
        sample_rate: Sample rate in Hz, above 12000.
        order: Order of the filter, even; its delay is `order // 2` samples.

    Returns:
        `order + 1` taps. With normal hearing (no level above 0 dB HL at the frequencies of NAL-R) the filter is a
        pure delay.

    Raises:
        ValueError: An argument is invalid.
    """
    measured = np.asarray(frequencies, dtype=np.float64)
    loss = np.asarray(levels, dtype=np.float64)
    if measured.ndim != 1 or measured.shape != loss.shape or not np.all(np.diff(measured) > 0):
        raise ValueError("an audiogram needs increasing frequencies and one hearing level for each")
    wanted = np.array(FREQUENCIES, dtype=np.float64)
    if measured[0] > wanted[0] or measured[-1] < wanted[-1]:
        raise ValueError(
            f"an audiogram must cover 250 to 6000 Hz; this one covers {measured[0]:g} to {measured[-1]:g} Hz"
        )
    nyquist = sample_rate / 2
    if nyquist <= wanted[-1]:
        raise ValueError(f"NAL-R needs a sample rate above {2 * wanted[-1]:g} Hz, not {sample_rate:g} Hz")
    if order < 2 or order % 2:
        raise ValueError(f"the filter's order must be even and at least 2, not {order}")

    loss = np.interp(wanted, measured, loss)
    gains = nalr_gains(loss)
    if is_normal_hearing(loss):
        flat = np.zeros(order + 1)
        flat[order // 2] = 1.0
        return flat
    breakpoints = np.linspace(0, order, order + 1) / order
    corners = np.concatenate(([0.0], wanted, [nyquist]))
    decibels = np.interp(nyquist * breakpoints, corners, np.concatenate((gains[:1], gains, gains[-1:])))
    return _frequency_sampling(breakpoints, 10.0 ** (decibels / 20.0))


def _frequency_sampling(breakpoints: Samples, gains: Samples) -> Samples:
    """Linear-phase taps, as many as breakpoints, with linear gains at the breakpoints.

    Args:
        breakpoints: Increasing frequencies from 0 to 1 (Nyquist).
        gains: Linear gain at each breakpoint.
    """
    bins = _GRID + 1
    # Each span between two breakpoints has the bins after the last bin of the span before it, and reaches
    # the gain at its end in its last bin. A span of one bin has the gain at its start.
    last = np.trunc(breakpoints[1:] * bins).astype(np.int64) - 1
    first = np.concatenate(([0], last[:-1] + 1))
    response = np.empty(bins)
    for span, (low, high) in enumerate(zip(first, last, strict=True)):
        here = np.arange(low, high + 1)
        share = np.zeros(len(here)) if low == high else (here - low) / (high - low)
        response[low : high + 1] = share * gains[span + 1] + (1 - share) * gains[span]
    count = len(breakpoints)
    delay = (count - 1) / 2
    half = response * np.exp(-1j * np.pi * delay * np.arange(bins) / _GRID)
    # Like the real part of the full transform, irfft uses the real part at Nyquist.
    impulse = np.fft.irfft(half, 2 * _GRID)
    return impulse[:count] * np.hamming(count)


def convolve(
    signal: NDArray[np.floating], taps: Samples, *, start: int = 0, stop: int | None = None
) -> Samples:
    """Samples `start` to `stop` of the full convolution of a signal with a filter.

    Overlap-save with transforms of 4096 samples, batch by batch: besides input and output it needs less than
    2 MB, whatever the length. It differs from `numpy.convolve` only by rounding (about 1e-15 of the peak); the
    result of a block of zeros is zeros.

    Args:
        signal: One-dimensional.
        taps: The filter, at most 2048 taps.
        start: First sample.
        stop: One past the last sample; None, or a value beyond it, for the end of the full convolution,
            `len(signal) + len(taps) - 1`.

    Returns:
        `stop - start` samples, float64; empty if the range is empty.

    Raises:
        ValueError: The signal is empty or not one-dimensional, or the filter is too long.
    """
    if signal.ndim != 1 or not len(signal):
        raise ValueError(
            f"the signal must have one dimension and at least one sample, not shape {signal.shape}"
        )
    if taps.ndim != 1 or not 0 < len(taps) <= _BLOCK // 2:
        raise ValueError(f"the filter must have 1 to {_BLOCK // 2} taps, not shape {taps.shape}")
    full = len(signal) + len(taps) - 1
    end = full if stop is None else min(stop, full)
    wanted = max(end - start, 0)
    history = len(taps) - 1
    step = _BLOCK - history
    blocks = -(-wanted // step)
    spectrum = np.fft.rfft(taps, _BLOCK)
    out = np.empty(blocks * step)
    for block in range(0, blocks, _BATCH):
        count = min(_BATCH, blocks - block)
        here = start + block * step - history
        low, high = max(here, 0), min(here + (count - 1) * step + _BLOCK, len(signal))
        stretch = np.zeros((count - 1) * step + _BLOCK)
        if high > low:
            stretch[low - here : high - here] = signal[low:high]
        frames = np.lib.stride_tricks.sliding_window_view(stretch, _BLOCK)[::step]
        filtered = np.fft.irfft(np.fft.rfft(frames, axis=1) * spectrum, _BLOCK, axis=1)
        out[block * step : (block + count) * step] = filtered[:, history:].reshape(-1)
    return out[:wanted]
