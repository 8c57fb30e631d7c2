"""NAL-R: the linear amplification that the challenge prescribes for a hearing loss.

Conventions: an audiogram is a list of frequencies in Hz and of hearing levels in dB HL at them; a signal
is a one-dimensional array, full scale ±1. The filter is the one that pyclarity 0.3.2 designs
(`clarity.enhancer.nalr`), to which `tests/enhance` holds it within 1e-12.

Sources:
    Byrne & Dillon (1986), "The National Acoustic Laboratories' (NAL) new procedure for selecting the gain
    and frequency response of a hearing aid", Ear and Hearing 7(4): the prescription.
    Frequency-sampling design of a linear-phase FIR filter, on a grid of 513 bins and with a Hamming window
    (as MATLAB's `fir2`): the filter.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Samples = NDArray[np.float64]

PRESCRIPTION_FREQUENCIES = (250, 500, 1000, 2000, 4000, 6000)  # Hz, where NAL-R prescribes a gain
NALR_ORDER = 220  # the challenge's filter, at 44.1 kHz; it delays by half of that
_BIAS = (-17.0, -8.0, 1.0, -1.0, -2.0, -2.0)  # dB, Byrne & Dillon's k for each frequency
_KNEE = 180.0  # dB, summed loss at 500, 1000 and 2000 Hz above which the gain grows more slowly
_GRID = 512  # half the length of the transform that turns the response into taps

_BLOCK = 4096  # samples of one transform in the overlap-save convolution
_BATCH = 16  # transforms at a time: fits the cache, bounds the memory


def nalr_gains(levels: ArrayLike) -> Samples:
    """Insertion gains for one ear, in dB, at `PRESCRIPTION_FREQUENCIES`.

    Args:
        levels: The six hearing levels at those frequencies, dB HL.

    Returns:
        Six gains, none below 0 dB (Byrne & Dillon 1986, with the 0.116 slope above 180 dB summed loss).

    Raises:
        ValueError: The levels are not six finite numbers.
    """
    loss = np.asarray(levels, dtype=np.float64)
    if loss.shape != (len(PRESCRIPTION_FREQUENCIES),) or not np.all(np.isfinite(loss)):
        raise ValueError(f"NAL-R takes six finite hearing levels in dB HL, not {levels!r}")
    summed = loss[1] + loss[2] + loss[3]
    common = 0.05 * summed if summed <= _KNEE else 9.0 + 0.116 * (summed - _KNEE)
    gains: Samples = np.maximum(common + 0.31 * loss + np.array(_BIAS), 0.0)
    return gains


def nalr_taps(
    *,
    frequencies: Sequence[float],
    levels: Sequence[float],
    sample_rate: float = 44100.0,
    order: int = NALR_ORDER,
) -> Samples:
    """Taps of the NAL-R filter for one ear.

    Args:
        frequencies: The audiogram's frequencies in Hz, rising, covering 250 to 6000 Hz.
        levels: Its hearing levels in dB HL, one for each frequency.
        sample_rate: Hz, above 12000.
        order: Order of the filter, even; its delay is `order // 2` samples.

    Returns:
        `order + 1` taps. Where no level at the six prescription frequencies is above 0 dB HL the filter
        only delays.

    Raises:
        ValueError: An argument is out of its range.
    """
    heard = np.asarray(frequencies, dtype=np.float64)
    loss = np.asarray(levels, dtype=np.float64)
    if heard.ndim != 1 or heard.shape != loss.shape or not np.all(np.diff(heard) > 0):
        raise ValueError("an audiogram needs rising frequencies and one hearing level for each")
    wanted = np.array(PRESCRIPTION_FREQUENCIES, dtype=np.float64)
    if heard[0] > wanted[0] or heard[-1] < wanted[-1]:
        raise ValueError(
            f"an audiogram must cover 250 to 6000 Hz, this one has {heard[0]:g} to {heard[-1]:g} Hz"
        )
    nyquist = sample_rate / 2
    if nyquist <= wanted[-1]:
        raise ValueError(f"NAL-R needs a sample rate above {2 * wanted[-1]:g} Hz, not {sample_rate:g} Hz")
    if order < 2 or order % 2:
        raise ValueError(f"the filter's order must be even and at least 2, not {order}")

    loss = np.interp(wanted, heard, loss)
    gains = nalr_gains(loss)
    if np.max(loss) <= 0:
        flat = np.zeros(order + 1)
        flat[order // 2] = 1.0
        return flat
    breakpoints = np.linspace(0, order, order + 1) / order
    corners = np.concatenate(([0.0], wanted, [nyquist]))
    decibels = np.interp(nyquist * breakpoints, corners, np.concatenate((gains[:1], gains, gains[-1:])))
    return _frequency_sampling(breakpoints, 10.0 ** (decibels / 20.0))


def _frequency_sampling(breakpoints: Samples, gains: Samples) -> Samples:
    """Linear-phase taps, as many as breakpoints, of a response given by linear gains at `breakpoints`.

    Args:
        breakpoints: Rising frequencies from 0 to 1 (Nyquist).
        gains: Linear gain at each.
    """
    bins = _GRID + 1
    # Each span between two breakpoints owns the bins after the last of the span before it, and reaches
    # the gain of its own end in its last bin. A span of one bin has the gain of its start.
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
    # irfft takes the real part at Nyquist, as the real part of the full transform does.
    impulse = np.fft.irfft(half, 2 * _GRID)
    return impulse[:count] * np.hamming(count)


def convolve(
    signal: NDArray[np.floating], taps: Samples, *, start: int = 0, stop: int | None = None
) -> Samples:
    """Samples `start` to `stop` of the full convolution of a signal with a filter.

    Overlap-save with transforms of 4096 samples, batch by batch: the memory beside input and output is
    under 2 MB whatever the length. Differs from `numpy.convolve` by rounding only (some 1e-15 of the
    peak); where a block of the signal is all zeros, so is its result.

    Args:
        signal: One-dimensional.
        taps: The filter, at most 2048 taps.
        start: First sample wanted.
        stop: One past the last wanted; the end of the full convolution, `len(signal) + len(taps) - 1`,
            where None or beyond it.

    Returns:
        `stop - start` samples, float64; none where the range is empty.

    Raises:
        ValueError: The signal is not one-dimensional or empty, or the filter is too long.
    """
    if signal.ndim != 1 or not len(signal):
        raise ValueError(
            f"a signal of one dimension and at least one sample is needed, not shape {signal.shape}"
        )
    if taps.ndim != 1 or not 0 < len(taps) <= _BLOCK // 2:
        raise ValueError(f"a filter of 1 to {_BLOCK // 2} taps is needed, not shape {taps.shape}")
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
