"""Drift finds small changes in the pipeline: a filter tap, a seed, a resampling quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.baselines.drift import OTHER_CPU, Scores, compare
from harness.baselines.synthetic import make_challenge
from harness.enhance import encoding, enhance
from harness.enhance import example as example_module
from harness.enhance.nalr import nalr_taps
from harness.evaluator.inbox import scaled
from validator.archive.submission import open_submission
from validator.challenge.audio import AudioReader, read_references
from validator.challenge.challenge import Challenge
from validator.challenge.manifest import archive_limits
from validator.challenge.rules import CAD1, side_and_stem
from validator.formats.flac import InProcessDecoder

pytest.importorskip("numba", reason="needs the extra `score`")
pytestmark = pytest.mark.slow  # compiling the scorer takes most of a minute
references_module = pytest.importorskip("harness.evaluator.references")
engines = pytest.importorskip("harness.evaluator.engines")


Stored = tuple[Path, Scores]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Challenge:
    root = make_challenge(
        tmp_path_factory.mktemp("small"), songs=1, listeners=1, seconds=2.0, scored_seconds=0.5
    )
    return Challenge.load(root, split="test")


def score(challenge: Challenge, packed: Path, *, song_name: str | None = None) -> Scores:
    """Scores of a submission by the fast engine; `song_name`, if given, seeds the noise."""
    (song,), (listener,) = challenge.songs, challenge.listeners
    references = references_module.make_references(song.name, read_references(song).stems)
    engine = engines.FastSong(replace(references, song=song_name) if song_name else references)
    with open_submission(packed, limits=archive_limits(challenge)) as submission:
        audio = AudioReader(submission, challenge).read(song.name, listener.id, InProcessDecoder())
    processed = [scaled(audio.stems[name], scale=audio.scales[name]) for name in CAD1.scoring_order]
    audiograms = [audio.audiograms[side_and_stem(name)[0]] for name in CAD1.scoring_order]
    listening = engines.Listening(processed=processed, audiograms=audiograms)
    (values,) = engine.score_all([listening])
    assert isinstance(values, list)
    return {(song.name, listener.id): dict(zip(CAD1.scoring_order, values, strict=True))}


@pytest.fixture(scope="module")
def stored(small: Challenge, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    packed = enhance(small, separator="leaky", output=tmp_path_factory.mktemp("stored"), team="E001")
    return packed, score(small, packed)


def test_unchanged_code_gives_unchanged_scores(small: Challenge, stored: Stored, tmp_path: Path) -> None:
    again = enhance(small, separator="leaky", output=tmp_path, team="E001")
    comparison = compare(stored[1], score(small, again), tolerance=0)
    assert comparison.steady
    assert comparison.compared == 8


def test_a_changed_tap_of_one_ear_changes_the_stems_of_that_ear_only(
    small: Challenge, stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (listener,) = small.listeners

    def changed(*, frequencies: Sequence[float], levels: Sequence[float]) -> Any:
        taps = nalr_taps(frequencies=frequencies, levels=levels)
        if levels == listener.left:
            taps[100] += 1e-3
        return taps

    monkeypatch.setattr(example_module, "nalr_taps", changed)
    packed = enhance(small, separator="leaky", output=tmp_path, team="E001")
    comparison = compare(stored[1], score(small, packed), tolerance=OTHER_CPU)
    assert not comparison.steady
    assert {drift.column for drift in comparison.drifts} == {
        column for column in CAD1.columns if column.startswith("left")
    }
    assert comparison.lines()[2].startswith(f"{small.songs[0].name}, {listener.id}, left_")


def test_another_seed_changes_the_scores(small: Challenge, stored: Stored) -> None:
    packed, before = stored
    comparison = compare(before, score(small, packed, song_name="another seed"))
    assert comparison.drifts


def test_another_resampling_quality_changes_the_scores(
    small: Challenge, stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "RESAMPLING", "LQ")
    packed = enhance(small, separator="leaky", output=tmp_path, team="E001")
    assert compare(stored[1], score(small, packed), tolerance=OTHER_CPU).drifts
