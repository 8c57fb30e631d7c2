"""Every stage of the model: the numbers of harness.haaqi, those of pyclarity, and the accepted difference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.haaqi import stages_cochlea, stages_features
from tests.haaqi.stage_inputs import Numbers


@dataclass(frozen=True)
class Stage:
    """One stage: `computed` and `expected` return equally many numbers, equal to `within` of the greatest."""

    computed: Callable[[], Numbers]
    expected: Callable[[], Numbers]
    within: float


STAGES = {
    "centre frequencies": Stage(stages_cochlea.computed_centres, stages_cochlea.expected_centres, 1e-15),
    "cochlea": Stage(stages_cochlea.computed_cochleas, stages_cochlea.expected_cochleas, 1e-15),
    "NAL-R": Stage(stages_cochlea.computed_equalisers, stages_cochlea.expected_equalisers, 1e-15),
    "resampling": Stage(stages_cochlea.computed_resampling, stages_cochlea.expected_resampling, 1e-15),
    "broadband alignment": Stage(stages_cochlea.computed_alignment, stages_cochlea.expected_alignment, 1e-15),
    "middle ear": Stage(stages_cochlea.computed_middle_ear, stages_cochlea.expected_middle_ear, 1e-15),
    "filter widths": Stage(stages_cochlea.computed_widths, stages_cochlea.expected_widths, 1e-15),
    "filters and compression": Stage(
        stages_cochlea.computed_compression, stages_cochlea.expected_compression, 1e-13
    ),
    "alignment in a channel": Stage(stages_cochlea.computed_lags, stages_cochlea.expected_lags, 0.0),
    "inner hair cells": Stage(
        stages_features.computed_transduction, stages_features.expected_transduction, 1e-13
    ),
    "noise": Stage(stages_features.computed_noise, stages_features.expected_noise, 1e-14),
    "smoothing": Stage(stages_features.computed_smoothing, stages_features.expected_smoothing, 1e-14),
    "cepstral correlation": Stage(
        stages_features.computed_cepstrum, stages_features.expected_cepstrum, 1e-13
    ),
    "spectrum": Stage(stages_features.computed_spectrum, stages_features.expected_spectrum, 1e-14),
    "tiles of fine structure": Stage(stages_features.computed_tiles, stages_features.expected_tiles, 1e-13),
    "average of the tiles": Stage(stages_features.computed_average, stages_features.expected_average, 1e-14),
    "index": Stage(stages_features.computed_index, stages_features.expected_index, 1e-15),
}
