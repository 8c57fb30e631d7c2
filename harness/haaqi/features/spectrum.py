"""The long-term spectrum, which measures linear changes.

Source: Kates and Arehart (2016), long-term spectrum, after Moore and Tan (2004), JAES 52, 900-914.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.cochlea.hearing_loss import CHANNELS, LINEAR_FROM, Cochlea

SMALLEST = 1e-30


def compressed_level(
    average: NDArray[np.float64], *, control: NDArray[np.float64], cochlea: Cochlea, level: float
) -> NDArray[np.float64]:
    """Return the level of average envelopes after compression.

    Args:
        average: (32,) RMS of the signal filters' envelopes.
        control: (32,) RMS of the control filters' envelopes.
        cochlea: the listener's cochlea.
        level: dB SPL of an RMS of 1.

    Returns:
        (32,) dB above the listener's threshold, not negative.
    """
    control_level = _decibels(control, level=level)
    control_level = np.maximum(np.minimum(control_level, LINEAR_FROM), cochlea.knee)
    gain = -cochlea.outer_loss - (control_level - cochlea.knee) * cochlea.slope
    audible = np.maximum(_decibels(average, level=level), 0)
    return np.asarray(np.maximum(audible + gain - cochlea.inner_loss, 0))


def _decibels(envelope: NDArray[np.float64], *, level: float) -> NDArray[np.float64]:
    return np.asarray(level + 20 * np.log10(np.maximum(envelope, SMALLEST)))


@dataclass(frozen=True, kw_only=True)
class SpectralChange:
    """Standard deviations over the channels, times the number of channels.

    Attributes:
        loudness: of the difference of specific loudness.
        normalised: of that difference relative to the sum.
    """

    loudness: float
    normalised: float


def spectral_change(reference: NDArray[np.float64], processed: NDArray[np.float64]) -> SpectralChange:
    """Compare two long-term spectra, each normalised to the same total loudness.

    Args:
        reference: (32,) dB above threshold.
        processed: (32,) dB above threshold.
    """
    x, y = _specific_loudness(reference), _specific_loudness(processed)
    return SpectralChange(
        loudness=float(CHANNELS * np.std(x - y)),
        normalised=float(CHANNELS * np.std((x - y) / (x + y))),
    )


def _specific_loudness(spectrum: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = 10 ** (spectrum / 20)
    return np.asarray(linear / np.sum(linear))
