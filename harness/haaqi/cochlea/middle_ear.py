"""The middle ear: what it lets through is roughly the equal-loudness contour at threshold.

Source: Kates (2013): a one-pole low-pass at 5 kHz, then a two-pole high-pass at 350 Hz.
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
    """Pass a signal through the middle ear.

    Args:
        signal: (n,) samples at 24 kHz.

    Returns:
        (n,) samples.
    """
    nyquist = 0.5 * SAMPLE_RATE
    low_pass = np.concatenate(butter(1, LOW_PASS / nyquist))
    high_pass = np.concatenate(butter(2, HIGH_PASS / nyquist, "high"))
    passed = np.empty(len(signal))
    _filter(np.asarray(signal, dtype=np.float64), low_pass, high_pass, passed)
    return passed


@exact
def _filter(
    signal: NDArray[np.float64],
    low_pass: NDArray[np.float64],
    high_pass: NDArray[np.float64],
    passed: NDArray[np.float64],
) -> None:
    """Run both filters at once, in the transposed direct form and with the roundings of SciPy's `lfilter`."""
    b0, b1, _, a1 = low_pass
    c0, c1, c2, _, d1, d2 = high_pass
    before = first = second = 0.0
    for k in range(len(signal)):
        x = signal[k]
        smooth = before + b0 * x
        before = x * b1 - smooth * a1
        y = first + c0 * smooth
        first = second + smooth * c1 - y * d1
        second = smooth * c2 - y * d2
        passed[k] = y
