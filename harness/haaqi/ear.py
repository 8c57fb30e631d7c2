"""The ear: both signals, from the middle ear to the features that HAAQI compares, channel by channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.haaqi.alignment import lags
from harness.haaqi.cochlea import compression, gammatone
from harness.haaqi.cochlea.compression import Outputs
from harness.haaqi.cochlea.hearing import CHANNELS, Cochlea, widest_bandwidths
from harness.haaqi.cochlea.middle_ear import middle_ear
from harness.haaqi.cochlea.noise import Stream, Window
from harness.haaqi.features import smoothing, spectrum, tiles
from harness.haaqi.features.covariance import Tiling
from harness.haaqi.features.tiles import Normals
from harness.haaqi.kernels.signals import Signal

NOISE_LEVEL = -10

# A channel's outputs are needed twice, for the delays and after. Up to two minutes they are kept in
# between; those of longer signals are computed twice, chunk by chunk, so that they need no memory.
KEPT_WHOLE = 24000 * 120
CHUNK = 12 * lags.SPAN
MARGIN = 4 * lags.REACH

Listen: TypeAlias = Callable[[int, tuple[Normals, Normals]], None]


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What is left of both signals after the ear.

    Attributes:
        reference_smooth: (32, segments of 8 ms) smoothed envelope, dB above threshold.
        processed_smooth: the same of the processed signal.
        reference_spectrum: (32,) long-term spectrum, dB above threshold.
        processed_spectrum: the same of the processed signal.
        covariances: (32, segments) of the fine structure; 0 where `levels` is not above threshold.
        levels: (32, segments) of the reference's fine structure, dB.
    """

    reference_smooth: NDArray[np.float64]
    processed_smooth: NDArray[np.float64]
    reference_spectrum: NDArray[np.float64]
    processed_spectrum: NDArray[np.float64]
    covariances: NDArray[np.float64]
    levels: NDArray[np.float64]


