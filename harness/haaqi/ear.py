"""The ear: both signals, from the middle ear to the features that HAAQI compares, channel by channel."""

# ruff: noqa: PLR0917 - compiled loops take their arrays by position

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import compression, covariance, gammatone, lags, smoothing, spectrum, transduction
from .covariance import Tiling
from .hearing import CHANNELS, Cochlea, widest_bandwidths
from .kernel import fused
from .noise import Stream, add_normals, skip_normals

NOISE_LEVEL = -10


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


def hear(
    reference: NDArray[np.float64],
    processed: NDArray[np.float64],
    *,
    cochleas: tuple[Cochlea, Cochlea],
    level: float,
    tiling: Tiling,
    threshold: float,
    noises: tuple[Stream, Stream],
) -> Heard:
    """Pass both signals through the ear.

    Args:
        reference: (n,) output of the middle ear at 24 kHz.
        processed: (n,) the same, aligned to the reference.
        cochleas: the reference's and the processed signal's.
        level: dB SPL of an RMS of 1.
        tiling: how the fine structure is divided in time.
        threshold: dB above which a tile's covariance is wanted.
        noises: where the normals of the reference's 32 channels start, and where those of the
            processed signal's; both streams move on by 32 * n.
    """
    length = len(reference)
    widest = widest_bandwidths()
    control = gammatone.design(widest)
    control_rms = [gammatone.control_rms(signal, filters=control) for signal in (reference, processed)]
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
    synapse = transduction.adaptation()
    weights = smoothing.window()

    padded = -(-length // gammatone.BLOCK) * gammatone.BLOCK
    signals = [np.concatenate((signal, np.zeros(padded - length))) for signal in (reference, processed)]
    outputs = tuple(np.empty(padded) for _ in range(4))
    averages = np.empty((2, CHANNELS))
    pieces = smoothing.segments(length)
    rising, falling = np.empty((2, CHANNELS, pieces)), np.empty((2, CHANNELS, pieces))
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
        averages[:, index] = compression.compress(
            signals[0], signals[1], length=length, channels=(channels[0], channels[1]), outputs=outputs
        )
        envelope_r, motion_r, envelope_p, motion_p = outputs
        _finish(
            envelope_r,
            motion_r,
            envelope_p,
            motion_p,
            length,
            int(waits[index]),
            (
                lags.best_delay(envelope_r, envelope_p, length=length),
                lags.best_delay(motion_r, motion_p, length=length),
            ),
            level - float(cochleas[0].inner_loss[index]),
            level - float(cochleas[1].inner_loss[index]),
            synapse,
            10 ** ((NOISE_LEVEL - level) / 20),
            noises[0].parts,
            noises[1].parts,
            weights,
            rising[:, index],
            falling[:, index],
            tiling.window,
            tiling.scale,
            tiling.power,
            tiling.half_scale,
            tiling.half_power,
            threshold,
            covariances[index],
            levels[index],
        )

    spectra = [
        spectrum.sensation_level(averages[k], control=control_rms[k], cochlea=cochleas[k], level=level)
        for k in range(2)
    ]
    return Heard(
        reference_smooth=smoothing.average(rising[0], falling[0]),
        processed_smooth=smoothing.average(rising[1], falling[1]),
        reference_spectrum=spectra[0],
        processed_spectrum=spectra[1],
        covariances=covariances,
        levels=levels,
    )


@fused
def _finish(
    envelope_r: NDArray[np.float64],
    motion_r: NDArray[np.float64],
    envelope_p: NDArray[np.float64],
    motion_p: NDArray[np.float64],
    length: int,
    wait: int,
    delays: tuple[int, int],
    base_r: float,
    base_p: float,
    synapse: NDArray[np.float64],
    noise: float,
    stream_r: tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.float64]],
    stream_p: tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.float64]],
    weights: NDArray[np.float64],
    rising: NDArray[np.float64],
    falling: NDArray[np.float64],
    window: NDArray[np.float64],
    scale: NDArray[np.float64],
    power: float,
    half_scale: NDArray[np.float64],
    half_power: float,
    threshold: float,
    covariances: NDArray[np.float64],
    levels: NDArray[np.float64],
) -> None:
    """Transduce one channel, add the noise, smooth the envelope, compare the fine structure.

    All of it goes on in stretches that are whole pieces of both divisions of time, with the last
    half segment of fine structure kept for the next stretch.
    """
    half = len(window) // 2
    stretch = half * smoothing.HALF // math.gcd(half, smoothing.HALF)
    stretch *= max(1536 // stretch, 1)
    pieces = rising.shape[1]
    tiles = len(levels)
    state = np.zeros(4)
    work_r, work_p = np.empty(stretch), np.empty(stretch)
    level_r, level_p = np.zeros(stretch), np.zeros(stretch)
    ours, theirs = np.zeros(half + stretch), np.zeros(half + stretch)
    room = np.empty(4 * half + 112)
    done = 0
    for start in range(0, max(pieces * smoothing.HALF, tiles * half), stretch):
        # The channel waits for the slowest one: what it starts with is silence.
        silent = min(max(wait - start, 0), stretch)
        level_r[:silent] = 0.0
        level_p[:silent] = 0.0
        ours[half : half + silent] = 0.0
        theirs[half : half + silent] = 0.0
        first = start + silent - wait
        count = max(min(stretch - silent, length - wait - first), 0)
        done += count
        heard_r, heard_p = level_r[silent:], level_p[silent:]
        moved_r, moved_p = ours[half + silent :], theirs[half + silent :]
        transduction.copy_shifted(envelope_r, length, first, count, work_r)
        transduction.copy_shifted(motion_r, length, first, count, moved_r)
        transduction.copy_shifted(envelope_p, length, first + delays[0], count, work_p)
        transduction.copy_shifted(motion_p, length, first + delays[1], count, moved_p)
        transduction.sensation(work_r, base_r, count, heard_r)
        transduction.sensation(work_p, base_p, count, heard_p)
        transduction.adapt(heard_r, heard_p, count, synapse, state)
        transduction.scale(moved_r, heard_r, work_r, count)
        transduction.scale(moved_p, heard_p, work_p, count)
        add_normals(stream_r[0], stream_r[1], stream_r[2], moved_r, noise, count)
        add_normals(stream_p[0], stream_p[1], stream_p[2], moved_p, noise, count)

        piece = start // smoothing.HALF
        some = min(stretch // smoothing.HALF, pieces - piece)
        smoothing.weigh(level_r, some, weights, piece, rising[0], falling[0])
        smoothing.weigh(level_p, some, weights, piece, rising[1], falling[1])

        for number in range(start // half, min((start + stretch) // half, tiles)):
            place = number * half - start + half
            if number == 0:
                covariances[0], levels[0] = covariance.tile(
                    ours, theirs, place, window, half, half, half_scale, half_power, threshold, room
                )
            if number > 1:
                covariances[number - 1], levels[number - 1] = covariance.tile(
                    ours, theirs, place - half, window, 0, 2 * half, scale, power, threshold, room
                )
            if number == tiles - 1:
                covariances[number], levels[number] = covariance.tile(
                    ours, theirs, place, window, 0, half, half_scale, half_power, threshold, room
                )
        ours[:half] = ours[stretch:]
        theirs[:half] = theirs[stretch:]
    skip_normals(stream_r[0], stream_r[1], stream_r[2], length - done)
    skip_normals(stream_p[0], stream_p[1], stream_p[2], length - done)
