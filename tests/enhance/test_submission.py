from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import soundfile

from harness.enhance import encoding as encoding_module
from harness.enhance import enhance
from harness.enhance import example as example_module
from harness.enhance.nalr import nalr_taps
from harness.enhance.separators import Mixture, Oracle
from harness.protocol.errors import SetupError, SubmissionError, UsageError
from validator import validate
from validator.challenge.challenge import Challenge
from validator.challenge.manifest import expected_files


def read(archive, name):
    return soundfile.read(io.BytesIO(archive.read(name)), dtype="int16")


def differing(ours, theirs):
    """Names of members that differ between two submissions, in text, rate, length or any sample."""
    with zipfile.ZipFile(ours) as mine, zipfile.ZipFile(theirs) as other:
        assert sorted(mine.namelist()) == sorted(other.namelist())
        different = []
        for name in other.namelist():
            if name.endswith(".txt"):
                same = mine.read(name) == other.read(name)
            else:
                (left, left_rate), (right, right_rate) = read(mine, name), read(other, name)
                same = left_rate == right_rate and np.array_equal(left, right)
            if not same:
                different.append(name)
        return different


@pytest.mark.parametrize("separator", ["oracle", "mixture", "leaky"])
def test_equals_the_recipe_sample_by_sample(separator, music_set, music_challenge, tmp_path):
    ours = enhance(music_challenge, separator=separator, output=tmp_path, team="E001", workers=2)
    assert differing(ours, music_set / "submissions" / f"{separator}.zip") == []


def test_comparison_detects_one_changed_tap(music_set, music_challenge, tmp_path, monkeypatch):
    design = nalr_taps

    def bent(**arguments):
        taps = design(**arguments)
        taps[100] += 1e-4
        return taps

    monkeypatch.setattr(example_module, "nalr_taps", bent)
    ours = enhance(music_challenge, separator="oracle", output=tmp_path, team="E001")
    different = differing(ours, music_set / "submissions" / "oracle.zip")
    assert sum(name.endswith(".flac") for name in different) == 36


def test_comparison_detects_another_resampling(music_set, music_challenge, tmp_path, monkeypatch):
    monkeypatch.setattr(encoding_module, "RESAMPLING", "VHQ")
    ours = enhance(music_challenge, separator="oracle", output=tmp_path, team="E001")
    assert differing(ours, music_set / "submissions" / "oracle.zip")


def test_validation_has_no_findings(challenge, whole_songs, tmp_path):
    for split in (challenge, whole_songs):
        packed = enhance(split, separator="oracle", output=tmp_path, team="E001")
        report = validate(packed, split)
        assert report.valid
        assert list(report.findings) == []


def test_whole_songs_keep_the_tail_of_the_filter(whole_songs, tmp_path):
    packed = enhance(whole_songs, separator="oracle", output=tmp_path, team="E001")
    (song,), (listener,) = whole_songs.songs, whole_songs.listeners
    with zipfile.ZipFile(packed) as archive:
        prefix = f"evaluation/{listener.id}/{song.name}/{listener.id}_{song.name}"
        stem, _ = read(archive, f"{prefix}_left_bass.flac")
        remix, _ = read(archive, f"{prefix}_remix.flac")
    assert len(stem) == round((song.frames + 220) * 24000 / 44100)
    assert remix.shape == (round((song.frames + 220) * 32000 / 44100), 2)


def test_members_have_the_names_and_the_wrapper_of_the_recipe(challenge, tmp_path):
    packed = enhance(challenge, separator="mixture", output=tmp_path / "new" / "folder", team="E-0_1")
    assert packed == tmp_path / "new" / "folder" / "submission_E-0_1.zip"
    with zipfile.ZipFile(packed) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted(f"evaluation/{file.path}" for file in expected_files(challenge))
    assert [path.name for path in packed.parent.iterdir()] == [packed.name]


def test_bytes_depend_neither_on_workers_nor_on_interruptions(challenge, tmp_path):
    plain = enhance(challenge, separator="leaky", output=tmp_path / "plain", team="E001").read_bytes()
    threaded = enhance(challenge, separator="leaky", output=tmp_path / "many", team="E001", workers=3)
    assert threaded.read_bytes() == plain

    done = []

    def interrupt(count, total, note):
        done.append(count)
        if count == 2:
            raise KeyboardInterrupt

    resumed = tmp_path / "resumed"
    with pytest.raises(KeyboardInterrupt):
        enhance(challenge, separator="leaky", output=resumed, team="E001", progress=interrupt)
    kept = resumed / "submission_E001.work" / "evaluation"
    made = {path: path.stat().st_mtime_ns for path in kept.glob("*/*")}
    assert len(made) >= 2
    assert not (resumed / "submission_E001.zip").exists()

    notes = []
    packed = enhance(
        challenge,
        separator="leaky",
        output=resumed,
        team="E001",
        progress=lambda count, total, note: notes.append((count, note)),
    )
    assert packed.read_bytes() == plain
    assert sum(note.startswith("made") for _, note in notes) == 4 - len(made)
    assert notes[-1][0] == 4


KILLED = """
import os, signal, sys, time
from pathlib import Path
from harness.enhance import enhance
from validator import Challenge

challenge, output = Challenge.load(Path(sys.argv[1]), split="test"), Path(sys.argv[2])

def progress(done, total, note):
    if note == f"separating {challenge.songs[1].name}":
        while not any((output / "submission_E001.work" / "evaluation").glob("*/*")):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)

enhance(challenge, separator="oracle", output=output, team="E001", progress=progress)
"""