def padded(signal: Signal) -> NDArray[np.float64]:
    """Pass a signal through the middle ear, and append zeros up to whole blocks."""
    filtered = middle_ear(signal)
    whole = np.zeros(-(-len(filtered) // gammatone.BLOCK) * gammatone.BLOCK)
    whole[: len(filtered)] = filtered
    return whole


class Ear:
    """A listener's ear, through which both signals go channel by channel."""

    def __init__(
        self,
        reference: NDArray[np.float64],
        processed: NDArray[np.float64],
        *,
        length: int,
        cochleas: tuple[Cochlea, Cochlea],
        level: float,
        tiling: Tiling,
        threshold: float,
    ) -> None:
        """Set the filters' widths by the signals' levels.

        Args:
            reference: (m,) output of the middle ear at 24 kHz, as `padded` makes it.
            processed: (m,) the same, aligned to the reference.
            length: how many of the samples count.
            cochleas: the reference's and the processed signal's.
            level: dB SPL of an RMS of 1.
            tiling: how the fine structure is divided in time.
            threshold: dB above which a tile's covariance is wanted.

        Raises:
            ValueError: the signals are shorter than the ear's delay.
        """
        self._signals = (reference, processed)
        self._length, self._cochleas, self._level = length, cochleas, level
        self._tiling, self._threshold = tiling, threshold
        widest = widest_bandwidths()
        self._control = gammatone.design(widest)
        self._control_rms = [
            gammatone.control_rms(signal[:length], filters=self._control) for signal in self._signals
        ]
        widths = [
            gammatone.adjusted_bandwidth(rms, narrowest=cochlea.bandwidth, widest=widest, level=level)
            for rms, cochlea in zip(self._control_rms, cochleas, strict=True)
        ]
        self._filters = [gammatone.design(width) for width in widths]
        self._rotations = gammatone.rotations()
        self._waits = gammatone.group_delays(widths[0])
        if self._waits.max() > length:
            raise ValueError(
                f"The signals are too short: {length} samples are left of them, less than the ear's delay."
            )
        tiles = tiling.segments(length)
        self._averages = np.empty((2, CHANNELS))
        self._smooths = np.empty((2, CHANNELS, smoothing.segments(length)))
        self._covariances, self._levels = np.zeros((CHANNELS, tiles)), np.zeros((CHANNELS, tiles))

    def rooms(self) -> Outputs:
        """Return room for the outputs of one channel, which ears of one length may share."""
        room = len(self._signals[0]) if self._length <= KEPT_WHOLE else self._chunk_stretches() + MARGIN
        return np.empty(room), np.empty(room), np.empty(room), np.empty(room)

    def listen(self, index: int, noises: tuple[Normals, Normals], *, outputs: Outputs) -> None:
        """Pass both signals through one channel.

        Args:
            index: which.
            noises: the threshold noise of this channel, for both signals.
            outputs: as `rooms` makes them, to be overwritten.
        """
        length, cochleas, tiling = self._length, self._cochleas, self._tiling
        wait = int(self._waits[index])
        chunk = length if length <= KEPT_WHOLE else CHUNK
        channels = [
            compression.channel(
                control_taps=self._control.taps[index],
                control_gain=float(self._control.gain[index]),
                taps=own.taps[index],
                gain=float(own.gain[index]),
                rotation=self._rotations[index],
                cochlea=cochlea,
                index=index,
                level=self._level,
            )
            for own, cochlea in zip(self._filters, cochleas, strict=True)
        ]
        compressor = compression.Compressor(
            *self._signals, length=length, channels=(channels[0], channels[1]), outputs=outputs
        )
        delays = _delays(compressor, length=length, chunk=chunk)
        self._averages[:, index] = compressor.averages()
        if chunk < length:
            compressor.restart()
        found = tiles.Features(
            length=length,
            wait=wait,
            delays=delays,
            bases=(
                self._level - float(cochleas[0].inner_loss[index]),
                self._level - float(cochleas[1].inner_loss[index]),
            ),
            noises=noises,
            tiling=tiling,
            threshold=self._threshold,
        )
        stretches = found.end if chunk == length else self._chunk_stretches()
        for start in range(0, found.end, stretches):
            compressor.advance(start + stretches + lags.REACH)
            found.gather(compressor.outputs, offset=compressor.offset, start=start, stop=start + stretches)
            if chunk < length:
                compressor.forget(start + stretches - wait - lags.REACH)
        self._smooths[:, index] = found.smooth()
        self._covariances[index], self._levels[index] = found.covariances, found.levels

    def heard(self) -> Heard:
        """Return what is left of both signals when all channels have been listened to."""
        spectra = [
            spectrum.sensation_level(
                self._averages[k], control=self._control_rms[k], cochlea=self._cochleas[k], level=self._level
            )
            for k in range(2)
        ]
        return Heard(
            reference_smooth=self._smooths[0],
            processed_smooth=self._smooths[1],
            reference_spectrum=spectra[0],
            processed_spectrum=spectra[1],
            covariances=self._covariances,
            levels=self._levels,
        )

    def _chunk_stretches(self) -> int:
        stretch = tiles.stretch_of(self._tiling)
        return stretch * (CHUNK // stretch + 1)


def listen_together(
    ears: Sequence[Listen],
    *,
    places: Sequence[int],
    streams: tuple[Stream, Stream],
    length: int,
    level: float,
) -> None:
    """Let several ears listen to signals of one length, channel by channel in turn.

    Ears of one song hear nearly the same stretch of noise, so that it is made once for all of them.

    Args:
        ears: called with the number of each channel and its noises, like `Ear.listen`.
        places: where in the streams each ear's noise begins.
        streams: the noise of the references, and of the processed signals; they move on to the end of
            what is heard last.
        length: of all signals.
        level: of all, dB SPL of an RMS of 1.
    """
    windows = [Window(stream, gain=10 ** ((NOISE_LEVEL - level) / 20)) for stream in streams]
    for index in range(CHANNELS):
        begins = [place + index * length for place in places]
        if len(ears) > 1:
            for window in windows:
                window.read(min(begins), max(begins) + length)
        for ear, begin in zip(ears, begins, strict=True):
            ear(index, (_normals(windows[0], begin), _normals(windows[1], begin)))
    for window in windows:
        window.read(max(places) + CHANNELS * length, max(places) + CHANNELS * length)


def _normals(window: Window, begin: int) -> Normals:
    return lambda first, last: window.read(begin + first, begin + last)


def _delays(compressor: compression.Compressor, *, length: int, chunk: int) -> tuple[int, int]:
    """Return by how many samples the processed envelope and motion of a channel come late."""
    if chunk == length:
        compressor.advance(length)
        envelope, motion, processed_envelope, processed_motion = compressor.outputs
        return (
            lags.best_delay(envelope, processed_envelope, length=length),
            lags.best_delay(motion, processed_motion, length=length),
        )
    correlations = (lags.Correlation(), lags.Correlation())
    for start in range(0, length, chunk):
        compressor.advance(start + chunk + lags.REACH)
        for which, correlation in enumerate(correlations):
            correlation.add(
                compressor.outputs[which],
                compressor.outputs[2 + which],
                offset=compressor.offset,
                first=start,
                last=start + chunk,
                length=length,
            )
        if chunk < length:
            compressor.forget(start + chunk - lags.REACH)
    return correlations[0].best_delay(length=length), correlations[1].best_delay(length=length)
