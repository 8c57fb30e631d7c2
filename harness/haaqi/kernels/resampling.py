"""Resampling to 24 kHz, the model's sample rate, with the level preserved."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import cheby2, lfilter, resample_poly

from harness.haaqi.kernels.signals import Signal, rms

SAMPLE_RATE = 24000
LEVEL_FILTER_ORDER = 7
LEVEL_FILTER_STOPBAND = 30
LEVEL_BAND_KHZ = 21


def resample(signal: Signal, *, sample_rate: float) -> NDArray[np.floating]:
    """Resample a signal to 24 kHz and restore its level.

    The sample rate is rounded to whole kHz. A signal from a lower rate keeps its RMS. A signal from a higher
    rate keeps its RMS below 10.5 kHz, so that content above the model's range does not affect the level.

    Args:
        signal: (n,) samples.
        sample_rate: Hz; at least 501.

    Returns:
        (m,) samples at 24 kHz; the signal itself if its rate is 24 kHz already.

    Raises:
        ValueError: the rate is below 1 kHz, or the resampled signal is silent.
    """
    target = round(SAMPLE_RATE / 1000)
    source = round(sample_rate / 1000)
    if source < 1:
        raise ValueError(f"A sample rate of {sample_rate} Hz is too low; the minimum is 1 kHz.")
    if source == target:
        return signal
    resampled = resample_poly(signal, target, source)
    if source < target:
        before, after = rms(signal), rms(resampled)
    else:
        before = rms(lfilter(*_level_filter(source), signal, axis=0))
        after = rms(lfilter(*_level_filter(target), resampled, axis=0))
    if not after > 0:
        raise ValueError("The resampled signal is silent, so its level cannot be restored.")
    # In the precision of the resampled signal, as in NumPy 1; NumPy 2 would promote to float64.
    return np.asarray(resampled.dtype.type(before / after) * resampled)


def _level_filter(rate_khz: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    numerator, denominator = cheby2(LEVEL_FILTER_ORDER, LEVEL_FILTER_STOPBAND, LEVEL_BAND_KHZ / rate_khz)
    return numerator, denominator
