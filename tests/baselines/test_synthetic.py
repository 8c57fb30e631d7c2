"""The synthetic challenge: reproducible, and realistic enough to validate and score."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from harness.baselines.synthetic import make_challenge
from harness.protocol.errors import UsageError
from validator.challenge.challenge import Challenge
from validator.challenge.rules import CAD1


def digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    first = digests(make_challenge(tmp_path / "a"))
    assert first == digests(make_challenge(tmp_path / "b"))
    other = digests(make_challenge(tmp_path / "c", seed=7))
    assert {name for name in first if first[name] != other[name]} >= {
        name for name in first if name.endswith(("drums.wav", "vocals.wav"))
    }


def test_song_names_have_special_characters(challenge: Challenge) -> None:
    assert len(challenge.songs) == len(challenge.listeners) == 2
    names = "".join(song.name for song in challenge.songs)
    assert "'" in names
    assert "&" in names
    for song in challenge.songs:
        assert song.objective_slice is not None
        start, stop = song.objective_slice
        assert stop - start == 66150
    mild, moderate = challenge.listeners
    assert mild.left != mild.right
    assert sum(moderate.left) > sum(mild.left) + 50


def test_stems_have_realistic_levels_and_add_up_to_the_mixture(challenge: Challenge) -> None:
    for song in challenge.songs:
        assert song.objective_slice is not None
        start, stop = song.objective_slice
        total = 0
        for stem in CAD1.stems:
            pcm, _ = soundfile.read(song.reference_path(stem), dtype="int16")
            total = total + pcm.astype(np.int64)
            for side in (pcm / 32768)[start:stop].T:
                assert -29 < 20 * np.log10(np.sqrt(np.mean(side**2))) < -18
            assert not np.array_equal(pcm[:, 0], pcm[:, 1])
        mixture, _ = soundfile.read(song.reference_path("mixture"), dtype="int16")
        np.testing.assert_array_equal(mixture, total)
        assert np.abs(total).max() < 32767


def test_stems_differ_clearly(challenge: Challenge) -> None:
    for song in challenge.songs:
        signals = np.stack([soundfile.read(song.reference_path(stem))[0].mean(axis=1) for stem in CAD1.stems])
        assert np.all(np.abs(np.corrcoef(signals) - np.eye(4)) < 0.2)


def test_split_valid_has_whole_songs_under_train(tmp_path: Path) -> None:
    root = make_challenge(tmp_path, split="valid", seconds=2.0, songs=1)
    challenge = Challenge.load(root, split="valid")
    assert challenge.songs[0].objective is None
    assert (root / "audio" / "musdb18hq" / "train").is_dir()
    assert not (root / "metadata" / "musdb18.segments.test.json").exists()


@pytest.mark.parametrize(
    "change",
    [{"seconds": 1.0}, {"scored_seconds": 2.9}, {"scored_seconds": 0}, {"songs": 3}, {"listeners": 0}],
)
def test_arguments_out_of_range_are_refused(change: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        make_challenge(tmp_path / "root", **change)
    assert not (tmp_path / "root").exists()
