"""Broadband alignment: the processed signal is shifted onto the reference, and both are trimmed.

Source: Kates and Arehart (2016), "The Hearing-Aid Audio Quality Index (HAAQI)", section on signal
alignment: the delay is the lag of the peak of the cross-covariance, minus 2 ms for the dispersion of the
ear; then the quiet ends of the reference are removed from both signals.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.signal import choose_conv_method, correlate

from harness.haaqi.alignment.correlation import half_spectrum, peak_lag
from harness.haaqi.kernels.resampling import SAMPLE_RATE
from harness.haaqi.kernels.signals import Signal

EAR_DISPERSION = 2 * SAMPLE_RATE / 1000
TRIM_RATIO = 0.001


@dataclass(kw_only=True)
class BroadbandAligner:
    """A reference at 24 kHz to which processed signals are aligned.

    Attributes:
        reference: (n,) samples.
        keep_spectrum: whether to keep the reference's last spectrum for the next processed signal.
    """

    reference: Signal
    keep_spectrum: bool = False
    _spectrum: tuple[int, NDArray[np.complexfloating]] | None = field(default=None, init=False, repr=False)

    def delay(self, processed: Signal) -> int:
        """Return the delay of a processed signal in samples, minus 2 ms; negative if it is early.

        Args:
            processed: (m,) samples at 24 kHz.
        """
        length = min(len(self.reference), len(processed))
        reference = self.reference[:length]
        centred = processed[:length] - np.mean(processed[:length])
        return round(self._peak_lag(reference, centred) - EAR_DISPERSION)

    def _peak_lag(self, reference: Signal, processed: Signal) -> int:
        if choose_conv_method(reference, processed) == "fft":
            if reference.dtype == processed.dtype:
                lag = self._certain_peak_lag(reference, processed)
                if lag is not None:
                    return lag
            covariance = _covariance(reference, processed)
        else:
            covariance = correlate(reference - np.mean(reference), processed, method="direct")
        # Among equal peaks, the latest delay counts.
        return len(reference) - 1 - int(np.argmax(np.abs(covariance, out=covariance)))

    def _certain_peak_lag(self, reference: Signal, processed: Signal) -> int | None:
        """Return the peak's lag, or None if rounding errors could decide it."""
        centred = reference - np.mean(reference)
        return peak_lag(centred, processed, spectrum=self._spectrum_of(centred))

    def _spectrum_of(self, centred: Signal) -> NDArray[np.complexfloating]:
        if self._spectrum is not None and self._spectrum[0] == len(centred):
            return self._spectrum[1]
        spectrum = half_spectrum(centred)
        if self.keep_spectrum:
            self._spectrum = (len(centred), spectrum)
        return spectrum


def _covariance(reference: Signal, processed: Signal) -> Signal:
    """Return the covariance from the latest delay on, rounded as SciPy's `correlate` rounds it.

    It needs half the memory of that function, which matters for a whole song.
    """
    size = 2 * len(reference) - 1
    fast = fft.next_fast_len(size, True)
    product = fft.rfft(processed[::-1], fast)
    spectrum = fft.rfft(reference - np.mean(reference), fast)
    product = np.multiply(product, spectrum, out=product if product.dtype == spectrum.dtype else None)
    del spectrum
    return np.asarray(fft.irfft(product, fast, overwrite_x=True)[:size])


def shift(signal: Signal, delay: int) -> Signal:
    """Shift a signal `delay` samples earlier, keeping its length and filling with zeros.

    Args:
        signal: (n,) samples.
        delay: samples; negative shifts later.
    """
    length = len(signal)
    shifted = np.zeros(length)
    if delay > 0:
        shifted[: max(length - delay, 0)] = signal[delay:]
    elif -delay < length:
        shifted[-delay:] = signal[: length + delay]
    return shifted


def audible_span(reference: Signal) -> slice:
    """Return the span between a reference's first and last sample above 0.1 % of its peak.

    Raises:
        ValueError: the reference is silent.
    """
    magnitude = np.abs(reference)
    audible = np.flatnonzero(magnitude > TRIM_RATIO * np.max(magnitude))
    if len(audible) == 0:
        raise ValueError("The reference signal is silent; HAAQI is undefined.")
    return slice(int(audible[0]), int(audible[-1]) + 1)
