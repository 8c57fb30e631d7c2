"""The stages from the inner hair cells to the index: `computed_…` by harness.haaqi, `expected_…` by pyclarity."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.haaqi import ear, index
from harness.haaqi.cochlea import hearing_loss, noise, transduction
from harness.haaqi.cochlea.audibility import audible_segments
from harness.haaqi.features import cepstrum, covariance, smoothing, spectrum
from tests.haaqi.cases import AUDIOGRAMS, generator_state
from tests.haaqi.stage_inputs import (
    LENGTH,
    LEVEL,
    LOSSES,
    Numbers,
    decibels,
    envelopes,
    motions,
    pyclarity_eb,
    signals,
    thinned,
)


def computed_transduction() -> Numbers:
    linear = [envelope.copy() for envelope in envelopes()]
    moved = [motion.copy() for motion in signals()]
    levels = [np.empty(LENGTH), np.empty(LENGTH)]
    for envelope, level, inner in zip(linear, levels, (0.0, 12.0), strict=True):
        transduction.sensation_level(envelope, LEVEL - inner, LENGTH, level, envelope, np.empty(LENGTH))
    transduction.adapt(levels[0], levels[1], LENGTH, transduction.synapse_coefficients(), np.zeros(4))
    for motion, level, inverse in zip(moved, levels, linear, strict=True):
        transduction.scale_motion(motion, level, inverse, LENGTH, motion)
    return thinned(*levels, *moved)


def expected_transduction() -> Numbers:
    eb = pyclarity_eb()
    levels, moved = [], []
    for envelope, motion, inner in zip(envelopes(), signals(), (0.0, 12.0), strict=True):
        level, scaled = eb.envelope_sl(envelope, motion, inner, LEVEL)
        level, scaled = eb.inner_hair_cell_adaptation(level, scaled, 2, 24000)
        levels.append(level)
        moved.append(scaled)
    return thinned(*levels, *moved)


def computed_noise() -> Numbers:
    stream = noise.NormalStream.seeded(26)
    gain = 10 ** ((ear.NOISE_LEVEL - LEVEL) / 20)
    first = stream.draw(3001)
    stream.skip(20000)
    return np.concatenate((gain * first, gain * stream.draw(1000)))


def expected_noise() -> Numbers:
    np.random.seed(26)
    first = pyclarity_eb().basilar_membrane_add_noise(np.zeros(3001), -10, LEVEL)
    np.random.standard_normal(20000)
    second = pyclarity_eb().basilar_membrane_add_noise(np.zeros(1000), -10, LEVEL)
    return np.concatenate((first, second))


def computed_smoothing() -> Numbers:
    parts = []
    for length in (480, 2015, 2016, 2111, LENGTH):
        level = 1000 * envelopes()[0][:length]
        pieces = smoothing.segments(length)
        rising, falling = np.empty((1, pieces)), np.empty((1, pieces))
        smoothing.weigh_halves(level, pieces, smoothing.window(), 0, rising[0], falling[0])
        parts += [[pieces], smoothing.smoothed_envelope(rising, falling)]
    return thinned(*parts)


def expected_smoothing() -> Numbers:
    parts = []
    for length in (480, 2015, 2016, 2111, LENGTH):
        smooth = pyclarity_eb().env_smooth(1000 * envelopes()[0][None, :length], 8, 24000)
        parts += [[smooth.shape[1]], smooth]
    return thinned(*parts)


def computed_cepstrum() -> Numbers:
    reference, processed = decibels()
    values = []
    for threshold in (0.0, 2.5, 30.0):
        some = audible_segments(reference, threshold=threshold)
        values += [
            np.count_nonzero(some),
            cepstrum.cepstral_correlation(reference[:, some], processed[:, some]),
        ]
    return np.array(values, dtype=np.float64)


def expected_cepstrum() -> Numbers:
    reference, processed = decibels()
    values = []
    for threshold in (0.0, 2.5, 30.0):
        np.random.seed(27)
        high = pyclarity_eb().melcor9(reference, processed, threshold, 0.0, 8)[2]
        count = 0
        state = generator_state()
        np.random.seed(27)
        while generator_state() != state:
            np.random.standard_normal(64)
            count += 1
        values += [count, high]
    return np.array(values, dtype=np.float64)


def computed_spectrum() -> Numbers:
    rng = np.random.RandomState(28)
    parts = []
    for name in LOSSES:
        averages = 10 ** rng.uniform(-9, 1, (3, 32))
        levels = [
            spectrum.compressed_level(
                average,
                control=averages[2],
                cochlea=hearing_loss.impaired_cochlea(AUDIOGRAMS[name]),
                level=LEVEL,
            )
            for average in averages[:2]
        ]
        change = spectrum.spectral_change(*levels)
        parts += [*levels, np.array([change.loudness, change.normalised])]
    return np.concatenate(parts)


def expected_spectrum() -> Numbers:
    eb = pyclarity_eb()
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


def computed_tiles() -> Numbers:
    parts: list[Any] = []
    for segment, length in ((16, LENGTH), (16, 767), (5.1, 2000), (33, LENGTH)):
        half, first, whole, last = segmentation = covariance.segment_time(segment)
        count = segmentation.segments(length)
        scratch = np.empty(4 * half + 112), np.empty(4 * half + 112, np.float32)
        for reference, processed in zip(*motions(), strict=True):
            weightings = [first, *[whole] * (count - 2), last]
            starts = [0, *[k * half for k in range(1, count)]]
            tiles = [
                covariance.tile_covariance(reference, processed, start, weighting, -1.0, *scratch)
                for start, weighting in zip(starts, weightings, strict=True)
            ]
            parts += [[count], np.array(tiles).T]
    return thinned(*parts)


def expected_tiles() -> Numbers:
    parts: list[Any] = []
    for segment, length in ((16, LENGTH), (16, 767), (5.1, 2000), (33, LENGTH)):
        reference, processed = motions()
        covariances, squares, _ = pyclarity_eb().bm_covary(
            reference[:, :length], processed[:, :length], segment, 24000
        )
        for k in range(2):
            parts += [[covariances.shape[1]], np.stack((covariances[k], np.sqrt(squares[k])))]
    return thinned(*parts)


def _tiled() -> tuple[Numbers, Numbers]:
    rng = np.random.RandomState(29)
    return rng.uniform(size=(32, 90)), np.maximum(
        rng.uniform(-20, 12, (32, 90)) + 10 * rng.standard_normal(90), 0
    )


def computed_average() -> Numbers:
    return np.array(
        [covariance.average_covariance(*_tiled(), threshold=threshold) for threshold in (0.0, 2.5, 9.0, 60.0)]
    )


def expected_average() -> Numbers:
    covariances, levels = _tiled()
    return np.array(
        [
            pyclarity_eb().ave_covary2(covariances, levels**2, threshold)[1][4]
            for threshold in (0.0, 2.5, 9.0, 60.0)
        ]
    )


COMPONENTS = ("cepstral_correlation", "covariance", "loudness", "normalised_loudness")
EXAMPLES = ((0.7, 0.4, 0.9, 0.2), (0.1, 0.95, 0.3, 0.8))


def computed_index() -> Numbers:
    quality = [index.combine(**dict(zip(COMPONENTS, components, strict=True))) for components in EXAMPLES]
    limits = [
        index.MAX_LOUDNESS_CHANGE,
        index.MAX_NORMALISED_CHANGE,
        index.SILENCE_THRESHOLD,
        index.SEGMENT_MS,
    ]
    return np.array([value for q in quality for value in (q.combined, q.nonlinear, q.linear)] + limits)


def expected_index() -> Numbers:
    """Run the last lines of pyclarity's `haaqi_v1` on given features, with its stages replaced."""
    import inspect
    from unittest.mock import patch

    from clarity.evaluator.haaqi import haaqi

    values: list[float] = []
    for correlation, covariances, loudness, normalised in EXAMPLES:
        changes = np.array([0, (1 - loudness) * 2.5, 0]), np.array([0, (1 - normalised) * 25, 0]), None
        stages: dict[str, Any] = {
            "ear_model": (None,) * 7,
            "env_smooth": None,
            "melcor9": (0, 0, correlation, None),
            "spectrum_diff": changes,
            "bm_covary": (None, None, None),
            "ave_covary2": (0, [0, 0, 0, 0, covariances, 0]),
        }
        replaced: dict[str, Any] = {name: lambda *_, value=value: value for name, value in stages.items()}
        with patch.multiple(haaqi.eb, **replaced):
            values += haaqi.haaqi_v1(None, 0, None, 0, None, 1)[:3]
    defaults = inspect.signature(haaqi.haaqi_v1).parameters
    return np.array(
        [*values, 2.5, 25, defaults["silence_threshold"].default, defaults["segment_covariance"].default]
    )
