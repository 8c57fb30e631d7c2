"""The official rosters, and valid and invalid data roots."""

import json
from typing import Any

import numpy as np
import pytest
import soundfile

from validator import Challenge, ChallengeError
from validator.challenge.listeners import Listener
from validator.challenge.rules import CAD1

CFS = [250, 500, 1000, 2000, 3000, 4000, 6000, 8000]
SONG = "Ann - One"


def person(name="L6001", **changes):
    levels = [10, 20, 30, 40, 50, 60, 70, 80]
    return {
        "name": name,
        "audiogram_cfs": CFS,
        "audiogram_levels_l": levels,
        "audiogram_levels_r": levels,
    } | changes


@pytest.fixture
def root(tmp_path):
    metadata = tmp_path / "metadata"
    metadata.mkdir()
    song = {"Track Name": SONG, "Genre": "Pop", "Source": "x", "License": "y", "Split": "test"}
    segment = {"start": 0.25, "end": 0.75, "duration": 0.5}
    write(metadata / "listeners.test.json", {"L6001": person(), "L6002": person("L6002")})
    write(metadata / "musdb18.test.json", [song])
    write(
        metadata / "musdb18.segments.test.json",
        {SONG: {"objective_evaluation": segment, "subjective_evaluation": segment}},
    )
    write(metadata / "listeners.valid.json", {"L5001": person("L5001")})
    write(metadata / "musdb18.valid.json", [song | {"Split": "valid"}, song | {"Track Name": "Ann - Two"}])
    folders = {"test": (SONG, "Ann - Two"), "train": (SONG,)}
    for half, songs in folders.items():
        for name in songs:
            folder = tmp_path / "audio" / "musdb18hq" / half / name
            folder.mkdir(parents=True)
            for stem in ("mixture", *CAD1.stems):
                soundfile.write(
                    folder / f"{stem}.wav", np.zeros((44100, 2), np.int16), 44100, subtype="PCM_16"
                )
    return tmp_path


def write(path, contents):
    path.write_text(contents if isinstance(contents, str) else json.dumps(contents), "utf-8")


def test_official_rosters():
    valid, test = Challenge.load(None, split="valid"), Challenge.load(None, split="test")
    assert (len(valid.songs), len(valid.listeners), len(valid.examples)) == (14, 50, 700)
    assert (len(test.songs), len(test.listeners), len(test.examples)) == (49, 53, 2597)
    # cut by int(seconds * 44100), so rounding may lose a sample
    assert {song.expected_stem_frames for song in test.songs} <= {719999, 720000, 720001}
    assert {song.expected_remix_frames for song in test.songs} <= {479999, 480000, 480001}
    assert valid.songs[0].expected_stem_frames is None
    assert [listener.id for listener in test.listeners] == [f"L6{i:03}" for i in range(1, 54)]


def test_official_rosters_equal_the_shared_data(request):
    shared = request.config.rootpath.parent / "shared" / "data" / "roster"
    if not shared.is_dir():
        pytest.skip(f"needs {shared}")
    roster = json.loads((shared / "roster.json").read_text())
    segments = json.loads((shared / "segments.test.json").read_text())
    for split in ("valid", "test"):
        challenge = Challenge.load(None, split=split)
        assert [song.name for song in challenge.songs] == roster[split]["songs"]
        assert [listener.id for listener in challenge.listeners] == roster[split]["listeners"]
    for song in Challenge.load(None, split="test").songs:
        for noun, segment in (("objective", song.objective), ("subjective", song.subjective)):
            expected = segments[song.name][f"{noun}_evaluation"]
            assert segment is not None
            assert (segment.start, segment.end) == (expected["start"], expected["end"])


def test_data_root(root):
    test = Challenge.load(root, split="test")
    assert test.examples == ((SONG, "L6001"), (SONG, "L6002"))
    song = test.song(SONG)
    assert song.objective_slice == (11025, 33075)
    assert song.expected_stem_frames == 12000
    assert song.expected_remix_frames == 16000
    assert song.reference_path("drums").is_file()
    assert test.listener("L6001").levels("left", (250, 6000)) == (10, 70)
    valid = Challenge.load(root, split="valid")
    assert [one.folder.parent.name for one in valid.songs if one.folder] == ["train", "test"]
    assert valid.songs[0].expected_stem_frames == 24000
    assert valid.songs[0].objective is None


def test_select_keeps_the_order(root):
    test = Challenge.load(root, split="test")
    assert test.select(listeners=["L6002", "L6001"]).examples == test.examples
    assert test.select(listeners=["L6002"]).examples == ((SONG, "L6002"),)
    with pytest.raises(ValueError, match="no song 'x'"):
        test.select(songs=["x"])
    with pytest.raises(ValueError, match="no listener 'L1'"):
        test.select(listeners=["L1"])


def test_no_such_split():
    with pytest.raises(ValueError, match="split is 'train'"):
        Challenge.load(None, split="train")  # type: ignore[arg-type]  # not a split


