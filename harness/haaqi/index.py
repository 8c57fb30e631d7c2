"""HAAQI itself: the features of both signals, combined to one number.

Source: Kates and Arehart (2016), "The Hearing-Aid Audio Quality Index (HAAQI)", IEEE/ACM TASLP 24, 354-365,
doi 10.1109/TASLP.2015.2507858. The weights are those of HAAQI version 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.haaqi import nalr
from harness.haaqi.alignment.broadband import BroadbandAligner, audible_span, shift
from harness.haaqi.cochlea.audibility import audible_segments
from harness.haaqi.cochlea.basilar_membrane import SignalPair
from harness.haaqi.cochlea.hearing_loss import (
    AUDIOMETRIC_FREQUENCIES,
    CHANNELS,
    check_audiogram,
    impaired_cochlea,
)
from harness.haaqi.cochlea.noise import NormalStream
from harness.haaqi.ear import EarModel, padded_middle_ear, process_channels
from harness.haaqi.features import cepstrum, smoothing
from harness.haaqi.features.covariance import average_covariance, segment_time
from harness.haaqi.features.spectrum import spectral_change
from harness.haaqi.kernels.resampling import resample
from harness.haaqi.kernels.signals import Signal, check_signal, is_silent

SILENCE_THRESHOLD = 2.5
SEGMENT_MS = 16
ADD_NALR = 1
NORMAL_REFERENCE = 0
MAX_LOUDNESS_CHANGE = 2.5
MAX_NORMALISED_CHANGE = 25


class Quality(NamedTuple):
    """The result of `haaqi_v1`.

    Attributes:
        combined: HAAQI, 0 (worst) to 1.
        nonlinear: the nonlinear term, from envelope modulation and fine structure.
        linear: the linear term, from the long-term spectrum.
        raw: cepstral correlation, fine-structure covariance, loudness term, normalised-loudness term.
    """

    combined: float
    nonlinear: float
    linear: float
    raw: list[float]


def compute_haaqi(  # noqa: PLR0917 - pyclarity's signature
    processed_signal: ArrayLike,
    reference_signal: ArrayLike,
    sample_rate_processed: float,
    sample_rate_reference: float,
    audiogram: ArrayLike,
    audiogram_frequencies: ArrayLike,
    level1: float = 65,
    rng: np.random.RandomState | None = None,
) -> float:
    """Compute HAAQI of a processed signal against a reference that has not been amplified.

    Args:
        processed_signal: (m,) samples of one channel, amplified for the listener.
        reference_signal: (n,) samples of the clean original.
        sample_rate_processed: Hz.
        sample_rate_reference: Hz.
        audiogram: dB HL at `audiogram_frequencies`. The levels at 250, 500, 1000, 2000, 4000 and 6000 Hz are
            used; they must be present, in this order.
        audiogram_frequencies: Hz.
        level1: dB SPL that an RMS of 1 stands for, for both signals.
        rng: source of the noise; None for NumPy's global legacy generator.

    Returns:
        HAAQI, 0 to 1; NaN if no tile (segment of time in one channel) of the reference is above threshold.

    Raises:
        ValueError: see `haaqi_v1`; or one of the six frequencies is missing.
    """
    levels = np.asarray(audiogram)
    frequencies = np.asarray(audiogram_frequencies)
    if frequencies.ndim != 1 or levels.ndim != 1 or len(levels) < len(frequencies):
        raise ValueError("The audiogram must have one level for each of its frequencies.")
    wanted = np.flatnonzero(np.isin(frequencies, AUDIOMETRIC_FREQUENCIES))
    if [float(frequencies[k]) for k in wanted] != [float(f) for f in AUDIOMETRIC_FREQUENCIES]:
        raise ValueError(
            "The audiogram must have levels at 250, 500, 1000, 2000, 4000 and 6000 Hz, in this order."
        )
    return haaqi_v1(
        reference_signal,
        sample_rate_reference,
        processed_signal,
        sample_rate_processed,
        levels[wanted],
        ADD_NALR,
        level1,
        rng=rng,
    ).combined


def haaqi_v1(  # noqa: PLR0917 - pyclarity's signature
    reference: ArrayLike,
    reference_freq: float,
    processed: ArrayLike,
    processed_freq: float,
    hearing_loss: ArrayLike,
    equalisation: int,
    level1: float = 65,
    silence_threshold: float = SILENCE_THRESHOLD,
    add_noise: float = 0.0,
    segment_covariance: float = SEGMENT_MS,
    rng: np.random.RandomState | None = None,
) -> Quality:
    """Compute HAAQI and its components.

    Args:
        reference: (n,) samples of the clean original.
        reference_freq: its sample rate in Hz.
        processed: (m,) samples of one channel, amplified for the listener.
        processed_freq: its sample rate in Hz.
        hearing_loss: (6,) dB HL at 250, 500, 1000, 2000, 4000 and 6000 Hz.
        equalisation: 1: NAL-R is applied to the reference; 2: the reference has been amplified already; 0: the
            reference is processed with a normal ear.
        level1: dB SPL that an RMS of 1 stands for, for both signals.
        silence_threshold: dB above threshold that a segment or tile must exceed to count.
        add_noise: dB of noise added to the smoothed envelopes.
        segment_covariance: duration of a segment of fine structure in ms.
        rng: source of the noise; None for NumPy's global legacy generator. Its final state is that after
            drawing all of the noise.

    Raises:
        ValueError: a signal is empty, not one-dimensional, too short, or contains NaN or infinity; the
            reference is silent; or a parameter is out of range.
    """
    generator = np.random.mtrand._rand if rng is None else rng  # NumPy has no public name for it
    reference_24khz = resample(check_reference(reference), sample_rate=reference_freq)
    processed_24khz = resample(
        check_signal(processed, name="The processed signal"), sample_rate=processed_freq
    )
    stream = NormalStream(generator.get_state())
    comparison = Comparison(
        BroadbandAligner(reference=reference_24khz),
        processed_24khz,
        hearing_loss=check_audiogram(np.asarray(hearing_loss)),
        equalisation=equalisation,
        level=float(level1),
        threshold=float(silence_threshold),
        segment_ms=float(segment_covariance),
    )
    processed_stream = stream.advanced(CHANNELS * comparison.length)
    process_channels(
        [partial(comparison.ear.process_channel, buffers=comparison.ear.buffers())],
        positions=[0],
        streams=(stream, processed_stream),
        length=comparison.length,
        level=float(level1),
    )
    envelope_stream = processed_stream.copy()
    quality = comparison.quality(
        (lambda count: float(add_noise) * envelope_stream.draw(count)) if add_noise else None
    )
    processed_stream.skip(comparison.normals_drawn - 2 * CHANNELS * comparison.length)
    generator.set_state(processed_stream.state())
    return quality


def check_reference(reference: ArrayLike) -> Signal:
    """Validate a reference and return it as an array.

    Raises:
        ValueError: see `check_signal`; or the reference is silent.
    """
    signal = check_signal(reference, name="The reference signal")
    if is_silent(signal):
        raise ValueError("The reference signal is silent; HAAQI is undefined.")
    return signal


class Comparison:
    """The comparison of two signals at 24 kHz.

    Attributes:
        length: number of samples that are compared.
        ear: must process all channels before `quality` is called.
        normals_drawn: number of normals that the noise takes; known after `quality`.
    """

    def __init__(
        self,
        aligner: BroadbandAligner,
        processed: Signal,
        *,
        hearing_loss: NDArray[Any],
        level: float,
        equalisation: int = ADD_NALR,
        threshold: float = SILENCE_THRESHOLD,
        segment_ms: float = SEGMENT_MS,
    ) -> None:
        """Align the signals and prepare them for the ear model.

        Args:
            aligner: holds the reference, (n,).
            processed: (m,) samples.
            hearing_loss: (6,) dB HL.
            level: dB SPL of an RMS of 1.
            equalisation: as in `haaqi_v1`.
            threshold: `silence_threshold` of `haaqi_v1`.
            segment_ms: `segment_covariance` of `haaqi_v1`.

        Raises:
            ValueError: the signals are too short, or a parameter is out of range.
        """
        segmentation = segment_time(segment_ms)
        length = min(len(aligner.reference), len(processed))
        span = audible_span(aligner.reference[:length])
        delay = aligner.delay(processed)
        reference = aligner.reference[span]
        self.length = len(reference)
        shortest = max(2 * segmentation.half, smoothing.SIZE)
        if self.length < shortest:
            raise ValueError(
                f"The reference is too short: after trimming, it has {self.length} samples at 24 kHz; "
                f"the minimum is {shortest}."
            )
        if equalisation == ADD_NALR:
            reference = nalr.amplify(reference, taps=nalr.equaliser(hearing_loss))
        impaired = impaired_cochlea(hearing_loss)
        normal = (
            impaired_cochlea(np.zeros(len(hearing_loss))) if equalisation == NORMAL_REFERENCE else impaired
        )
        # One after the other, to save memory: each array of a whole song takes 50 MB.
        reference_mid = padded_middle_ear(reference)
        del reference
        processed_mid = padded_middle_ear(shift(processed[:length], delay)[span])
        self.ear = EarModel(
            SignalPair(reference=reference_mid, processed=processed_mid),
            length=self.length,
            cochleas=(normal, impaired),
            level=level,
            segmentation=segmentation,
            threshold=threshold,
        )
        self.normals_drawn = 0
        self._threshold = threshold

    def quality(self, envelope_noise: Callable[[int], NDArray[np.float64]] | None = None) -> Quality:
        """Return the result, once the ear model has processed all channels.

        Args:
            envelope_noise: returns a given number of deviates in dB, which are added to the smoothed envelopes;
                called twice.
        """
        outputs = self.ear.outputs()
        audible = audible_segments(outputs.reference_smooth, threshold=self._threshold)
        count = int(np.count_nonzero(audible))
        if count <= 1:
            correlation = 0.0
        else:
            smooth = [outputs.reference_smooth[:, audible], outputs.processed_smooth[:, audible]]
            if envelope_noise is not None:
                smooth = [one + envelope_noise(CHANNELS * count).reshape(CHANNELS, count) for one in smooth]
            correlation = cepstrum.cepstral_correlation(*smooth)
        self.normals_drawn = 2 * CHANNELS * (self.length + (count if count > 1 else 0))
        change = spectral_change(outputs.reference_spectrum, outputs.processed_spectrum)
        return combine(
            cepstral_correlation=correlation,
            covariance=average_covariance(outputs.covariances, outputs.levels, threshold=self._threshold),
            loudness=min(max(1.0 - change.loudness / MAX_LOUDNESS_CHANGE, 0.0), 1.0),
            normalised_loudness=min(max(1.0 - change.normalised / MAX_NORMALISED_CHANGE, 0.0), 1.0),
        )


def combine(
    *, cepstral_correlation: float, covariance: float, loudness: float, normalised_loudness: float
) -> Quality:
    """Combine the four features to HAAQI, version 1.

    Args:
        cepstral_correlation: 0 to 1.
        covariance: of the fine structure, 0 to 1.
        loudness: 1 minus the change of specific loudness, 0 to 1.
        normalised_loudness: 1 minus the relative change of specific loudness, 0 to 1.
    """
    nonlinear = 0.754 * (cepstral_correlation**3) + 0.246 * covariance
    linear = 0.329 * loudness + 0.671 * normalised_loudness
    combined = 0.336 * nonlinear + 0.001 * linear + 0.501 * (nonlinear**2) + 0.161 * (linear**2)
    return Quality(
        combined=combined,
        nonlinear=nonlinear,
        linear=linear,
        raw=[cepstral_correlation, covariance, loudness, normalised_loudness],
    )
