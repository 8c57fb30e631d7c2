"""A value is undefined if and only if its reference is silent; the host reads the references itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from harness.protocol.errors import InternalError
from harness.protocol.records import ExampleScore
from harness.score.silence import check_values
from tests.values import values
from validator import Challenge, ChallengeError
from validator.challenge.audio import read_references
from validator.challenge.songs import Song


@pytest.fixture
def root(synthetic_root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(synthetic_root, tmp_path / "root"))


def silence(root: Path, channel: int, *, but: int | None = None) -> Challenge:
    """Makes one channel of the first song's drums silent in the scored part, but for one sample."""
    challenge = Challenge.load(root, split="test")
    song = challenge.songs[0]
    path = song.reference_path("drums")
    audio, rate = soundfile.read(path, dtype="int16")
    start, stop = song.objective_slice or (0, len(audio))
    audio[start:stop, channel] = 0
    if but is not None:
        audio[start + but, channel] = 1
    soundfile.write(path, audio, rate, subtype="PCM_16")
    return challenge


def silent_in(song: Song) -> frozenset[str]:
    return read_references(song).silent


def line(special: dict[str, float | None]) -> ExampleScore:
    return ExampleScore(
        nonce="0" * 32,
        song="A",
        listener="L1",
        values=values(0.5) | special,
        seconds=0.0,
        cpu_seconds=0.0,
    )


def test_a_silent_channel_is_found_by_its_column(root: Path) -> None:
    challenge = silence(root, channel=1)
    assert silent_in(challenge.songs[0]) == {"right_drums"}
    assert silent_in(challenge.songs[1]) == frozenset()


def test_one_nonzero_sample_is_not_silence(root: Path) -> None:
    challenge = silence(root, channel=1, but=17)
    assert silent_in(challenge.songs[0]) == frozenset()


def test_only_the_scored_part_counts(root: Path) -> None:
    challenge = silence(root, channel=0)
    path = challenge.songs[0].reference_path("drums")
    assert np.any(soundfile.read(path)[0][:, 0]), "there is sound outside the segment"
    assert silent_in(challenge.songs[0]) == {"left_drums"}


def test_a_missing_reference_is_named(root: Path) -> None:
    challenge = Challenge.load(root, split="test")
    challenge.songs[0].reference_path("bass").unlink()
    with pytest.raises(ChallengeError, match=r"bass\.wav"):
        silent_in(challenge.songs[0])


def test_exactly_the_silent_values_are_undefined() -> None:
    check_values(line({"right_drums": None}), frozenset({"right_drums"}))
    check_values(line({}), frozenset())
    with pytest.raises(InternalError, match="no value for left_bass, whose reference is not silent"):
        check_values(line({"left_bass": None}), frozenset())
    with pytest.raises(InternalError, match="a value for right_drums, whose reference is silent"):
        check_values(line({}), frozenset({"right_drums"}))


def test_an_example_has_exactly_the_values_of_scores_csv() -> None:
    short = line({})
    del short.values["left_bass"]
    for wrong in (short, line({"left_guitar": 0.5})):
        with pytest.raises(InternalError, match="the evaluator sent the values"):
            check_values(wrong, frozenset())