def test_a_run_continues_after_sigkill_and_gives_the_same_bytes(challenge, tmp_path):
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(challenge.root), str(tmp_path / "killed")],
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert killed.returncode == -signal.SIGKILL
    made = len(list((tmp_path / "killed" / "submission_E001.work" / "evaluation").glob("*/*")))
    assert 1 <= made <= 2
    notes = []
    resumed = enhance(
        challenge,
        separator="oracle",
        output=tmp_path / "killed",
        team="E001",
        progress=lambda done, total, note: notes.append(note),
    )
    assert sum(note.startswith("made") for note in notes) == 4 - made
    plain = enhance(challenge, separator="oracle", output=tmp_path / "plain", team="E001")
    assert resumed.read_bytes() == plain.read_bytes()


class Counting(Oracle):
    """Records its songs, and optionally fails at one."""

    identity = "counting"

    def __init__(self, fail_at=None):
        self.songs = []
        self.fail_at = fail_at

    def separate(self, track, target, report):
        self.songs.append(track.name)
        if len(self.songs) == self.fail_at:
            raise SubmissionError("It broke.")
        super().separate(track, target, report)


def test_a_song_is_separated_once_for_all_listeners_and_not_again_after_a_failure(challenge, tmp_path):
    first = Counting(fail_at=2)
    with pytest.raises(SubmissionError):
        enhance(challenge, separator=first, output=tmp_path, team="E001")
    second = Counting()
    enhance(challenge, separator=second, output=tmp_path, team="E001")
    names = [song.name for song in challenge.songs]
    assert first.songs == names
    assert second.songs == names[1:]


def test_an_unfinished_run_is_not_continued_with_other_settings(challenge, tmp_path):
    def interrupt(count, total, note):
        if count == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        enhance(challenge, separator="oracle", output=tmp_path, team="E001", progress=interrupt)
    with pytest.raises(UsageError, match="a different separator") as caught:
        enhance(challenge, separator="mixture", output=tmp_path, team="E001")
    assert "delete the folder" in caught.value.hint
    with pytest.raises(UsageError, match="a different gain"):
        enhance(challenge, separator="oracle", output=tmp_path, team="E001", gain="match")
    enhance(challenge, separator="oracle", output=tmp_path, team="E001")


def test_two_runs_do_not_share_a_folder(challenge, tmp_path):
    class Nested(Mixture):
        def separate(self, track, target, report):
            enhance(challenge, separator="oracle", output=tmp_path, team="E001")

    with pytest.raises(UsageError, match="Another run is using"):
        enhance(challenge, separator=Nested(), output=tmp_path, team="E001")


def test_too_little_disk_space_is_an_error_before_separation(challenge, tmp_path, monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9 - 10**5, 10**5))
    separator = Counting()
    with pytest.raises(SetupError, match=r"0\.0 GB are free") as caught:
        enhance(challenge, separator=separator, output=tmp_path, team="E001")
    assert caught.value.exit_code == 3
    assert separator.songs == []


def test_a_full_disk_is_a_setup_error_and_the_next_run_continues(challenge, tmp_path, monkeypatch):
    import errno

    def full(path, pcm, *, sample_rate):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(example_module, "write_flac", full)
        with pytest.raises(SetupError, match="is full") as caught:
            enhance(challenge, separator="oracle", output=tmp_path, team="E001")
    assert "continues where it stopped" in caught.value.hint
    enhance(challenge, separator="oracle", output=tmp_path, team="E001")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"team": "../E001"}, "cannot be a team's name"),
        ({"team": ""}, "cannot be a team's name"),
        ({"workers": 0}, "At least one worker"),
        ({"gain": "louder"}, "no gain 'louder'"),
        ({"separator": "magic"}, "no separator 'magic'"),
        ({"separator": Oracle(), "device": "cpu"}, "with the name of a separator"),
    ],
)
def test_a_usage_error_writes_nothing(change, sentence, challenge, tmp_path):
    arguments = {"separator": "oracle", "output": tmp_path / "out", "team": "E001", **change}
    with pytest.raises(UsageError, match=sentence):
        enhance(challenge, **arguments)
    assert not (tmp_path / "out").exists()


def test_the_roster_has_no_audio(tmp_path):
    with pytest.raises(UsageError, match="has no audio"):
        enhance(Challenge.load(None, split="test"), separator="oracle", output=tmp_path, team="E001")


def test_an_output_that_is_a_file_is_a_setup_error(challenge, tmp_path):
    (tmp_path / "out").write_text("here")
    with pytest.raises(SetupError, match="cannot be written"):
        enhance(challenge, separator="oracle", output=tmp_path / "out", team="E001")


def test_compressor_changes_loud_stems_and_is_off_by_default(challenge, tmp_path):
    plain = enhance(challenge, separator="oracle", output=tmp_path / "plain", team="E001")
    compressed = enhance(challenge, separator="oracle", output=tmp_path / "soft", team="E001", compress=True)
    different = differing(plain, compressed)
    assert different
    assert not set(different) >= set(zipfile.ZipFile(plain).namelist())


def test_settings_of_an_unfinished_run_are_readable(challenge, tmp_path):
    separator = Counting(fail_at=2)
    with pytest.raises(SubmissionError):
        enhance(challenge, separator=separator, output=tmp_path, team="E001")
    settings = json.loads((tmp_path / "submission_E001.work" / "settings.json").read_text())
    assert settings["separator"] == "counting"
    assert set(settings["software"]) == {"numpy", "soundfile", "soxr"}
