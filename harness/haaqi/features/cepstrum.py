"""How well the envelopes' modulation agrees: the cepstral correlation at high modulation rates.

Source: Kates and Arehart (2016), envelope modulation: the spectrum of each segment is described by
half-cosine basis functions; each of these time series is divided into eight bands of modulation
rate, and both signals are correlated band by band. HAAQI uses the four bands above 20 Hz and the
basis functions 2 to 6.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.signal import convolve, firwin

from harness.haaqi.cochlea.hearing import CHANNELS
from harness.haaqi.features.smoothing import SEGMENT_MS

BASIS = 6
EDGES_HZ = (20.0, 32.0, 50.0, 80.0)
FILTER_ORDER = 128
SMALLEST = 1e-30
NYQUIST = 0.5 * 1000.0 / (0.5 * SEGMENT_MS)


@cache
def basis_functions() -> NDArray[np.float64]:
    """Return (5, 32): half-cosine basis functions 2 to 6, each of norm 1."""
    channels = np.arange(CHANNELS)
    waves = [np.cos(channels * float(order) * np.pi / float(CHANNELS - 1)) for order in range(1, BASIS)]
    return np.array([wave / np.linalg.norm(wave) for wave in waves])


@cache
def modulation_filters() -> NDArray[np.float64]:
    """Return (4, 129): the filters for 20 to 32, 32 to 50, 50 to 80 and 80 to 125 Hz."""
    edges = [edge / NYQUIST for edge in EDGES_HZ]
    length = FILTER_ORDER + 1
    bands = [firwin(length, pair, window="hann", pass_zero=False) for pair in pairwise(edges)]
    return np.array([*bands, firwin(length, edges[-1], window="hann", pass_zero=False)])


def correlation(reference: NDArray[np.float64], processed: NDArray[np.float64]) -> float:
    """Correlate the modulation of two smoothed envelopes.

    Args:
        reference: (32, segments), two segments or more, silent ones left out.
        processed: (32, segments) the same.

    Returns:
        0 to 1: the mean over four bands of modulation rate and five basis functions.
    """
    total = 0.0
    for ours, theirs in zip(_cepstra(reference), _cepstra(processed), strict=True):
        for band in modulation_filters():
            total += _band_correlation(_modulation(ours, band), _modulation(theirs, band))
    return total / (len(EDGES_HZ) * (BASIS - 1))


def _cepstra(smooth: NDArray[np.float64]) -> NDArray[np.float64]:
    cepstra = basis_functions() @ smooth
    return np.asarray(cepstra - np.mean(cepstra, axis=1, keepdims=True))


def _modulation(series: NDArray[np.float64], band: NDArray[np.float64]) -> NDArray[np.float64]:
    start = FILTER_ORDER // 2
    filtered = convolve(band, series)[start : start + len(series)]
    return np.asarray(filtered - np.mean(filtered))


def _band_correlation(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    our_power, their_power = np.sum(ours**2), np.sum(theirs**2)
    if our_power < SMALLEST or their_power < SMALLEST:
        return 0.0
    return float(np.abs(np.sum(ours * theirs)) / np.sqrt(our_power * their_power))
