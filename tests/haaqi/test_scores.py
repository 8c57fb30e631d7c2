"""Whole scores: pyclarity's values, the generator's final state, and rejected inputs."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.haaqi import Quality, compute_haaqi, ear, haaqi_v1
from harness.haaqi.alignment import overlap_save
from tests.haaqi.cases import CASES, LONG, Case, generator_state, music, noisy, pair

# One bound for all NumPy and SciPy versions; 1e-9 is promised.
BOUND = 1e-12
FREQUENCIES = [250, 500, 1000, 2000, 4000, 6000]


def _difference(computed: list[float], expected: list[float]) -> float:
    assert np.array_equal(np.isnan(computed), np.isnan(expected))
    return float(np.nanmax(np.abs(np.subtract(computed, expected))))


def _assert_equal(case: Case, pyclaritys: Callable[..., Any]) -> None:
    logging.disable(logging.WARNING)
    expected = case.run(pyclaritys)
    expected_state = generator_state()
    assert _difference(case.run(haaqi_v1), expected) <= BOUND
    assert generator_state() == expected_state


def _assert_equals_stored(case: Case, stored: dict[str, Any]) -> None:
    assert _difference(case.run(haaqi_v1), stored["values"]) <= BOUND
    assert generator_state() == stored["state"]


@pytest.mark.parametrize("name", CASES)
def test_case_equals_stored_values(name: str, golden: dict[str, Any]) -> None:
    _assert_equals_stored(CASES[name], golden["cases"][name])


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_long_case_equals_stored_values(name: str, golden: dict[str, Any]) -> None:
    _assert_equals_stored(LONG[name], golden["long"][name])


def test_every_case_is_stored(golden: dict[str, Any]) -> None:
    assert set(golden["cases"]) == set(CASES)
    assert set(golden["long"]) == set(LONG)
    assert len(CASES) >= 200


@pytest.mark.parametrize("name", list(CASES)[::12])
def test_case_equals_pyclaritys_values(name: str, pyclarity: Any) -> None:
    _assert_equal(CASES[name], pyclarity.haaqi_v1)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_case_equals_pyclaritys_values(name: str, pyclarity: Any) -> None:
    _assert_equal(CASES[name], pyclarity.haaqi_v1)


LISTENERS = st.lists(st.integers(-10, 110), min_size=6, max_size=6)


@st.composite
def _random_case(draw: st.DrawFn) -> Case:
    rates = draw(st.tuples(*[st.sampled_from([24000, 24000, 8000, 16000, 22050, 32000, 44100, 48000])] * 2))
    length = round(draw(st.integers(1000, 9000)) * rates[0] / 24000)
    silent = draw(st.lists(st.tuples(st.integers(0, length), st.integers(0, length)), max_size=2))
    delay = draw(st.integers(0, min(3000, length // 3)))
    share = draw(st.floats(0.001, 3))
    gain = 10 ** draw(st.floats(-2, 1))

    def change(signal: np.ndarray) -> np.ndarray:
        moved = np.concatenate((np.zeros(delay), signal))[: len(signal)]
        return gain * noisy(moved, share=share, seed=delay)

    return Case(
        "drawn",
        pair(
            length,
            rates=rates,
            single=draw(st.booleans()),
            seed=draw(st.integers(0, 2**20)),
            change=change,
            silence=tuple((a, b) for a, b in silent if b - a < length // 2),
        ),
        rates=rates,
        loss=draw(LISTENERS),
        equalisation=draw(st.sampled_from([0, 1, 1, 2])),
        level=draw(st.floats(40, 120)),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


@pytest.mark.slow
@given(case=_random_case())
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_random_case_equals_pyclaritys_values(case: Case, pyclarity: Any) -> None:
    logging.disable(logging.WARNING)
    try:
        expected = case.run(pyclarity.haaqi_v1)
    except (ValueError, IndexError):
        with pytest.raises(ValueError, match=r"^(The|Segments) .*\.$"):
            case.run(haaqi_v1)
        return
    if np.isnan(expected[0]):
        return
    expected_state = generator_state()
    assert _difference(case.run(haaqi_v1), expected) <= BOUND
    assert generator_state() == expected_state


@pytest.mark.slow
def test_a_minute_equals_pyclaritys_values(pyclarity: Any) -> None:
    _assert_equal(LONG["a minute"], pyclarity.haaqi_v1)


def test_pyclaritys_own_tests() -> None:
    np.random.seed(0)
    reference = np.random.uniform(-1, 1, 8000)
    processed = np.random.uniform(-1, 1, 8000)
    quality = haaqi_v1(reference, 16000, processed, 16000, np.array([45, 45, 35, 45, 60, 65]), 1, 65)
    assert quality[0] == pytest.approx(0.111290948, abs=1e-9)
    np.random.seed(42)
    processed = np.random.uniform(-1, 1, 600)
    reference = np.random.uniform(-1, 1, 600)
    assert isinstance(quality, Quality)
    assert isinstance(compute_haaqi(processed, reference, 24000, 24000, [10] * 6, FREQUENCIES, 65), float)


def test_real_edge_cases(music_root: Path, music_set: Path) -> None:
    """What pyclarity's own evaluation answered on a studio drum track."""
    soundfile = pytest.importorskip("soundfile")
    soxr = pytest.importorskip("soxr")
    stored = json.loads((music_set / "edge_cases.json").read_text())
    song = next(
        path for path in (music_root / "audio/musdb18hq/test").iterdir() if path.name.startswith("Rosie")
    )
    signal, rate = soundfile.read(song / "drums.wav", dtype="float32")
    listener = json.loads((music_root / "metadata/listeners.test.json").read_text())["L5002"]
    audiogram, frequencies = listener["audiogram_levels_l"], listener["audiogram_cfs"]
    reference = soxr.resample(signal[10 * rate : 13 * rate], rate, 24000)[:, 0]
    level = float(stored["normal"]["level1"])
    assert level == pytest.approx(65 - 20 * np.log10(np.sqrt(np.mean(np.square(reference)))), abs=1e-5)
    np.random.seed(1)
    score = compute_haaqi(np.zeros_like(reference), reference, 24000, 24000, audiogram, frequencies, level)
    assert score == pytest.approx(float(stored["reference normal, processed silent"]["score"]), abs=1e-9)


