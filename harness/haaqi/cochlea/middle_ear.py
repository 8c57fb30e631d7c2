"""The middle ear, whose transfer function is roughly the equal-loudness contour at threshold.

Source: Kates (2013), "An auditory model for intelligibility and quality predictions", POMA 19, 050184: a
one-pole low-pass at 5 kHz, then a two-pole high-pass at 350 Hz.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter

from harness.haaqi.kernels.compilation import exact
from harness.haaqi.kernels.resampling import SAMPLE_RATE
from harness.haaqi.kernels.signals import Signal

LOW_PASS = 5000
HIGH_PASS = 350


def middle_ear(signal: Signal) -> NDArray[np.float64]:
    """Filter a signal with the middle ear's transfer function.

    Args:
        signal: (n,) samples at 24 kHz.

    Returns:
        (n,) samples.
    """
    nyquist = 0.5 * SAMPLE_RATE
    low_pass = np.concatenate(butter(1, LOW_PASS / nyquist))
    high_pass = np.concatenate(butter(2, HIGH_PASS / nyquist, "high"))
    filtered = np.empty(len(signal))
    _filter(np.asarray(signal, dtype=np.float64), low_pass, high_pass, filtered)
    return filtered


@exact
def _filter(
    signal: NDArray[np.float64],
    low_pass: NDArray[np.float64],
    high_pass: NDArray[np.float64],
    filtered: NDArray[np.float64],
) -> None:
    """Run both filters in one loop, in transposed direct form, rounded as SciPy's `lfilter` rounds.

    Args:
        signal: (n,) samples.
        low_pass: (4,) numerator and denominator.
        high_pass: (6,) numerator and denominator.
        filtered: (n,) filled with the result.
    """
    b0, b1, _, a1 = low_pass
    c0, c1, c2, _, d1, d2 = high_pass
    low_state = first = second = 0.0
    for k in range(len(signal)):
        x = signal[k]
        smooth = low_state + b0 * x
        low_state = x * b1 - smooth * a1
        y = first + c0 * smooth
        first = second + smooth * c1 - y * d1
        second = smooth * c2 - y * d2
        filtered[k] = y
