"""Every signal to 24 kHz, the model's own rate, at the level it had."""

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
    """Resample a signal to 24 kHz and give it back its level.

    Rates count in whole kHz. A signal from a lower rate keeps its RMS; one from a higher rate keeps
    the RMS of what lies below 10.5 kHz, so that what the model cannot hear does not set its level.

    Args:
        signal: (n,) samples.
        sample_rate: Hz; at least 501.

    Returns:
        (m,) samples at 24 kHz; the signal itself when its rate is 24 kHz already.

    Raises:
        ValueError: the rate is below 1 kHz, or nothing is left of the signal.
    """
    target = round(SAMPLE_RATE / 1000)
    given = round(sample_rate / 1000)
    if given < 1:
        raise ValueError(f"A sample rate of {sample_rate} Hz is too low: the model needs 1 kHz or more.")
    if given == target:
        return signal
    resampled = resample_poly(signal, target, given)
    if given < target:
        before, after = rms(signal), rms(resampled)
    else:
        before = rms(lfilter(*_level_filter(given), signal, axis=0))
        after = rms(lfilter(*_level_filter(target), resampled, axis=0))
    if not after > 0:
        raise ValueError("A silent signal cannot be resampled to its own level.")
    # In the resampled signal's own precision, as NumPy 1 takes it; NumPy 2 would make float64 of it.
    return np.asarray(resampled.dtype.type(before / after) * resampled)


def _level_filter(rate_khz: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    numerator, denominator = cheby2(LEVEL_FILTER_ORDER, LEVEL_FILTER_STOPBAND, LEVEL_BAND_KHZ / rate_khz)
    return numerator, denominator