def test_roster_has_no_references():
    with pytest.raises(ChallengeError, match="no data root"):
        Challenge.load(None, split="test").songs[0].reference_path("drums")


def test_levels_reject_a_wrong_side_or_frequency():
    listener = Listener("L1", (250,), (1.0,), (2.0,))
    assert listener.levels("right", (250,)) == (2.0,)
    with pytest.raises(ValueError, match="side"):
        listener.levels("middle", (250,))
    with pytest.raises(ValueError, match=r"no level at \[500\]"):
        listener.levels("left", (250, 500))


def segments_of(start, end):
    half = {"start": start, "end": end}
    return {SONG: {"objective_evaluation": half, "subjective_evaluation": half}}


WRONG: dict[str, list[tuple[Any, str]]] = {
    "metadata/listeners.test.json": [
        ("", "not valid JSON"),
        ('{"L6001": NaN}', "not valid JSON"),
        ('{"L6001": 1, "L6001": 2}', "twice"),
        ("[" * 100000, "not valid JSON"),
        ("[]", "does not have the format"),
        ({}, "at least one"),
        ({"L6001": person("L6002")}, "has the name"),
        ({"../x": person("../x")}, "slash"),
        ({"L6001": person(audiogram_cfs=CFS[:7])}, "7 frequencies"),
        ({"L6001": person(audiogram_cfs=[250, 250, *CFS[2:]])}, "twice"),
        ({"L6001": person(audiogram_cfs=[251, *CFS[1:]])}, "no level at 250 Hz"),
        ({"L6001": person(audiogram_levels_l=[200] + [0] * 7)}, "200"),
        ({"L6001": person(audiogram_levels_l=["a"] + [0] * 7)}, "valid number"),
        ({"L6001": person(more=1)}, "more"),
        ("9" * (5 << 20), "larger than"),
    ],
    "metadata/musdb18.test.json": [
        ([], "0 songs"),
        ([{"Track Name": SONG, "Split": "test"}] * 2, "names a song twice"),
        ([{"Track Name": "a/b", "Split": "test"}], "slash"),
        ([{"Track Name": "Bob - Gone", "Split": "test"}], "is missing"),
    ],
    "metadata/musdb18.segments.test.json": [
        ({}, "no segment for"),
        (segments_of(0.5, 0.25), "must end after its start"),
        (segments_of(0.5, 1.5), "is outside the song"),
        (segments_of(-1, 0.5), "greater than or equal to 0"),
        ('{"x": Infinity}', "Infinity"),
    ],
}


@pytest.mark.parametrize(
    ("place", "contents", "words"),
    [(place, contents, words) for place, cases in WRONG.items() for contents, words in cases],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 else "",
)
def test_wrong_metadata(root, place, contents, words):
    write(root / place, contents)
    with pytest.raises(ChallengeError) as caught:
        Challenge.load(root, split="test")
    assert words in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("pcm", "rate", "subtype", "words"),
    [
        (np.zeros(44100, np.int16), 44100, "PCM_16", "1 channel;"),
        (np.zeros((48000, 2), np.int16), 48000, "PCM_16", "48000 Hz"),
        (np.zeros((44100, 2), np.int16), 44100, "PCM_24", "PCM_24"),
        (np.zeros((44000, 2), np.int16), 44100, "PCM_16", "differ in length"),
    ],
)
def test_wrong_wav(root, pcm, rate, subtype, words):
    path = root / "audio" / "musdb18hq" / "test" / SONG / "bass.wav"
    soundfile.write(path, pcm, rate, subtype=subtype)
    with pytest.raises(ChallengeError, match=words):
        Challenge.load(root, split="test")


def test_missing_and_unreadable_wav(root):
    path = root / "audio" / "musdb18hq" / "test" / SONG / "bass.wav"
    path.write_bytes(b"not a wav")
    with pytest.raises(ChallengeError, match="cannot be read as a wav"):
        Challenge.load(root, split="test")
    path.unlink()
    with pytest.raises(ChallengeError, match=r"bass\.wav is missing"):
        Challenge.load(root, split="test")


def test_missing_root_and_metadata(root, tmp_path):
    with pytest.raises(ChallengeError, match="not a folder"):
        Challenge.load(tmp_path / "nowhere", split="test")
    (root / "metadata" / "musdb18.test.json").unlink()
    with pytest.raises(ChallengeError, match="cannot be read"):
        Challenge.load(root, split="test")


def test_a_key_of_the_metadata_is_shown_as_text(root):
    listeners: dict[str, Any] = {"\x1b[2J\n::error::" + "k" * 9000: {}}
    (root / "metadata" / "listeners.test.json").write_text(json.dumps(listeners))
    with pytest.raises(ChallengeError) as caught:
        Challenge.load(root, split="test")
    assert caught.value.message.isprintable()
    assert r"\x1b[2J\n::error::kkk" in caught.value.message
    assert len(caught.value.message) < 500
