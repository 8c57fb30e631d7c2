"""The broadband alignment: the processed signal is moved onto the reference and both are trimmed.

Source: Kates and Arehart (2016), "The Hearing-Aid Audio Quality Index (HAAQI)", section on signal
alignment: the lag of the greatest cross-covariance, less 2 ms for the dispersion of the ear; then
the quiet ends of the reference are cut off both.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.signal import choose_conv_method, correlate

from harness.haaqi.alignment.correlation import greatest_lag, half_spectrum
from harness.haaqi.kernels.resampling import SAMPLE_RATE
from harness.haaqi.kernels.signals import Signal

DISPERSION = 2 * SAMPLE_RATE / 1000
QUIET = 0.001


@dataclass(kw_only=True)
class Anchor:
    """A reference at 24 kHz that processed signals are aligned to; it keeps its last spectrum.

    Attributes:
        reference: (n,) samples.
        keep_spectrum: whether to keep the reference's spectrum for the next processed signal.
    """

    reference: Signal
    keep_spectrum: bool = False
    _spectrum: tuple[int, NDArray[np.complexfloating]] | None = field(default=None, init=False, repr=False)

    def delay(self, processed: Signal) -> int:
        """Return by how many samples a processed signal comes late, less 2 ms; it may be negative.

        Args:
            processed: (m,) samples at 24 kHz.
        """
        length = min(len(self.reference), len(processed))
        ours = self.reference[:length]
        theirs = processed[:length] - np.mean(processed[:length])
        return round(self._greatest_lag(ours, theirs) - DISPERSION)

    def _greatest_lag(self, ours: Signal, theirs: Signal) -> int:
        if choose_conv_method(ours, theirs) == "fft":
            if ours.dtype == theirs.dtype:
                lag = greatest_lag(ours - np.mean(ours), theirs, spectrum=self._centred_spectrum(ours))
                if lag is not None:
                    return lag
            covariance = _covariance(ours, theirs)
        else:
            covariance = correlate(ours - np.mean(ours), theirs, method="direct")
        # Of equal peaks the latest delay counts.
        return len(ours) - 1 - int(np.argmax(np.abs(covariance, out=covariance)))

    def _centred_spectrum(self, ours: Signal) -> NDArray[np.complexfloating]:
        if self._spectrum is not None and self._spectrum[0] == len(ours):
            return self._spectrum[1]
        spectrum = half_spectrum(ours - np.mean(ours))
        if self.keep_spectrum:
            self._spectrum = (len(ours), spectrum)
        return spectrum


def _covariance(ours: Signal, theirs: Signal) -> Signal:
    """Return the covariance as SciPy's `correlate` rounds it, from the latest delay on.

    It needs half of that function's memory: of a whole song, every copy counts.
    """
    size = 2 * len(ours) - 1
    fast = fft.next_fast_len(size, True)
    product = fft.rfft(theirs[::-1], fast)
    spectrum = fft.rfft(ours - np.mean(ours), fast)
    product = np.multiply(product, spectrum, out=product if product.dtype == spectrum.dtype else None)
    del spectrum
    return np.asarray(fft.irfft(product, fast, overwrite_x=True)[:size])


def shift(signal: Signal, delay: int) -> Signal:
    """Move a signal `delay` samples earlier, keeping its length and filling with zeros.

    Args:
        signal: (n,) samples.
        delay: samples; negative moves it later.
    """
    length = len(signal)
    moved = np.zeros(length)
    if delay > 0:
        moved[: max(length - delay, 0)] = signal[delay:]
    elif -delay < length:
        moved[-delay:] = signal[: length + delay]
    return moved


def sounding(reference: Signal) -> slice:
    """Return the stretch of a reference between its first and last sample above 0.1 % of its peak.

    Raises:
        ValueError: the reference is silent.
    """
    magnitude = np.abs(reference)
    loud = np.flatnonzero(magnitude > QUIET * np.max(magnitude))
    if len(loud) == 0:
        raise ValueError("The reference signal is silent, so that HAAQI is not defined.")
    return slice(int(loud[0]), int(loud[-1]) + 1)
