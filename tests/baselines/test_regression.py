"""Whether the comparison of scores notices what may change under our feet: a tap, a seed, a resampling."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.baselines.drift import OTHER_CPU, compare
from harness.baselines.synthetic import make_challenge
from harness.enhance import encoding, enhance
from harness.enhance import example as example_module
from validator.archive.submission import open_submission
from validator.challenge.challenge import Challenge
from validator.challenge.manifest import archive_limits
from validator.challenge.rules import CAD1

pytest.importorskip("numba", reason="needs the extra `score`")
pytestmark = pytest.mark.slow  # compiling the scorer takes most of a minute
references_module = pytest.importorskip("harness.evaluator.references")
engines = pytest.importorskip("harness.evaluator.engines")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    root = make_challenge(
        tmp_path_factory.mktemp("small"), songs=1, listeners=1, seconds=2.0, scored_seconds=0.5
    )
    return Challenge.load(root, split="test")


def score(challenge, packed, *, song_name=None):
    """Scores of a submission by the fast engine; `song_name` seeds the noise where given."""
    (song,), (listener,) = challenge.songs, challenge.listeners
    references = references_module.load_references(song)
    engine = engines.FastSong(replace(references, song=song_name) if song_name else references)
    with open_submission(packed, limits=archive_limits(challenge)) as submission:
        processed = references_module.load_processed(submission, song=song, listener=listener)
    heard = engines.Listening(processed=processed, audiograms=references_module.audiograms_of(listener))
    (values,) = engine.score_all([heard])
    assert isinstance(values, list)
    return {(song.name, listener.id): [values[CAD1.scoring_order.index(column)] for column in CAD1.columns]}


@pytest.fixture(scope="module")
def stored(small, tmp_path_factory):
    packed = enhance(small, separator="leaky", output=tmp_path_factory.mktemp("stored"), team="E001")
    return packed, score(small, packed)


def test_nothing_moves_when_nothing_changes(small, stored, tmp_path):
    again = enhance(small, separator="leaky", output=tmp_path, team="E001")
    comparison = compare(stored[1], score(small, again), tolerance=0)
    assert comparison.steady
    assert comparison.compared == 8


def test_one_tap_of_one_ear_moves_the_stems_of_that_ear_only(small, stored, tmp_path, monkeypatch):
    (listener,) = small.listeners
    design = example_module.nalr_taps

    def bent(*, frequencies, levels, **rest):
        taps = design(frequencies=frequencies, levels=levels, **rest)
        if levels == listener.left:
            taps[100] += 1e-3
        return taps

    monkeypatch.setattr(example_module, "nalr_taps", bent)
    packed = enhance(small, separator="leaky", output=tmp_path, team="E001")
    comparison = compare(stored[1], score(small, packed), tolerance=OTHER_CPU)
    assert not comparison.steady
    assert {drift.column for drift in comparison.drifts} == {
        column for column in CAD1.columns if column.startswith("left")
    }
    assert comparison.lines()[2].startswith(f"{small.songs[0].name}, {listener.id}, left_")


def test_another_seed_moves_the_scores(small, stored):
    packed, before = stored
    comparison = compare(before, score(small, packed, song_name="another seed"))
    assert comparison.drifts


def test_another_resampling_moves_the_scores(small, stored, tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "RESAMPLING", "LQ")
    packed = enhance(small, separator="leaky", output=tmp_path, team="E001")
    assert compare(stored[1], score(small, packed), tolerance=OTHER_CPU).drifts
