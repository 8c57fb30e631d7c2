"""Each stage of the model on its own: our numbers, pyclarity's, and how far they may be apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.haaqi import ear, index, nalr
from harness.haaqi.alignment import broadband, lags
from harness.haaqi.cochlea import compression, gammatone, hearing_loss, middle_ear, noise, transduction
from harness.haaqi.cochlea.audibility import audible_segments
from harness.haaqi.features import cepstrum, covariance, smoothing, spectrum
from harness.haaqi.kernels import resampling
from tests.haaqi.haaqi_cases import AUDIOGRAMS, music, noisy, wave

Numbers = NDArray[np.float64]
LOSSES = ("normal", "better than normal", "moderate", "profound", "steep", "fractional")
LOSS = np.array(AUDIOGRAMS["moderate"])
LENGTH = 6000
CHANNELS = (0, 9, 20, 31)
LEVEL = 92.0


@dataclass(frozen=True)
class Stage:
    """One stage: `ours` and `theirs` return as many numbers, equal to `within` of the greatest."""

    ours: Callable[[], Numbers]
    theirs: Callable[[], Numbers]
    within: float


def _eb() -> Any:
    from clarity.evaluator.haspi import eb

    return eb


def thinned(*parts: Any) -> Numbers:
    """Return at most 60 numbers of each array, evenly broadcast, and the sum of all."""
    out: list[Numbers] = []
    for part in parts:
        flat = np.asarray(part, dtype=np.float64).ravel()
        out += [flat[:: max(1, len(flat) // 50)], np.sum(flat, keepdims=True)]
    return np.concatenate(out)


def signals() -> tuple[Numbers, Numbers]:
    """Return a reference and a processed signal as they leave the middle ear, some of it silent."""
    reference = music(LENGTH, seed=20)
    reference[2500:3500] = 0
    return reference, np.roll(noisy(1.5 * reference, share=0.1), 5)


def envelopes() -> tuple[Numbers, Numbers]:
    """Return two envelopes and ripple beneath 0, as linear numbers."""
    later = np.concatenate((np.zeros(30), wave(LENGTH - 30, step=1 / 690)))
    return np.abs(0.02 * wave(LENGTH, step=1 / 700)) + 1e-7, np.abs(0.03 * later) * (np.arange(LENGTH) > 1500)


def decibels() -> tuple[Numbers, Numbers]:
    """Return two smoothed envelopes of 32 channels and 150 segments, in dB."""
    rng = np.random.RandomState(21)
    reference = np.maximum(20 * np.add.accumulate(rng.standard_normal((32, 150)), axis=0), 0)
    reference[:, 40:55] = 0.0
    return reference, np.maximum(reference + 6 * rng.standard_normal((32, 150)), 0)


def motions() -> tuple[Numbers, Numbers]:
    """Return the motion of two channels, loud and faint by turns, for two signals."""
    rng = np.random.RandomState(22)
    swell = wave(LENGTH, step=1 / 900) ** 2
    ours = np.stack([20 * wave(LENGTH, step=1 / 5) * swell * swell, wave(LENGTH, step=1 / 2)])
    return ours, np.roll(ours, 7, axis=1) + rng.standard_normal(ours.shape)


# --- design -------------------------------------------------------------------------------------


def our_centres() -> Numbers:
    return np.concatenate((hearing_loss.centre_frequencies(), hearing_loss.equivalent_bandwidths()))


def their_centres() -> Numbers:
    centres = _eb().center_frequency(32)
    return np.concatenate((centres, 24.7 + centres / 9.26449))


def our_cochleas() -> Numbers:
    cochleas = [hearing_loss.impaired_cochlea(np.array(AUDIOGRAMS[name])) for name in LOSSES]
    parts = [(c.outer_loss, c.bandwidth, c.knee, c.ratio, c.inner_loss, c.slope) for c in cochleas]
    return np.concatenate([np.ravel(parts), hearing_loss.widest_bandwidths()])


def their_cochleas() -> Numbers:
    eb = _eb()
    centres = eb.center_frequency(32)
    found = [eb.loss_parameters(np.array(AUDIOGRAMS[name]), centres) for name in LOSSES]
    parts = [(*five, 1 - 1 / five[3]) for five in found]  # the slope stands in its compression
    return np.concatenate([np.ravel(parts), eb.loss_parameters([100] * 6, centres)[1]])


def our_equalisers() -> Numbers:
    reference = music(1500, seed=23)
    taps = [nalr.equaliser(np.array(AUDIOGRAMS[name])) for name in LOSSES]
    taps.append(nalr.equaliser(np.full(6, 0.5)))
    return np.concatenate([*taps, nalr.amplify(reference, taps=taps[2])[::9]])


def their_equalisers() -> Numbers:
    from clarity.enhancer.nalr import NALR

    frequencies = [250, 500, 1000, 2000, 4000, 6000]
    taps = [NALR(140, 24000).build(np.array(AUDIOGRAMS[name]), frequencies)[0] for name in LOSSES]
    taps.append(NALR(140, 24000).build(np.full(6, 0.5), frequencies)[0])
    amplified = np.convolve(music(1500, seed=23), taps[2])[140:1640]
    return np.concatenate([*taps, amplified[::9]])


def our_resampling() -> Numbers:
    kinds = (
        (8000, np.float64),
        (16000, np.float32),
        (44100, np.float64),
        (48000, np.float32),
        (24400, np.float64),
    )
    return thinned(*[resampling.resample(music(3000, seed=r).astype(k), sample_rate=r) for r, k in kinds])


def their_resampling() -> Numbers:
    kinds = (
        (8000, np.float64),
        (16000, np.float32),
        (44100, np.float64),
        (48000, np.float32),
        (24400, np.float64),
    )
    return thinned(*[_eb().resample_24khz(music(3000, seed=r).astype(k), r)[0] for r, k in kinds])


def _unaligned() -> list[tuple[Numbers, Numbers]]:
    reference = music(5000, seed=24)
    # Both ends rise slowly past the level at which a reference counts as quiet.
    peak = np.max(np.abs(reference[600:-600]))
    reference[:600] = np.linspace(0.00099, 0.00101, 600) * peak
    reference[-600:] = np.linspace(0.00101, 0.00099, 600) * peak
    return [(reference, np.roll(noisy(reference), by)) for by in (-300, -20, 0, 48, 49, 700)]


def our_alignment() -> Numbers:
    parts = []
    for reference, processed in _unaligned():
        part = broadband.audible_span(reference)
        moved = broadband.shift(processed, broadband.BroadbandAligner(reference=reference).delay(processed))
        parts += [reference[part], moved[part]]
    return thinned(*[[len(part)] for part in parts], *parts)


def their_alignment() -> Numbers:
    parts = []
    for reference, processed in _unaligned():
        parts += list(_eb().input_align(reference, processed))
    return thinned(*[[len(part)] for part in parts], *parts)


def our_middle_ear() -> Numbers:
    return thinned(middle_ear.middle_ear(signals()[0]))


def their_middle_ear() -> Numbers:
    return thinned(_eb().middle_ear(signals()[0], 24000))


# --- filter bank --------------------------------------------------------------------------------


def our_widths() -> Numbers:
    cochlea, widest = hearing_loss.impaired_cochlea(LOSS), hearing_loss.widest_bandwidths()
    parts = []
    for level in (40.0, 80.0, LEVEL, 130.0):
        rms = gammatone.control_rms(signals()[1], filters=gammatone.design(widest))
        width = gammatone.adjusted_bandwidth(rms, narrowest=cochlea.bandwidth, widest=widest, level=level)
        parts += [rms, width, gammatone.group_delay_compensation(width)]
    return np.concatenate(parts)


def their_widths() -> Numbers:
    eb = _eb()
    centres = eb.center_frequency(32)
    narrowest = eb.loss_parameters(LOSS, centres)[1]
    widest = eb.loss_parameters([100] * 6, centres)[1]
    signal = signals()[1]
    controls = [
        eb.gammatone_basilar_membrane(signal, widest[k], signal, widest[k], 24000, centres[k])[0]
        for k in range(32)
    ]
    parts = []
    for level in (40.0, 80.0, LEVEL, 130.0):
        rms = [np.sqrt(np.mean(control**2)) for control in controls]
        width = np.array(
            [eb.bandwidth_adjust(controls[k], narrowest[k], widest[k], level) for k in range(32)]
        )
        impulse = np.zeros((32, LENGTH))
        impulse[:, 0] = 1.0
        delays = np.argmax(eb.group_delay_compensate(impulse, width, centres, 24000), axis=1)
        parts += [rms, width, delays]
    return np.concatenate(parts)


def _our_outputs(loss: Numbers, level: float) -> list[Numbers]:
    widest, cochlea = hearing_loss.widest_bandwidths(), hearing_loss.impaired_cochlea(loss)
    control = gammatone.design(widest)
    padded = -(-LENGTH // gammatone.BLOCK) * gammatone.BLOCK
    both = [np.concatenate((signal, np.zeros(padded - LENGTH))) for signal in signals()]
    filters = [gammatone.design(widest), gammatone.design(cochlea.bandwidth)]
    parts: list[Numbers] = []
    for index_ in CHANNELS:
        channels = [
            compression.channel(
                control_taps=control.taps[index_],
                control_gain=float(control.gain[index_]),
                taps=own.taps[index_],
                gain=float(own.gain[index_]),
                rotation=gammatone.phase_steps()[index_],
                cochlea=cochlea,
                index=index_,
                level=level,
            )
            for own in filters
        ]
        outputs = np.empty(padded), np.empty(padded), np.empty(padded), np.empty(padded)
        compressor = compression.Compressor(
            both[0], both[1], length=LENGTH, channels=(channels[0], channels[1]), outputs=outputs
        )
        compressor.advance(LENGTH)
        averages = compressor.averages()
        parts += [np.array(averages), *[output[:LENGTH] for output in outputs]]
    return parts


def _their_outputs(loss: Numbers, level: float) -> list[Numbers]:
    eb = _eb()
    centres = eb.center_frequency(32)
    outer, narrow, knee, ratio, _ = eb.loss_parameters(loss, centres)
    widest = eb.loss_parameters([100] * 6, centres)[1]
    ours, theirs = signals()
    parts: list[Numbers] = []
    for k in CHANNELS:
        control, _, other, _ = eb.gammatone_basilar_membrane(
            ours, widest[k], theirs, widest[k], 24000, centres[k]
        )
        env, motion, env2, motion2 = eb.gammatone_basilar_membrane(
            ours, widest[k], theirs, narrow[k], 24000, centres[k]
        )
        parts += [np.array([np.sqrt(np.mean(env**2)), np.sqrt(np.mean(env2**2))])]
        parts += eb.env_compress_basilar_membrane(
            env, motion, control, outer[k], knee[k], ratio[k], 24000, level
        )
        parts += eb.env_compress_basilar_membrane(
            env2, motion2, other, outer[k], knee[k], ratio[k], 24000, level
        )
    return parts


def our_compression() -> Numbers:
    parts = [part for loss, level in ((LOSS, LEVEL), (0 * LOSS, 125.0)) for part in _our_outputs(loss, level)]
    return thinned(
        *[part / np.max(np.abs(part)) for part in parts], *[[np.max(np.abs(part))] for part in parts]
    )


def their_compression() -> Numbers:
    parts = [
        part for loss, level in ((LOSS, LEVEL), (0 * LOSS, 125.0)) for part in _their_outputs(loss, level)
    ]
    return thinned(
        *[part / np.max(np.abs(part)) for part in parts], *[[np.max(np.abs(part))] for part in parts]
    )


def our_lags() -> Numbers:
    found = []
    for length in (500, 2400, 2401, 6000, 30000):
        reference = np.abs(music(length, seed=25))
        for by in (-2500, -2399, -7, 0, 1, 60, 2398, 2500):
            found.append(lags.best_delay(reference, noisy(np.roll(reference, by)), length=length))
    return np.array(found, dtype=np.float64)


def their_lags() -> Numbers:
    found = []
    for length in (500, 2400, 2401, 6000, 30000):
        reference = np.abs(music(length, seed=25))
        for by in (-2500, -2399, -7, 0, 1, 60, 2398, 2500):
            processed = noisy(np.roll(reference, by))
            moved = _eb().envelope_align(reference, processed)
            reach = min(2400, length)
            fits = [d for d in range(-reach, reach) if np.array_equal(broadband.shift(processed, d), moved)]
            found.append(fits[0])
    return np.array(found, dtype=np.float64)


# --- inner hair cells ---------------------------------------------------------------------------


def our_transduction() -> Numbers:
    linear = [envelope.copy() for envelope in envelopes()]
    moved = [motion.copy() for motion in signals()]
    levels = [np.empty(LENGTH), np.empty(LENGTH)]
    for envelope, level, inner in zip(linear, levels, (0.0, 12.0), strict=True):
        transduction.sensation_level(envelope, LEVEL - inner, LENGTH, level, envelope, np.empty(LENGTH))
    transduction.adapt(levels[0], levels[1], LENGTH, transduction.synapse_coefficients(), np.zeros(4))
    for motion, level, inverse in zip(moved, levels, linear, strict=True):
        transduction.scale_motion(motion, level, inverse, LENGTH, motion)
    return thinned(*levels, *moved)


def their_transduction() -> Numbers:
    eb = _eb()
    levels, moved = [], []
    for envelope, motion, inner in zip(envelopes(), signals(), (0.0, 12.0), strict=True):
        level, scaled = eb.envelope_sl(envelope, motion, inner, LEVEL)
        level, scaled = eb.inner_hair_cell_adaptation(level, scaled, 2, 24000)
        levels.append(level)
        moved.append(scaled)
    return thinned(*levels, *moved)


def our_noise() -> Numbers:
    stream = noise.NormalStream.seeded(26)
    gain = 10 ** ((ear.NOISE_LEVEL - LEVEL) / 20)
    first = stream.take(3001)
    stream.skip(20000)
    return np.concatenate((gain * first, gain * stream.take(1000)))


def their_noise() -> Numbers:
    np.random.seed(26)
    first = _eb().basilar_membrane_add_noise(np.zeros(3001), -10, LEVEL)
    np.random.standard_normal(20000)
    second = _eb().basilar_membrane_add_noise(np.zeros(1000), -10, LEVEL)
    return np.concatenate((first, second))


# --- features -----------------------------------------------------------------------------------


def our_smoothing() -> Numbers:
    parts = []
    for length in (480, 2015, 2016, 2111, LENGTH):
        level = 1000 * envelopes()[0][:length]
        pieces = smoothing.segments(length)
        rising, falling = np.empty((1, pieces)), np.empty((1, pieces))
        smoothing.weigh_halves(level, pieces, smoothing.window(), 0, rising[0], falling[0])
        parts += [[pieces], smoothing.smoothed_envelope(rising, falling)]
    return thinned(*parts)


def their_smoothing() -> Numbers:
    parts = []
    for length in (480, 2015, 2016, 2111, LENGTH):
        smooth = _eb().env_smooth(1000 * envelopes()[0][None, :length], 8, 24000)
        parts += [[smooth.shape[1]], smooth]
    return thinned(*parts)


def our_cepstrum() -> Numbers:
    reference, processed = decibels()
    values = []
    for threshold in (0.0, 2.5, 30.0):
        some = audible_segments(reference, threshold=threshold)
        values += [np.count_nonzero(some), cepstrum.cepstral_correlation(reference[:, some], processed[:, some])]
    return np.array(values, dtype=np.float64)


def their_cepstrum() -> Numbers:
    reference, processed = decibels()
    values = []
    for threshold in (0.0, 2.5, 30.0):
        np.random.seed(27)
        high = _eb().melcor9(reference, processed, threshold, 0.0, 8)[2]
        count = 0
        state = np.random.get_state()
        np.random.seed(27)
        while not (
            np.array_equal(np.random.get_state()[1], state[1]) and np.random.get_state()[2] == state[2]
        ):
            np.random.standard_normal(64)
            count += 1
        values += [count, high]
    return np.array(values, dtype=np.float64)


def our_spectrum() -> Numbers:
    rng = np.random.RandomState(28)
    parts = []
    for name in LOSSES:
        averages = 10 ** rng.uniform(-9, 1, (3, 32))
        levels = [
            spectrum.compressed_level(
                average, control=averages[2], cochlea=hearing_loss.impaired_cochlea(AUDIOGRAMS[name]), level=LEVEL
            )
            for average in averages[:2]
        ]
        change = spectrum.spectral_change(*levels)
        parts += [*levels, np.array([change.loudness, change.normalised])]
    return np.concatenate(parts)


def their_spectrum() -> Numbers:
    eb = _eb()
    rng = np.random.RandomState(28)
    parts = []
    for name in LOSSES:
        averages = 10 ** rng.uniform(-9, 1, (3, 32))
        outer, _, knee, ratio, inner = eb.loss_parameters(AUDIOGRAMS[name], eb.center_frequency(32))
        levels = [
            eb.convert_rms_to_sl(average, averages[2], outer, knee, ratio, inner, LEVEL)
            for average in averages[:2]
        ]
        loud, norm, _ = eb.spectrum_diff(*levels)
        parts += [*levels, np.array([loud[1], norm[1]])]
    return np.concatenate(parts)


def our_tiles() -> Numbers:
    parts: list[Any] = []
    for segment, length in ((16, LENGTH), (16, 767), (5.1, 2000), (33, LENGTH)):
        segmentation = covariance.segmentation(segment)
        half, count = segmentation.half, segmentation.segments(length)
        room, short = np.empty(4 * half + 112), np.empty(4 * half + 112, np.float32)
        for ours, theirs in zip(*motions(), strict=True):
            edge = (segmentation.half_scale, segmentation.half_power, -1.0, room, short)
            tiles = [covariance.tile_covariance(ours, theirs, 0, segmentation.window, half, half, *edge)]
            for k in range(1, count - 1):
                whole = (0, 2 * half, segmentation.scale, segmentation.power, -1.0, room, short)
                tiles.append(covariance.tile_covariance(ours, theirs, k * half, segmentation.window, *whole))
            tiles.append(covariance.tile_covariance(ours, theirs, (count - 1) * half, segmentation.window, 0, half, *edge))
            parts += [[count], np.array(tiles).T]
    return thinned(*parts)


def their_tiles() -> Numbers:
    parts: list[Any] = []
    for segment, length in ((16, LENGTH), (16, 767), (5.1, 2000), (33, LENGTH)):
        ours, theirs = motions()
        covariances, squares, _ = _eb().bm_covary(ours[:, :length], theirs[:, :length], segment, 24000)
        for k in range(2):
            parts += [[covariances.shape[1]], np.stack((covariances[k], np.sqrt(squares[k])))]
    return thinned(*parts)


def _tiled() -> tuple[Numbers, Numbers]:
    rng = np.random.RandomState(29)
    return rng.uniform(size=(32, 90)), np.maximum(
        rng.uniform(-20, 12, (32, 90)) + 10 * rng.standard_normal(90), 0
    )


def our_average() -> Numbers:
    return np.array(
        [covariance.average_covariance(*_tiled(), threshold=threshold) for threshold in (0.0, 2.5, 9.0, 60.0)]
    )


def their_average() -> Numbers:
    covariances, levels = _tiled()
    return np.array(
        [_eb().ave_covary2(covariances, levels**2, threshold)[1][4] for threshold in (0.0, 2.5, 9.0, 60.0)]
    )


def our_index() -> Numbers:
    quality = [index.join(modulation=0.7, fine=0.4, loudness=0.9, normalised=0.2)]
    quality += [index.join(modulation=0.1, fine=0.95, loudness=0.3, normalised=0.8)]
    limits = [index.MAX_LOUDNESS_CHANGE, index.MAX_NORMALISED_CHANGE, index.SILENCE_THRESHOLD, index.SEGMENT_MS]
    return np.array([value for q in quality for value in (q.combined, q.nonlinear, q.linear)] + limits)


def their_index() -> Numbers:
    """Run pyclarity's own last lines on features that are put in the place of its stages'."""
    import inspect
    from unittest.mock import patch

    from clarity.evaluator.haaqi import haaqi

    values: list[float] = []
    for modulation, fine, loudness, normalised in ((0.7, 0.4, 0.9, 0.2), (0.1, 0.95, 0.3, 0.8)):
        changes = np.array([0, (1 - loudness) * 2.5, 0]), np.array([0, (1 - normalised) * 25, 0]), None
        stages = {
            "ear_model": (None,) * 7,
            "env_smooth": None,
            "melcor9": (0, 0, modulation, None),
            "spectrum_diff": changes,
            "bm_covary": (None, None, None),
            "ave_covary2": (0, [0, 0, 0, 0, fine, 0]),
        }
        with patch.multiple(
            haaqi.eb, **{name: (lambda *_, value=value: value) for name, value in stages.items()}
        ):
            values += haaqi.haaqi_v1(None, 0, None, 0, None, 1)[:3]
    defaults = inspect.signature(haaqi.haaqi_v1).parameters
    return np.array(
        [*values, 2.5, 25, defaults["silence_threshold"].default, defaults["segment_covariance"].default]
    )


STAGES = {
    "centre frequencies": Stage(our_centres, their_centres, 1e-15),
    "cochlea": Stage(our_cochleas, their_cochleas, 1e-15),
    "NAL-R": Stage(our_equalisers, their_equalisers, 1e-15),
    "resampling": Stage(our_resampling, their_resampling, 1e-15),
    "broadband alignment": Stage(our_alignment, their_alignment, 1e-15),
    "middle ear": Stage(our_middle_ear, their_middle_ear, 1e-15),
    "filter widths": Stage(our_widths, their_widths, 1e-15),
    "filters and compression": Stage(our_compression, their_compression, 1e-13),
    "alignment in a channel": Stage(our_lags, their_lags, 0.0),
    "inner hair cells": Stage(our_transduction, their_transduction, 1e-13),
    "noise": Stage(our_noise, their_noise, 1e-14),
    "smoothing": Stage(our_smoothing, their_smoothing, 1e-14),
    "cepstral correlation": Stage(our_cepstrum, their_cepstrum, 1e-13),
    "spectrum": Stage(our_spectrum, their_spectrum, 1e-14),
    "tiles of fine structure": Stage(our_tiles, their_tiles, 1e-13),
    "average of the tiles": Stage(our_average, their_average, 1e-14),
    "index": Stage(our_index, their_index, 1e-15),
}
