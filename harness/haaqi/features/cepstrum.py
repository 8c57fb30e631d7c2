"""Envelope modulation: the cepstral correlation at high modulation rates.

Source: Kates and Arehart (2016), envelope modulation: half-cosine basis functions describe the spectrum of
each segment; each of these time series is filtered into eight bands of modulation rate, and both signals are
correlated band by band. HAAQI uses the four bands above 20 Hz and the basis functions 2 to 6.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.signal import convolve, firwin

from harness.haaqi.cochlea.hearing_loss import CHANNELS
from harness.haaqi.features.smoothing import SEGMENT_MS

BASIS_COUNT = 6  # the first one, which is constant, is not used
BAND_EDGES_HZ = (20.0, 32.0, 50.0, 80.0)
FILTER_ORDER = 128
SMALLEST = 1e-30
NYQUIST = 0.5 * 1000.0 / (0.5 * SEGMENT_MS)


@cache
def basis_functions() -> NDArray[np.float64]:
    """Return half-cosine basis functions 2 to 6, each with a norm of 1, (5, 32)."""
    channels = np.arange(CHANNELS)
    waves = [np.cos(channels * float(order) * np.pi / float(CHANNELS - 1)) for order in range(1, BASIS_COUNT)]
    return np.array([wave / np.linalg.norm(wave) for wave in waves])


@cache
def modulation_filters() -> NDArray[np.float64]:
    """Return the modulation filters for 20 to 32, 32 to 50, 50 to 80 and 80 to 125 Hz, (4, 129)."""
    edges = [edge / NYQUIST for edge in BAND_EDGES_HZ]
    length = FILTER_ORDER + 1
    bands = [firwin(length, pair, window="hann", pass_zero=False) for pair in pairwise(edges)]
    return np.array([*bands, firwin(length, edges[-1], window="hann", pass_zero=False)])


def cepstral_correlation(reference: NDArray[np.float64], processed: NDArray[np.float64]) -> float:
    """Correlate the modulation of two smoothed envelopes.

    Args:
        reference: (32, segments) of audible segments, two or more, dB above threshold.
        processed: (32, segments) the same segments of the processed signal.

    Returns:
        0 to 1: the mean over four bands of modulation rate and five basis functions.
    """
    total = 0.0
    for x, y in zip(_cepstra(reference), _cepstra(processed), strict=True):
        for band in modulation_filters():
            total += _band_correlation(_modulation(x, band), _modulation(y, band))
    return total / (len(BAND_EDGES_HZ) * (BASIS_COUNT - 1))


def _cepstra(smooth: NDArray[np.float64]) -> NDArray[np.float64]:
    cepstra = basis_functions() @ smooth
    return np.asarray(cepstra - np.mean(cepstra, axis=1, keepdims=True))


def _modulation(series: NDArray[np.float64], band: NDArray[np.float64]) -> NDArray[np.float64]:
    start = FILTER_ORDER // 2
    filtered = convolve(band, series)[start : start + len(series)]
    return np.asarray(filtered - np.mean(filtered))


def _band_correlation(reference: NDArray[np.float64], processed: NDArray[np.float64]) -> float:
    reference_power, processed_power = np.sum(reference**2), np.sum(processed**2)
    if reference_power < SMALLEST or processed_power < SMALLEST:
        return 0.0
    return float(np.abs(np.sum(reference * processed)) / np.sqrt(reference_power * processed_power))
