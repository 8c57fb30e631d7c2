"""The ear model: both signals, from the middle ear to the features that HAAQI compares, channel by channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.alignment import lags, overlap_save
from harness.haaqi.cochlea import gammatone
from harness.haaqi.cochlea.basilar_membrane import BasilarMembrane, ChannelOutputs, SignalPair
from harness.haaqi.cochlea.compression import ChannelPair, ChannelParameters, Compressor, channel_parameters
from harness.haaqi.cochlea.hearing_loss import CHANNELS, Cochlea, widest_bandwidths
from harness.haaqi.cochlea.middle_ear import middle_ear
from harness.haaqi.cochlea.noise import NoiseBuffer, NormalStream
from harness.haaqi.features import channel, smoothing, spectrum
from harness.haaqi.features.channel import NoiseReader
from harness.haaqi.features.covariance import Segmentation
from harness.haaqi.kernels.signals import Signal

NOISE_LEVEL = -10

# A channel's outputs are needed twice: for the delays and for the features. Outputs of up to two minutes are kept
# in between; those of longer signals are computed twice, chunk by chunk, to save memory.
MAX_WHOLE_LENGTH = 24000 * 120
CHUNK_LENGTH = 12 * overlap_save.SPAN
CHUNK_MARGIN = 4 * overlap_save.MAX_LAG

ChannelProcessor: TypeAlias = Callable[[int, tuple[NoiseReader, NoiseReader]], None]


@dataclass(frozen=True, kw_only=True)
class EarOutputs:
    """The ear model's outputs for both signals.

    Attributes:
        reference_smooth: (32, segments of 8 ms) smoothed envelope, dB above threshold.
        processed_smooth: (32, segments of 8 ms) the same for the processed signal.
        reference_spectrum: (32,) long-term spectrum, dB above threshold.
        processed_spectrum: (32,) the same for the processed signal.
        covariances: (32, segments) of the fine structure; 0 where `levels` is not above threshold.
        levels: (32, segments) of the reference's fine structure, dB.
    """

    reference_smooth: NDArray[np.float64]
    processed_smooth: NDArray[np.float64]
    reference_spectrum: NDArray[np.float64]
    processed_spectrum: NDArray[np.float64]
    covariances: NDArray[np.float64]
    levels: NDArray[np.float64]


def padded_middle_ear(signal: Signal) -> NDArray[np.float64]:
    """Filter a signal with the middle ear, and append zeros up to a multiple of `gammatone.BLOCK`."""
    filtered = middle_ear(signal)
    padded = np.zeros(-(-len(filtered) // gammatone.BLOCK) * gammatone.BLOCK)
    padded[: len(filtered)] = filtered
    return padded


class EarModel:
    """A listener's ear, which processes both signals channel by channel."""

    def __init__(
        self,
        signals: SignalPair,
        *,
        length: int,
        cochleas: tuple[Cochlea, Cochlea],
        level: float,
        segmentation: Segmentation,
        threshold: float,
    ) -> None:
        """Set the filters' bandwidths according to the signals' levels.

        Args:
            signals: both signals from `padded_middle_ear`, the processed one aligned to the reference.
            length: samples that count.
            cochleas: for the reference and for the processed signal.
            level: dB SPL of an RMS of 1.
            segmentation: division of the fine structure in time.
            threshold: dB above which a tile's covariance is computed.

        Raises:
            ValueError: the signals are shorter than the filters' group delay.
        """
        self._signals = signals
        self._length, self._cochleas, self._level = length, cochleas, level
        self._segmentation, self._threshold = segmentation, threshold
        widest = widest_bandwidths()
        self._control = gammatone.design(widest)
        self._control_rms = [
            gammatone.control_rms(signal[:length], filters=self._control) for signal in self._signals
        ]
        bandwidths = [
            gammatone.adjusted_bandwidth(rms, narrowest=cochlea.bandwidth, widest=widest, level=level)
            for rms, cochlea in zip(self._control_rms, cochleas, strict=True)
        ]
        self._filters = [gammatone.design(bandwidth) for bandwidth in bandwidths]
        self._phase_steps = gammatone.phase_steps()
        self._compensation = gammatone.group_delay_compensation(bandwidths[0])
        if self._compensation.max() > length:
            raise ValueError(
                f"The signals are too short: after trimming, their {length} samples are fewer than the "
                "group delay of the ear model."
            )
        segments = segmentation.segments(length)
        self._envelope_rms = np.empty((2, CHANNELS))
        self._smooth = np.empty((2, CHANNELS, smoothing.segments(length)))
        self._covariances, self._levels = np.zeros((CHANNELS, segments)), np.zeros((CHANNELS, segments))

    def buffers(self) -> ChannelOutputs:
        """Return buffers for the outputs of one channel, which ears for signals of one length may share."""
        size = (
            len(self._signals.reference)
            if self._length <= MAX_WHOLE_LENGTH
            else self._chunk_length() + CHUNK_MARGIN
        )
        return ChannelOutputs(
            reference=BasilarMembrane(envelope=np.empty(size), motion=np.empty(size)),
            processed=BasilarMembrane(envelope=np.empty(size), motion=np.empty(size)),
        )

    def process_channel(
        self, number: int, noises: tuple[NoiseReader, NoiseReader], *, buffers: ChannelOutputs
    ) -> None:
        """Process both signals in one channel.

        Args:
            number: channel number, 0 to 31.
            noises: threshold noise of this channel, for the reference and for the processed signal.
            buffers: from `buffers`, overwritten.
        """
        length = self._length
        whole = length <= MAX_WHOLE_LENGTH
        compressor = Compressor(
            self._signals, length=length, channels=self._channel_parameters(number), outputs=buffers
        )
        envelope_delay, motion_delay = _delays(
            compressor, length=length, chunk=length if whole else CHUNK_LENGTH
        )
        self._envelope_rms[:, number] = compressor.envelope_rms()
        if not whole:
            compressor.restart()
        compensation = int(self._compensation[number])
        features = channel.ChannelFeatures(
            alignment=channel.ChannelAlignment(
                length=length,
                compensation=compensation,
                envelope_delay=envelope_delay,
                motion_delay=motion_delay,
            ),
            reference_level=self._level - float(self._cochleas[0].inner_loss[number]),
            processed_level=self._level - float(self._cochleas[1].inner_loss[number]),
            noises=noises,
            segmentation=self._segmentation,
            threshold=self._threshold,
        )
        chunk = features.end if whole else self._chunk_length()
        for start in range(0, features.end, chunk):
            compressor.advance(start + chunk + overlap_save.MAX_LAG)
            features.extract(compressor.outputs, offset=compressor.offset, start=start, stop=start + chunk)
            if not whole:
                compressor.discard(start + chunk - compensation - overlap_save.MAX_LAG)
        self._smooth[:, number] = features.smoothed_envelopes()
        self._covariances[number], self._levels[number] = features.covariances, features.levels

    def outputs(self) -> EarOutputs:
        """Return the outputs, once all channels have been processed."""
        spectra = [
            spectrum.compressed_level(rms, control=control, cochlea=cochlea, level=self._level)
            for rms, control, cochlea in zip(
                self._envelope_rms, self._control_rms, self._cochleas, strict=True
            )
        ]
        return EarOutputs(
            reference_smooth=self._smooth[0],
            processed_smooth=self._smooth[1],
            reference_spectrum=spectra[0],
            processed_spectrum=spectra[1],
            covariances=self._covariances,
            levels=self._levels,
        )

    def _channel_parameters(self, number: int) -> ChannelPair:
        def packed(filters: gammatone.FilterBank, cochlea: Cochlea) -> ChannelParameters:
            return channel_parameters(
                control_taps=self._control.taps[number],
                control_gain=float(self._control.gain[number]),
                taps=filters.taps[number],
                gain=float(filters.gain[number]),
                phase_step=self._phase_steps[number],
                cochlea=cochlea,
                channel=number,
                level=self._level,
            )

        return ChannelPair(
            reference=packed(self._filters[0], self._cochleas[0]),
            processed=packed(self._filters[1], self._cochleas[1]),
        )

    def _chunk_length(self) -> int:
        """Return the length of a chunk in whole blocks of the features."""
        block = channel.block_length(self._segmentation)
        return block * (CHUNK_LENGTH // block + 1)


def process_channels(
    processors: Sequence[ChannelProcessor],
    *,
    positions: Sequence[int],
    streams: tuple[NormalStream, NormalStream],
    length: int,
    level: float,
) -> None:
    """Process the signals of several listeners channel by channel, one listener after the other.

    The listeners of a song read nearly the same part of the noise, so it is computed once for all of them.

    Args:
        processors: called with each channel number and the channel's noises, like `EarModel.process_channel`.
        positions: position of each listener's noise in the streams, in normals.
        streams: noise of the references and of the processed signals; they advance to the end of the last
            listener's noise.
        length: samples of all signals.
        level: dB SPL of an RMS of 1, for all signals.
    """
    noises = [NoiseBuffer(stream, gain=10 ** ((NOISE_LEVEL - level) / 20)) for stream in streams]
    for number in range(CHANNELS):
        begins = [position + number * length for position in positions]
        if len(processors) > 1:
            for noise in noises:
                noise.read(min(begins), max(begins) + length)
        for process, begin in zip(processors, begins, strict=True):
            process(number, (_noise_reader(noises[0], begin), _noise_reader(noises[1], begin)))
    end = max(positions) + CHANNELS * length
    for noise in noises:
        noise.read(end, end)


def _noise_reader(noise: NoiseBuffer, begin: int) -> NoiseReader:
    return lambda first, last: noise.read(begin + first, begin + last)


def _delays(compressor: Compressor, *, length: int, chunk: int) -> tuple[int, int]:
    """Return the delays of a channel's processed envelope and motion, in samples."""
    if chunk == length:
        compressor.advance(length)
        reference, processed = compressor.outputs
        return (
            lags.best_delay(reference.envelope, processed.envelope, length=length),
            lags.best_delay(reference.motion, processed.motion, length=length),
        )
    correlations = (lags.ChunkedCorrelation(), lags.ChunkedCorrelation())
    for start in range(0, length, chunk):
        compressor.advance(start + chunk + overlap_save.MAX_LAG)
        for correlation, reference_output, processed_output in zip(
            correlations, compressor.outputs.reference, compressor.outputs.processed, strict=True
        ):
            correlation.add(
                reference_output,
                processed_output,
                offset=compressor.offset,
                first=start,
                last=start + chunk,
                length=length,
            )
        compressor.discard(start + chunk - overlap_save.MAX_LAG)
    return correlations[0].best_delay(length=length), correlations[1].best_delay(length=length)
