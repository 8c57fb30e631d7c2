"""Each stage equals pyclarity's, and a wrong constant in any of them is detected."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.haaqi import ear, index, nalr
from harness.haaqi.alignment import broadband, lags
from harness.haaqi.cochlea import (
    audibility,
    compression,
    gammatone,
    hearing_loss,
    middle_ear,
    noise,
    transduction,
)
from harness.haaqi.features import cepstrum, covariance, smoothing, spectrum
from harness.haaqi.kernels import resampling
from tests.haaqi.stages import STAGES

# Relative to the greatest number of a stage, for all NumPy and SciPy versions.
STORED = 1e-12


def _distance(computed: Any, expected: Any) -> float:
    computed, expected = np.asarray(computed, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if computed.shape != expected.shape or not np.array_equal(np.isnan(computed), np.isnan(expected)):
        return float("inf")
    return float(np.nanmax(np.abs(computed - expected)) / np.nanmax(np.abs(expected)))


@pytest.mark.parametrize("name", STAGES)
def test_stage_equals_stored_values(name: str, golden: dict[str, Any]) -> None:
    assert _distance(STAGES[name].computed(), golden["stages"][name]) <= STORED


@pytest.mark.parametrize("name", STAGES)
def test_stage_equals_pyclaritys_values(name: str, pyclarity: Any) -> None:
    assert _distance(STAGES[name].computed(), STAGES[name].expected()) <= STAGES[name].within


# Every constant that is read when a stage is set up, with a wrong value.
MUTATIONS = [
    (hearing_loss, "EAR_Q", 9.26448, "centre frequencies"),
    (hearing_loss, "MIN_BANDWIDTH", 24.71, "centre frequencies"),
    (hearing_loss, "LOWEST_CENTRE", 80.01, "centre frequencies"),
    (hearing_loss, "HIGHEST_CENTRE", 8001, "centre frequencies"),
    (hearing_loss, "AUDIOMETRIC_FREQUENCIES", (250, 500, 1000, 2001, 4000, 6000), "cochlea"),
    (hearing_loss, "LOW_RATIO", 1.24, "cochlea"),
    (hearing_loss, "RATIO_RANGE", 2.26, "cochlea"),
    (hearing_loss, "NORMAL_KNEE", 31, "cochlea"),
    (hearing_loss, "COMPRESSION_RANGE", 71, "cochlea"),
    (hearing_loss, "LINEAR_FROM", 101, "cochlea"),
    (hearing_loss, "OUTER_SHARE", 0.81, "cochlea"),
    (hearing_loss, "INNER_SHARE", 0.21, "cochlea"),
    (nalr, "ORDER", 142, "NAL-R"),
    (nalr, "GRID", 511, "NAL-R"),
    (nalr, "HAMMING", 0.5401, "NAL-R"),
    (nalr, "FREQUENCY_BIAS", (-17, -8, 1, -1, -2, -1), "NAL-R"),
    (nalr, "MEAN_LOSS_SHARE", 0.051, "NAL-R"),
    (nalr, "OWN_LOSS_SHARE", 0.32, "NAL-R"),
    (nalr, "SEVERE_FROM", 181, "NAL-R"),
    (nalr, "SEVERE_SHARE", 0.117, "NAL-R"),
    (resampling, "LEVEL_FILTER_ORDER", 6, "resampling"),
    (resampling, "LEVEL_FILTER_STOPBAND", 31, "resampling"),
    (resampling, "LEVEL_BAND_KHZ", 20, "resampling"),
    (broadband, "EAR_DISPERSION", 47.0, "broadband alignment"),
    (broadband, "TRIM_RATIO", 0.001001, "broadband alignment"),
    (middle_ear, "LOW_PASS", 5001, "middle ear"),
    (middle_ear, "HIGH_PASS", 351, "middle ear"),
    (gammatone, "BANDWIDTH_FACTOR", 1.02, "filter widths"),
    (gammatone, "ANGLE", 2 * np.pi / 24001, "filter widths"),
    (gammatone, "NARROW_BELOW", 51, "filter widths"),
    (gammatone, "WIDE_ABOVE", 101, "filter widths"),
    (compression, "GAIN_LOW_PASS", 801, "filters and compression"),
    (compression, "LINEAR_FROM", 101, "filters and compression"),
    (compression, "DECIBELS_PER_DOUBLING", 6.0, "filters and compression"),
    (lags, "MAX_LAG", 2399, "alignment in a channel"),
    (transduction, "OVERSHOOT", 2.01, "inner hair cells"),
    (transduction, "RAPID_SECONDS", 0.0021, "inner hair cells"),
    (transduction, "SHORT_TERM_SECONDS", 0.061, "inner hair cells"),
    (ear, "NOISE_LEVEL", -11, "noise"),
    (smoothing, "SIZE", 194, "smoothing"),
    (cepstrum, "BASIS_COUNT", 5, "cepstral correlation"),
    (cepstrum, "BAND_EDGES_HZ", (20.0, 32.0, 50.0, 81.0), "cepstral correlation"),
    (cepstrum, "FILTER_ORDER", 126, "cepstral correlation"),
    (cepstrum, "NYQUIST", 126.0, "cepstral correlation"),
    (spectrum, "LINEAR_FROM", 101, "spectrum"),
    (audibility, "DOUBLINGS_PER_DECIBEL", 0.18, "average of the tiles"),
    (covariance, "MAX_LAG", 23, "tiles of fine structure"),
    (covariance, "SYNCHRONY_ORDER", 4, "average of the tiles"),
    (covariance, "SYNCHRONY_CUTOFF", 3510.0, "average of the tiles"),
    (index, "MAX_LOUDNESS_CHANGE", 2.6, "index"),
    (index, "MAX_NORMALISED_CHANGE", 24, "index"),
    (index, "SILENCE_THRESHOLD", 2.4, "index"),
    (index, "SEGMENT_MS", 15, "index"),
]


def _clear_caches() -> None:
    for module in (hearing_loss, cepstrum, gammatone, lags, noise, transduction):
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


@pytest.mark.parametrize(
    ("module", "constant", "wrong", "stage"), MUTATIONS, ids=lambda v: getattr(v, "__name__", v)
)
def test_wrong_constant_is_detected(
    module: Any,
    constant: str,
    wrong: Any,
    stage: str,
    golden: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert getattr(module, constant) != wrong
    _clear_caches()
    monkeypatch.setattr(module, constant, wrong)
    try:
        distance = _distance(STAGES[stage].computed(), golden["stages"][stage])
    except (ValueError, IndexError):
        distance = float("inf")
    finally:
        monkeypatch.undo()
        _clear_caches()
    assert distance > 1e3 * STORED


def test_no_constant_is_left_out() -> None:
    """Every constant of a stage is listed above, or here with the reason why it is not."""
    compiled_in = {
        (hearing_loss, "CHANNELS"),  # all arrays have this size
        (resampling, "SAMPLE_RATE"),
        (gammatone, "FLUSH_BELOW"),  # only avoids denormal numbers
        (gammatone, "BLOCK"),  # changes no result
        (compression, "SMALLEST"),  # matters above 600 dB only
        (transduction, "SMALLEST"),
        (transduction, "DECIBELS_PER_DOUBLING"),
        (covariance, "LAGS"),
        (covariance, "SMALLEST"),
        (covariance, "FLOAT32_ROUNDING"),
        (covariance, "PADDED_LAGS"),  # size of arrays
        (smoothing, "SEGMENT_MS"),
        (smoothing, "HALF"),
        (lags, "FLOAT32_ERRORS"),  # these decide what is recomputed, see test_lags.py
        (lags, "FLOAT32_UNIT"),
        (lags, "FLOAT64_ERROR"),
        (lags, "MAX_GROUPS"),
        (ear, "MAX_WHOLE_LENGTH"),  # these three change no result, see test_scores.py
        (ear, "CHUNK_LENGTH"),
        (ear, "CHUNK_MARGIN"),
        (noise, "STATE_WORDS"),
        (noise, "CHECKPOINT_INTERVAL"),
        (noise, "PADDING"),  # size of arrays
        (cepstrum, "SMALLEST"),
        (spectrum, "SMALLEST"),
        (index, "ADD_NALR"),
        (index, "NORMAL_REFERENCE"),
    }
    tested = {(module, constant) for module, constant, _, _ in MUTATIONS}
    modules = {module for module, _ in tested | compiled_in}
    own = {
        (module, name)
        for module in modules
        for name, value in vars(module).items()
        if name.isupper() and not name.startswith("_") and isinstance(value, int | float | tuple)
    }
    assert own - tested - compiled_in - _imported(modules) == set()


def _source(module: Any) -> str:
    import inspect

    return inspect.getsource(module)


def _imported(modules: set[Any]) -> set[tuple[Any, str]]:
    import ast

    found = set()
    for module in modules:
        for node in ast.walk(ast.parse(_source(module))):
            if isinstance(node, ast.ImportFrom):
                found |= {(module, alias.name) for alias in node.names}
    return found


def test_stage_names_are_used() -> None:
    assert {stage for *_, stage in MUTATIONS} == set(STAGES)
