"""Which segments are audible.

Source: Kates and Arehart (2016): of the smoothed envelopes and of the fine structure, those segments count
whose mean over the channels, as linear amplitude, is above a threshold.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.cochlea.hearing_loss import CHANNELS
from harness.haaqi.kernels import rounding
from harness.haaqi.kernels.compilation import fused
from harness.haaqi.kernels.elementary import exp2

DOUBLINGS_PER_DECIBEL = 1 / (20 * math.log10(2))


def audible_segments(levels: NDArray[np.float64], *, threshold: float) -> NDArray[np.bool_]:
    """Return which segments are above a threshold.

    Args:
        levels: (32, segments) dB.
        threshold: dB, for the mean over the channels of the linear amplitudes.

    Returns:
        (segments,) bool.
    """
    amplitudes = np.zeros(levels.shape[1])
    for channel in levels:
        _add_amplitudes(channel, DOUBLINGS_PER_DECIBEL, amplitudes)
    return np.asarray(20 * rounding.log10(amplitudes / CHANNELS) > threshold)


@fused
def _add_amplitudes(levels: NDArray[np.float64], doublings: float, amplitudes: NDArray[np.float64]) -> None:
    """Add a channel's linear amplitudes.

    Args:
        levels: (segments,) dB.
        doublings: doublings of the amplitude per dB.
        amplitudes: (segments,) added to.
    """
    for k in range(len(levels)):
        amplitudes[k] += exp2(levels[k] * doublings)
