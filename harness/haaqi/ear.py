"""The ear: both signals, from the middle ear to the features that HAAQI compares, channel by channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import compression, features, gammatone, lags, smoothing, spectrum
from .covariance import Tiling
from .hearing import CHANNELS, Cochlea, widest_bandwidths
from .middle_ear import middle_ear
from .noise import Stream
from .signals import Signal

NOISE_LEVEL = -10

# A channel's outputs are needed twice, for the delays and after. Up to two minutes they are kept in
# between; those of longer signals are computed twice, chunk by chunk, so that they need no memory.
KEPT_WHOLE = 24000 * 120
CHUNK = 12 * lags.SPAN
MARGIN = 4 * lags.REACH


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


def hear(
    reference: NDArray[np.float64],
    processed: NDArray[np.float64],
    *,
    length: int,
    cochleas: tuple[Cochlea, Cochlea],
    level: float,
    tiling: Tiling,
    threshold: float,
    noises: tuple[Stream, Stream],
) -> Heard:
    """Pass both signals through the ear.

    Args:
        reference: (m,) output of the middle ear at 24 kHz, as `padded` makes it.
        processed: (m,) the same, aligned to the reference.
        length: how many of the samples count.
        cochleas: the reference's and the processed signal's.
        level: dB SPL of an RMS of 1.
        tiling: how the fine structure is divided in time.
        threshold: dB above which a tile's covariance is wanted.
        noises: where the normals of the reference's 32 channels start, and where those of the
            processed signal's; both streams move on by 32 * length.
    """
    widest = widest_bandwidths()
    control = gammatone.design(widest)
    control_rms = [
        gammatone.control_rms(signal[:length], filters=control) for signal in (reference, processed)
    ]
    widths = [
        gammatone.adjusted_bandwidth(rms, narrowest=cochlea.bandwidth, widest=widest, level=level)
        for rms, cochlea in zip(control_rms, cochleas, strict=True)
    ]
    filters = [gammatone.design(width) for width in widths]
    rotations = gammatone.rotations()
    waits = gammatone.group_delays(widths[0])
    if waits.max() > length:
        raise ValueError(
            f"The signals are too short: {length} samples are left of them, less than the ear's delay."
        )

    noise = 10 ** ((NOISE_LEVEL - level) / 20)
    chunk = length if length <= KEPT_WHOLE else CHUNK
    stretch = features.stretch_of(tiling)
    stretches = stretch * (chunk // stretch + 1)
    room = len(reference) if chunk == length else stretches + MARGIN
    outputs = np.empty(room), np.empty(room), np.empty(room), np.empty(room)
    averages = np.empty((2, CHANNELS))
    smooths = np.empty((2, CHANNELS, smoothing.segments(length)))
    tiles = tiling.segments(length)
    covariances, levels = np.zeros((CHANNELS, tiles)), np.zeros((CHANNELS, tiles))

    for index in range(CHANNELS):
        channels = tuple(
            compression.channel(
                control_taps=control.taps[index],
                control_gain=float(control.gain[index]),
                taps=own.taps[index],
                gain=float(own.gain[index]),
                rotation=rotations[index],
                cochlea=cochlea,
                index=index,
                level=level,
            )
            for own, cochlea in zip(filters, cochleas, strict=True)
        )
        compressor = compression.Compressor(
            reference, processed, length=length, channels=(channels[0], channels[1]), outputs=outputs
        )
        delays = _delays(compressor, length=length, chunk=chunk)
        averages[:, index] = compressor.averages()
        if chunk < length:
            compressor.restart()
        found = features.Features(
            length=length,
            wait=int(waits[index]),
            delays=delays,
            bases=(
                level - float(cochleas[0].inner_loss[index]),
                level - float(cochleas[1].inner_loss[index]),
            ),
            noise=noise,
            noises=noises,
            tiling=tiling,
            threshold=threshold,
        )
        for start in range(0, found.end, stretches):
            compressor.advance(start + stretches + lags.REACH)
            found.gather(compressor.outputs, offset=compressor.offset, start=start, stop=start + stretches)
            if chunk < length:
                compressor.forget(start + stretches - int(waits[index]) - lags.REACH)
        found.close()
        smooths[:, index] = found.smooth()
        covariances[index], levels[index] = found.covariances, found.levels

    spectra = [
        spectrum.sensation_level(averages[k], control=control_rms[k], cochlea=cochleas[k], level=level)
        for k in range(2)
    ]
    return Heard(
        reference_smooth=smooths[0],
        processed_smooth=smooths[1],
        reference_spectrum=spectra[0],
        processed_spectrum=spectra[1],
        covariances=covariances,
        levels=levels,
    )


def _delays(compressor: compression.Compressor, *, length: int, chunk: int) -> tuple[int, int]:
    """Return by how many samples the processed envelope and motion of a channel come late."""
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