def test_given_generator_is_used_instead_of_the_global_one() -> None:
    reference, processed = pair(3000)()
    rng = np.random.RandomState(5)
    before = generator_state()
    score = compute_haaqi(processed, reference, 24000, 24000, [30] * 6, FREQUENCIES, 90.0, rng)
    assert generator_state() == before
    np.random.seed(5)
    assert compute_haaqi(processed, reference, 24000, 24000, [30] * 6, FREQUENCIES, 90.0) == score
    state = generator_state()
    np.random.set_state(rng.get_state())
    assert generator_state() == state


def test_generator_with_a_cached_normal_at_an_odd_position(pyclarity: Any) -> None:
    reference, processed = pair(2001)()
    results = []
    for haaqi in (pyclarity.haaqi_v1, haaqi_v1):
        np.random.seed(6)
        np.random.bytes(4)
        np.random.standard_normal()
        results.append(
            (haaqi(reference, 24000, processed, 24000, np.full(6, 20), 1, 90.0)[0], generator_state())
        )
    assert results[0][0] == pytest.approx(results[1][0], abs=BOUND)
    assert results[0][1] == results[1][1]


GOOD = music(3000).astype(np.float32)


@pytest.mark.parametrize(
    ("reference", "processed", "message"),
    [
        (np.zeros(3000), GOOD, "The reference signal is silent; HAAQI is undefined."),
        (np.zeros(0), GOOD, "The reference signal is empty."),
        (GOOD, np.zeros(0), "The processed signal is empty."),
        (
            GOOD,
            np.where(np.arange(3000) == 7, np.nan, GOOD),
            "The processed signal contains NaN or infinite samples.",
        ),
        (
            GOOD,
            np.where(np.arange(3000) == 7, np.inf, GOOD),
            "The processed signal contains NaN or infinite samples.",
        ),
        (
            np.stack([GOOD, GOOD], axis=1),
            GOOD,
            "The reference signal must be one-dimensional (one channel), not of shape (3000, 2).",
        ),
        (
            GOOD[:300],
            GOOD,
            "The reference is too short: after trimming, it has 300 samples at 24 kHz; the minimum is 384.",
        ),
        (
            GOOD.astype(complex),
            GOOD,
            "The reference signal must be float32 or float64, not complex128.",
        ),
    ],
    ids=["silent", "empty reference", "empty", "NaN", "infinite", "stereo", "short", "complex"],
)
def test_invalid_signals_are_rejected_with_a_message(reference: Any, processed: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        compute_haaqi(processed, reference, 24000, 24000, [30] * 6, FREQUENCIES)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("levels", "frequencies", "message"),
    [
        (
            [30] * 5,
            FREQUENCIES[:5],
            "The audiogram must have levels at 250, 500, 1000, 2000, 4000 and 6000 Hz, in",
        ),
        ([30, 30], FREQUENCIES, "The audiogram must have one level for each of its frequencies."),
        ([30] * 5 + [np.nan], FREQUENCIES, "The levels of an audiogram must be finite."),
    ],
    ids=["missing", "unequal", "NaN"],
)
def test_invalid_audiograms_are_rejected_with_a_message(levels: Any, frequencies: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compute_haaqi(GOOD, GOOD, 24000, 24000, levels, frequencies)


def test_audiogram_may_have_more_frequencies() -> None:
    np.random.seed(1)
    six = compute_haaqi(GOOD, GOOD, 24000, 24000, [10, 20, 30, 40, 50, 60], FREQUENCIES, 90.0)
    np.random.seed(1)
    more = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000]
    assert compute_haaqi(GOOD, GOOD, 24000, 24000, [10, 20, 30, 40, 99, 50, 60, 99], more, 90.0) == six


def test_too_short_segments_are_rejected() -> None:
    with pytest.raises(ValueError, match=r"Segments of 2.0 ms are too short"):
        haaqi_v1(GOOD, 24000, GOOD, 24000, [0] * 6, 1, segment_covariance=2)


@pytest.mark.parametrize("segment", [16, 8.1])
def test_chunks_give_the_same_bits_as_a_whole_signal(segment: float, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = music(75001, seed=30)
    processed = np.concatenate((np.zeros(200), noisy(reference)))[:75001]

    def run() -> Quality:
        rng = np.random.RandomState(1)
        return haaqi_v1(
            reference, 24000, processed, 24000, [30] * 6, 1, 90.0, segment_covariance=segment, rng=rng
        )

    whole = run()
    monkeypatch.setattr(ear, "MAX_WHOLE_LENGTH", 0)
    monkeypatch.setattr(ear, "CHUNK_LENGTH", overlap_save.SPAN)
    assert run() == whole
