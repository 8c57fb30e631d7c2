"""The middle ear: what it lets through is roughly the equal-loudness contour at threshold.

Source: Kates (2013): a one-pole low-pass at 5 kHz, then a two-pole high-pass at 350 Hz.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter

from .resampling import SAMPLE_RATE
from .signals import Signal

LOW_PASS = 5000
HIGH_PASS = 350


def middle_ear(signal: Signal) -> NDArray[np.float64]:
    """Pass a signal through the middle ear.

    Args:
        signal: (n,) samples at 24 kHz.

    Returns:
        (n,) samples.
    """
    nyquist = 0.5 * SAMPLE_RATE
    smoothed = lfilter(*butter(1, LOW_PASS / nyquist), signal)
    passed: NDArray[np.float64] = lfilter(*butter(2, HIGH_PASS / nyquist, "high"), smoothed)
    return passed
