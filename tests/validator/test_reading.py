"""References are read in one place: exactly the scored samples, or an error that names the file and the song."""

import os
import shutil

import numpy as np
import pytest
import soundfile

from validator import Challenge, ChallengeError
from validator.challenge.references import read_reference
from validator.challenge.rules import CAD1
from validator.challenge.songs import Segment, Song

RATE = CAD1.reference_rate


def music(frames: int = RATE, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(frames).integers(-32768, 32767, (frames, channels), dtype=np.int16)


@pytest.fixture
def song(tmp_path):
    folder = tmp_path / "music" / "Ann - One"
    folder.mkdir(parents=True)
    soundfile.write(folder / "drums.wav", music(), RATE, subtype="PCM_16")
    return Song("Ann - One", folder=folder, frames=RATE, objective=Segment(0.25, 0.75))


def test_a_reference_is_cut_to_the_objective_segment(song):
    pcm = read_reference(song, "drums")
    assert pcm.dtype == np.int16
    np.testing.assert_array_equal(pcm, music()[int(0.25 * RATE) : int(0.75 * RATE)])


def test_a_song_without_a_segment_is_read_whole(song):
    whole = Song(song.name, folder=song.folder, frames=RATE)
    np.testing.assert_array_equal(read_reference(whole, "drums"), music())


def test_a_segment_that_ends_just_after_the_song_is_cut_there(song):
    late = Song(song.name, folder=song.folder, frames=RATE, objective=Segment(0.5, 1.005))
    np.testing.assert_array_equal(read_reference(late, "drums"), music()[RATE // 2 :])


def test_links_inside_the_data_root_are_followed(song, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    shutil.move(song.folder / "drums.wav", tmp_path / "elsewhere" / "one.wav")
    (song.folder / "drums.wav").symlink_to(tmp_path / "elsewhere" / "one.wav")
    link = tmp_path / "link"
    link.symlink_to(song.folder)
    linked = Song(song.name, folder=link, frames=RATE)
    np.testing.assert_array_equal(read_reference(linked, "drums"), music())


@pytest.mark.parametrize("part", ["drums.wav", "."], ids=["the file", "its folder"])
def test_a_link_to_nothing_is_named(song, part):
    path = song.folder / part if part != "." else song.folder
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to("/moved/away")
    with pytest.raises(ChallengeError, match="is a link to /moved/away, which does not exist") as caught:
        read_reference(song, "drums")
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_a_data_root_with_a_link_to_nothing_is_incomplete(synthetic_root, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(synthetic_root, root)
    songs = root / "audio" / "musdb18hq" / "test"
    shutil.rmtree(songs)
    songs.symlink_to(root / "gone")
    with pytest.raises(ChallengeError, match=rf"{songs} is a link to {root}/gone"):
        Challenge.load(root, split="test")


def replace(song, pcm, rate=RATE, subtype="PCM_16", form="WAV"):
    soundfile.write(song.folder / "drums.wav", pcm, rate, subtype=subtype, format=form)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pcm": music(RATE - 1)}, f"has {RATE - 1} frames; expected at least {RATE}"),
        ({"pcm": music(channels=1)}, "with 1 channel; expected stereo"),
        ({"pcm": music(), "rate": 48000}, "at 48000 Hz"),
        ({"pcm": music(), "subtype": "PCM_24"}, "WAV PCM_24"),
        ({"pcm": music(), "form": "FLAC"}, "FLAC PCM_16"),
    ],
    ids=["short", "mono", "48 kHz", "24 bit", "FLAC"],
)
def test_a_reference_in_another_format_is_an_error_with_its_path(song, changes, words):
    replace(song, **changes)
    with pytest.raises(ChallengeError, match=words) as caught:
        read_reference(song, "drums")
    assert str(song.folder / "drums.wav") in caught.value.message
    assert caught.value.hint


def test_a_file_that_lost_its_end_is_an_error(song):
    os.truncate(song.folder / "drums.wav", 44 + 4 * RATE // 2)
    with pytest.raises(
        ChallengeError, match=r"a reference of 'Ann - One', has \d+ frames; expected at least"
    ):
        read_reference(song, "drums")


def test_a_missing_reference_is_an_error(song):
    with pytest.raises(ChallengeError, match=r"bass\.wav is missing"):
        read_reference(song, "bass")
