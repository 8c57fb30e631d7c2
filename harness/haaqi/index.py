"""HAAQI itself: the features of both signals, joined to one number.

Source: Kates and Arehart (2016), "The Hearing-Aid Audio Quality Index (HAAQI)", IEEE/ACM TASLP 24,
354-365, doi 10.1109/TASLP.2015.2507858. The weights are those of HAAQI version 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.haaqi import nalr
from harness.haaqi.alignment.anchor import Anchor, shift, sounding
from harness.haaqi.cochlea.hearing import AUDIOMETRIC_FREQUENCIES, CHANNELS, check_audiogram, cochlea
from harness.haaqi.cochlea.loudness import loud
from harness.haaqi.cochlea.noise import Stream
from harness.haaqi.ear import Ear, listen_together, padded
from harness.haaqi.features import cepstrum, covariance
from harness.haaqi.features.spectrum import spectral_change
from harness.haaqi.kernels.resampling import resample
from harness.haaqi.kernels.signals import Signal, check_signal, is_silent

SILENCE = 2.5
SEGMENT = 16
ADD_NALR = 1
NORMAL_REFERENCE = 0
MOST_LOUDNESS_CHANGE = 2.5
MOST_NORMALISED_CHANGE = 25


class Quality(NamedTuple):
    """What `haaqi_v1` returns.

    Attributes:
        combined: HAAQI, 0 (worst) to 1.
        nonlinear: the part of envelope and fine structure.
        linear: the part of the long-term spectrum.
        raw: cepstral correlation, fine-structure covariance, loudness term, normalised-loudness term.
    """

    combined: float
    nonlinear: float
    linear: float
    raw: list[float]


def compute_haaqi(  # noqa: PLR0917 - as pyclarity has it
    processed_signal: ArrayLike,
    reference_signal: ArrayLike,
    sample_rate_processed: float,
    sample_rate_reference: float,
    audiogram: ArrayLike,
    audiogram_frequencies: ArrayLike,
    level1: float = 65,
    rng: np.random.RandomState | None = None,
) -> float:
    """Compute HAAQI of a signal against a reference that has not been amplified.

    Args:
        processed_signal: (m,) samples of one channel, amplified for the listener.
        reference_signal: (n,) samples of the clean original.
        sample_rate_processed: Hz.
        sample_rate_reference: Hz.
        audiogram: dB HL at `audiogram_frequencies`; those at 250, 500, 1000, 2000, 4000 and 6000 Hz
            count and must be among them, in this order.
        audiogram_frequencies: Hz.
        level1: dB SPL of an RMS of 1.
        rng: where the noise comes from; NumPy's global legacy generator when None.

    Returns:
        HAAQI, 0 to 1; NaN when no tile of time and frequency of the reference is above threshold.

    Raises:
        ValueError: see `haaqi_v1`; or one of the six frequencies is missing.
    """
    levels = np.asarray(audiogram)
    frequencies = np.asarray(audiogram_frequencies)
    if frequencies.ndim != 1 or levels.ndim != 1 or len(levels) < len(frequencies):
        raise ValueError("The audiogram and its frequencies must be two lists of the same length.")
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


def haaqi_v1(  # noqa: PLR0917 - as pyclarity has it
    reference: ArrayLike,
    reference_freq: float,
    processed: ArrayLike,
    processed_freq: float,
    hearing_loss: ArrayLike,
    equalisation: int,
    level1: float = 65,
    silence_threshold: float = SILENCE,
    add_noise: float = 0.0,
    segment_covariance: float = SEGMENT,
    rng: np.random.RandomState | None = None,
) -> Quality:
    """Compute HAAQI and its parts.

    Args:
        reference: (n,) samples of the clean original.
        reference_freq: its sample rate in Hz.
        processed: (m,) samples of one channel, amplified for the listener.
        processed_freq: its sample rate in Hz.
        hearing_loss: (6,) dB HL at 250, 500, 1000, 2000, 4000 and 6000 Hz.
        equalisation: 1: the reference is to be amplified by NAL-R; 2: it has been already;
            0: it is heard by a normal ear.
        level1: dB SPL of an RMS of 1.
        silence_threshold: dB above threshold that a segment or tile must exceed to count.
        add_noise: dB of noise added to the smoothed envelopes.
        segment_covariance: milliseconds of a segment of fine structure.
        rng: where the noise comes from; NumPy's global legacy generator when None. It is left in the
            state in which drawing all of the noise would leave it.

    Returns:
        HAAQI and its parts.

    Raises:
        ValueError: a signal is empty, silent (the reference), not of one channel, too short, or
            holds NaN or infinity; or a parameter is out of its range.
    """
    generator = np.random.mtrand._rand if rng is None else rng  # NumPy has no other name for it
    ours = resample(check_reference(reference), sample_rate=reference_freq)
    theirs = resample(check_signal(processed, name="processed"), sample_rate=processed_freq)
    stream = Stream(generator.get_state())
    comparison = Comparison(
        Anchor(reference=ours),
        theirs,
        hearing_loss=check_audiogram(np.asarray(hearing_loss)),
        equalisation=equalisation,
        level=float(level1),
        threshold=float(silence_threshold),
        segment=float(segment_covariance),
    )
    behind = stream.ahead(CHANNELS * comparison.length)
    listen_together(
        [partial(comparison.ear.listen, outputs=comparison.ear.rooms())],
        places=[0],
        streams=(stream, behind),
        length=comparison.length,
        level=float(level1),
    )
    added = behind.copy()
    quality = comparison.quality((lambda count: float(add_noise) * added.take(count)) if add_noise else None)
    behind.skip(comparison.drawn - 2 * CHANNELS * comparison.length)
    generator.set_state(behind.state())
    return quality


def check_reference(reference: ArrayLike) -> Signal:
    """Return a reference as an array.

    Raises:
        ValueError: it is no signal, or silent.
    """
    signal = check_signal(reference, name="reference")
    if is_silent(signal):
        raise ValueError("The reference signal is silent, so that HAAQI is not defined.")
    return signal


class Comparison:
    """Two signals at 24 kHz on their way to one number.

    Attributes:
        length: how many samples are compared.
        ear: has to listen to all channels of them.
        drawn: how many normals the noise moves on by: known when there is a `quality`.
    """

    def __init__(
        self,
        anchor: Anchor,
        processed: Signal,
        *,
        hearing_loss: NDArray[Any],
        level: float,
        equalisation: int = ADD_NALR,
        threshold: float = SILENCE,
        segment: float = SEGMENT,
    ) -> None:
        """Align the signals and bring both to the ear.

        Args:
            anchor: holds the reference, (n,).
            processed: (m,) samples.
            hearing_loss: (6,) dB HL.
            level: dB SPL of an RMS of 1.
            equalisation: as in `haaqi_v1`.
            threshold: its `silence_threshold`.
            segment: its `segment_covariance`.

        Raises:
            ValueError: the signals are too short, or a parameter is out of its range.
        """
        tiling = covariance.tiling(segment)
        length = min(len(anchor.reference), len(processed))
        part = sounding(anchor.reference[:length])
        delay = anchor.delay(processed)
        aligned = processed[:length]
        ours = anchor.reference[part]
        self.length = len(ours)
        shortest = max(2 * tiling.half, 192)
        if self.length < shortest:
            raise ValueError(
                f"The reference is too short: {self.length} samples at 24 kHz are left of it, "
                f"and {shortest} are needed."
            )
        if equalisation == ADD_NALR:
            ours = nalr.amplify(ours, taps=nalr.equaliser(hearing_loss))
        impaired = cochlea(hearing_loss)
        normal = cochlea(np.zeros(len(hearing_loss))) if equalisation == NORMAL_REFERENCE else impaired
        # Each is made when the last is done with and let go: of a whole song they take 50 MB apiece.
        reference_mid = padded(ours)
        del ours
        processed_mid = padded(shift(aligned, delay)[part])
        self.ear = Ear(
            reference_mid,
            processed_mid,
            length=self.length,
            cochleas=(normal, impaired),
            level=level,
            tiling=tiling,
            threshold=threshold,
        )
        self.drawn = 0
        self._threshold = threshold

    def quality(self, added: Callable[[int], NDArray[np.float64]] | None = None) -> Quality:
        """Return the number, when the ear has listened to all channels.

        Args:
            added: gives so many numbers in dB, to be added to the smoothed envelopes; called twice.
        """
        heard = self.ear.heard()
        counting = loud(heard.reference_smooth, threshold=self._threshold)
        count = int(np.count_nonzero(counting))
        if count <= 1:
            modulation = 0.0
        else:
            smooths = [heard.reference_smooth[:, counting], heard.processed_smooth[:, counting]]
            if added is not None:
                smooths = [smooth + added(CHANNELS * count).reshape(CHANNELS, count) for smooth in smooths]
            modulation = cepstrum.correlation(*smooths)
        self.drawn = 2 * CHANNELS * (self.length + (count if count > 1 else 0))
        fine = covariance.average(heard.covariances, heard.levels, threshold=self._threshold)
        change = spectral_change(heard.reference_spectrum, heard.processed_spectrum)
        return join(
            modulation=modulation,
            fine=fine,
            loudness=min(max(1.0 - change.loudness / MOST_LOUDNESS_CHANGE, 0.0), 1.0),
            normalised=min(max(1.0 - change.normalised / MOST_NORMALISED_CHANGE, 0.0), 1.0),
        )


def join(*, modulation: float, fine: float, loudness: float, normalised: float) -> Quality:
    """Join the four features to HAAQI, version 1.

    Args:
        modulation: cepstral correlation, 0 to 1.
        fine: covariance of the fine structure, 0 to 1.
        loudness: 1 less the change of specific loudness, 0 to 1.
        normalised: 1 less the relative change of specific loudness, 0 to 1.
    """
    nonlinear = 0.754 * (modulation**3) + 0.246 * fine
    linear = 0.329 * loudness + 0.671 * normalised
    combined = 0.336 * nonlinear + 0.001 * linear + 0.501 * (nonlinear**2) + 0.161 * (linear**2)
    return Quality(
        combined=combined, nonlinear=nonlinear, linear=linear, raw=[modulation, fine, loudness, normalised]
    )
