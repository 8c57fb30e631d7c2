"""The NAL-R amplification of the reference for the listener's hearing loss.

Source: Byrne and Dillon (1986), "The National Acoustic Laboratories' (NAL) new procedure for selecting the
gain and frequency response of a hearing aid", Ear and Hearing 7, 257-265; converted to a linear-phase filter
by frequency sampling.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import interp1d

from harness.haaqi.cochlea.hearing_loss import AUDIOMETRIC_FREQUENCIES
from harness.haaqi.kernels import inverse_fft, rounding
from harness.haaqi.kernels.resampling import SAMPLE_RATE
from harness.haaqi.kernels.signals import Signal

ORDER = 140
FREQUENCY_BIAS = (-17, -8, 1, -1, -2, -2)
MEAN_LOSS_SHARE = 0.05
OWN_LOSS_SHARE = 0.31
SEVERE_FROM = 180
SEVERE_SHARE = 0.116
GRID = inverse_fft.POINTS // 2
HAMMING = 0.54


def prescription(hearing_loss: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the insertion gain that NAL-R prescribes.

    Args:
        hearing_loss: (6,) dB HL at the audiometric frequencies.

    Returns:
        (6,) gains in dB at the same frequencies, not negative.
    """
    three_frequency_loss = hearing_loss[1] + hearing_loss[2] + hearing_loss[3]
    if three_frequency_loss <= SEVERE_FROM:
        common = MEAN_LOSS_SHARE * three_frequency_loss
    else:
        common = MEAN_LOSS_SHARE * SEVERE_FROM + SEVERE_SHARE * (three_frequency_loss - SEVERE_FROM)
    gain = common + OWN_LOSS_SHARE * hearing_loss + np.array(FREQUENCY_BIAS)
    return np.asarray(np.maximum(gain, 0))


def equaliser(hearing_loss: NDArray[np.floating]) -> NDArray[np.float64]:
    """Design the filter that applies the prescribed gain to a 24-kHz signal.

    Args:
        hearing_loss: (6,) dB HL at the audiometric frequencies.

    Returns:
        (141,) taps; a delay of 70 samples if there is no loss.
    """
    frequencies = np.array(AUDIOMETRIC_FREQUENCIES)
    losses = interp1d(frequencies, hearing_loss)(frequencies)
    if not np.max(losses) > 0:
        return np.asarray(np.eye(1, ORDER + 1, ORDER // 2)[0])
    nyquist = 0.5 * SAMPLE_RATE
    gains = prescription(losses)
    knots = np.concatenate(([0.0], frequencies, [nyquist]))
    interpolated = interp1d(knots, np.concatenate((gains[:1], gains, gains[-1:])))
    grid = np.linspace(0, ORDER, ORDER + 1) / ORDER
    return _frequency_sampled(
        frequencies=grid, magnitudes=rounding.power(10, interpolated(nyquist * grid) / 20.0)
    )


def _frequency_sampled(
    *, frequencies: NDArray[np.float64], magnitudes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the linear-phase filter with given magnitudes, (141,).

    Args:
        frequencies: (141,) from 0 to 1, the Nyquist frequency.
        magnitudes: (141,) linear.
    """
    points = GRID + 1
    response = np.zeros(points)
    response[0] = magnitudes[0]
    start = 0
    ends = np.fix(frequencies[1:] * points).astype(int)
    for index, end in enumerate(ends):
        steps = np.arange(start, end)
        weight = (steps - start) / (end - 1 - start) if end - 1 != start else np.zeros(1)
        response[start:end] = weight * magnitudes[index + 1] + (1 - weight) * magnitudes[index]
        start = end
    half_length = 0.5 * ORDER
    half = response * np.exp(-half_length * 1j * np.pi * np.arange(points) / (points - 1))
    whole = np.concatenate((half, half[-2:0:-1].conj()))
    return np.asarray(inverse_fft.real_inverse(whole)[: ORDER + 1] * hamming())


def hamming() -> NDArray[np.float64]:
    """Return the Hamming window, (141,)."""
    angles = np.linspace(-np.pi, np.pi, ORDER + 1)
    return HAMMING + (1.0 - HAMMING) * rounding.cos(angles)


def amplify(reference: Signal, *, taps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Filter a reference, keeping its length; as in pyclarity, the result is 70 samples early.

    Args:
        reference: (n,) samples at 24 kHz.
        taps: (141,) from `equaliser`.
    """
    return rounding.fir_filter(reference, taps)
