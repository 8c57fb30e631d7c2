"""Misnamed files: looked into like the others, and grouped by cause."""

from pathlib import Path

import numpy as np
import pytest

from tests.validator import forge
from validator import Report, validate


def report_on(tmp_path: Path, files: dict[str, bytes]) -> Report:
    path = tmp_path / "submission_E001.zip"
    path.write_bytes(forge.zip_bytes(files))
    return validate(path, forge.CHALLENGE)


def one_song_renamed(**contents: bytes) -> dict[str, bytes]:
    """A submission with a misspelt song folder for one listener, and other contents of some files in it."""
    song = forge.SONGS[0]
    files = {}
    for name, data in forge.stems().items():
        ending = name.rpartition("_")[2] if name.endswith("remix.flac") else "_".join(name.split("_")[-2:])
        if name.startswith(f"L6001/{song}/"):
            files[name.replace(song, song.replace("O'Nym", "ONim"))] = contents.get(
                ending.replace(".", "__"), data
            )
        else:
            files[name] = data
    return files


def test_a_misspelt_song_folder_hides_nothing_of_what_is_in_it(tmp_path):
    silent = forge.flac(np.zeros(forge.STEM_FRAMES, np.int16), 24000)
    found = report_on(
        tmp_path,
        one_song_renamed(
            left_bass__flac=forge.audio(5, subtype="PCM_24"),
            right_drums__flac=silent,
            left_other__flac=forge.audio(6)[:4000],
            right_other__txt=b"nan",
        ),
    ).findings
    codes = sorted(one.code for one in found)
    assert codes == ["bit-depth", "flac-truncated", "misnamed", "scale-value", "silent"]
    depth = next(one for one in found if one.code == "bit-depth")
    assert depth.path.startswith("L6001/Ann ONim")
    assert depth.path.endswith("_left_bass.flac")


def test_a_misspelt_folder_is_one_finding(tmp_path):
    (found,) = report_on(tmp_path, one_song_renamed()).findings
    assert found.code == "misnamed"
    assert found.path == f"L6001/{forge.SONGS[0].replace(chr(39), '').replace('Nym', 'Nim')}/"
    assert found.message == "The name of the song is misspelled (17 files)."
    assert found.expected.startswith(f"L6001/{forge.SONGS[0]}/")
    assert found.found.startswith("L6001/Ann ONim")


def test_two_causes_are_two_findings(tmp_path):
    files = {
        name.replace("_left_drums", "_Left_Drums").replace("_right_bass", "_right-bass"): data
        for name, data in forge.stems().items()
        if name.endswith(".flac")
    }
    found = report_on(tmp_path, files).findings
    assert sorted((one.path, one.message) for one in found) == [
        ("*/*/*_*_Left_Drums.flac", "The letter case is wrong (4 files)."),
        ("*/*/*_*_right-bass.flac", "The side or the stem in the file name is wrong (4 files)."),
    ]


@pytest.mark.parametrize("suffix", ["wav", "WAV", "mp3", "aiff"])
def test_nobody_is_told_to_rename_a_file_of_another_format(tmp_path, suffix):
    name = forge.first("left_drums.flac")
    files = {
        (one.replace(".flac", f".{suffix}") if one == name else one): (
            b"RIFF1234WAVE" if one == name else data
        )
        for one, data in forge.stems().items()
    }
    (found,) = report_on(tmp_path, files).findings
    assert found.code == "misnamed"
    assert "ename it" not in found.hint
    assert found.hint.startswith("Save it as FLAC under the expected name")


def test_a_misnamed_file_is_read_in_several_processes_too(tmp_path, monkeypatch):
    from validator import validation

    monkeypatch.setattr(validation, "FEW_FILES", 0)
    path = tmp_path / "s.zip"
    path.write_bytes(forge.zip_bytes(one_song_renamed(left_bass__flac=forge.audio(5, subtype="PCM_24"))))
    one, two = (validate(path, forge.CHALLENGE, workers=workers).findings for workers in (1, 2))
    assert one == two
    assert [finding.code for finding in one] == ["bit-depth", "misnamed"]
