"""The mistakes of 2023, reproduced with real music, are found; correct submissions get no warning."""

import io
import json
import re
import runpy
import sys
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from validator import Challenge, validate
from validator.challenge.manifest import Kind, expected_files
from validator.challenge.rules import CAD1

SET = Path(__file__).resolve().parents[3] / "shared" / "data" / "music_set"
pytestmark = pytest.mark.skipif(not SET.is_dir(), reason=f"needs the music set in {SET}")


@pytest.fixture(scope="module")
def challenge(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    argv, sys.argv = sys.argv, ["unpack.py", str(root)]
    try:
        runpy.run_path(str(SET / "unpack.py"), run_name="__main__")
    finally:
        sys.argv = argv
    return Challenge.load(root, split="test")


def members(name: str = "oracle") -> dict[str, bytes]:
    with zipfile.ZipFile(SET / "submissions" / f"{name}.zip") as archive:
        return {one: archive.read(one) for one in archive.namelist()}


def report_of(files: dict[str, bytes], folder: Path, challenge: Challenge):
    path = folder / "submission_E005.zip"
    with zipfile.ZipFile(path, "w") as out:
        for name, data in files.items():
            out.writestr(name, data)
    return validate(path, challenge)


def codes(report) -> Counter:
    return Counter(finding.code for finding in report.findings)


def moved(files: dict[str, bytes], where: dict[str, str]) -> dict[str, bytes]:
    """The files with every key in their names replaced by its value."""
    out = {}
    for name, data in files.items():
        old = next((key for key in where if key in name), None)
        out[name.replace(old, where[old]) if old else name] = data
    return out


def changed(data: bytes, how) -> bytes:
    pcm, rate = soundfile.read(io.BytesIO(data), dtype="int16")
    out = io.BytesIO()
    soundfile.write(out, how(pcm), rate, format="FLAC", subtype="PCM_16")
    return out.getvalue()


@pytest.mark.parametrize("name", ["oracle", "leaky"])
def test_correct_submissions_get_no_warning(name, challenge):
    report = validate(SET / "submissions" / f"{name}.zip", challenge)
    assert report.findings == (), report.to_text()


def test_the_mixture_in_place_of_the_stems(challenge):
    report = validate(SET / "submissions" / "mixture.zip", challenge)
    assert report.valid
    assert codes(report) == {"stems-identical": 1}
    assert "drums, bass, other and vocals" in report.findings[0].message


@pytest.mark.parametrize("base", ["oracle", "leaky"])
def test_stems_permuted_as_team_e005_had_them(base, challenge, tmp_path):
    order = {"_drums.": "_bass.", "_bass.": "_other.", "_other.": "_vocals.", "_vocals.": "_drums."}
    report = report_of(moved(members(base), order), tmp_path, challenge)
    assert report.valid
    assert codes(report) == {"stems-permuted": 1}, report.to_text(all_=True)
    message = report.findings[0].message
    for words in (
        "drums contains vocals",
        "bass contains drums",
        "other contains bass",
        "vocals contains other",
    ):
        assert words in message, message


def test_two_stems_swapped(challenge, tmp_path):
    report = report_of(moved(members(), {"_bass.": "_vocals.", "_vocals.": "_bass."}), tmp_path, challenge)
    assert codes(report) == {"stems-permuted": 1}, report.to_text(all_=True)
    assert "bass contains vocals, vocals contains bass" in report.findings[0].message


def test_one_stem_under_another_name(challenge, tmp_path):
    files = members()
    name = next(one for one in files if "Rosie" in one and one.endswith("left_drums.flac"))
    for end in (".flac", ".txt"):
        files[name.replace(".flac", end)] = files[name.replace("drums.flac", "vocals" + end)]
    report = report_of(files, tmp_path, challenge)
    assert "stem-mislabelled" in codes(report), report.to_text(all_=True)
    found = [finding for finding in report.findings if finding.code == "stem-mislabelled"]
    assert [finding.path for finding in found] == [name.removeprefix("evaluation/")]
    assert found[0].message.startswith("left_drums looks like vocals")


def test_a_bad_scale_file_brings_no_second_finding_about_the_level(challenge, tmp_path):
    files = members()
    name = next(one for one in files if one.endswith("left_drums.flac"))
    files[name] = changed(files[name], lambda pcm: (pcm * 0.5).astype(np.int16))
    files[name.replace(".flac", ".txt")] = b"0.05 or so"
    assert codes(report_of(files, tmp_path, challenge)) == {"scale-value": 1}
    files[name.replace(".flac", ".txt")] = b" 0.05\n"
    assert codes(report_of(files, tmp_path, challenge)) == {"level": 1}


def test_channels_swapped(challenge, tmp_path):
    files = moved(members(), {"_left_": "_right_", "_right_": "_left_"})
    report = report_of(files, tmp_path, challenge)
    assert report.valid
    assert codes(report)["sides-swapped"] == 1, report.to_text(all_=True)
    found = next(finding for finding in report.findings if finding.code == "sides-swapped")
    assert found.message.startswith("Left and right are swapped throughout")


def test_scale_file_lost(challenge, tmp_path):
    files = members()
    lost = next(one for one in files if one.endswith("_left_vocals.txt"))
    del files[lost]
    report = report_of(files, tmp_path, challenge)
    assert codes(report)["scale-missing"] == 1, report.to_text(all_=True)
    found = next(finding for finding in report.findings if finding.code == "scale-missing")
    assert found.path == lost.removeprefix("evaluation/").replace(".txt", ".flac")
    assert "costs a perfect stem up to half of its score" in found.message
    assert report.valid


def test_stem_at_a_tenth_of_its_level(challenge, tmp_path):
    files = members()
    scale = next(one for one in files if one.endswith("_left_vocals.txt"))
    files[scale] = repr(float(files[scale]) / 10).encode()
    report = report_of(files, tmp_path, challenge)
    assert codes(report) == {"level": 1}, report.to_text(all_=True)
    assert re.search(r"is (19|20)\.\d dB too quiet", report.findings[0].message)


def test_no_amplification(challenge, tmp_path):
    files = members()
    by_name = {song.name: song for song in challenge.songs}
    for name in files:
        if not name.endswith(".flac") or "remix" in name:
            continue
        song = by_name[name.split("/")[-2]]
        side, stem = name.removesuffix(".flac").split("_")[-2:]
        start, end = song.objective_slice
        pcm, _ = soundfile.read(str(song.reference_path(stem)), start=start, stop=end, dtype="int16")
        one = pcm[:, 0 if side == "left" else 1].astype(np.float64) / 32768
        spectrum = np.fft.rfft(one)
        down = np.fft.irfft(spectrum[:120001], 240000) * (240000 / len(one))
        files[name] = changed(files[name], lambda _, down=down: np.round(down * 32767).astype(np.int16))
        files[name.replace(".flac", ".txt")] = b"1.0"
    report = report_of(files, tmp_path, challenge)
    assert report.valid
    assert codes(report) == {"not-amplified": 1}, report.to_text(all_=True)
    assert "are not amplified for the listeners" in report.findings[0].message


def test_dead_channel(challenge, tmp_path):
    files = {
        name: changed(data, np.zeros_like) if "_left_" in name and name.endswith(".flac") else data
        for name, data in members().items()
    }
    report = report_of(files, tmp_path, challenge)
    assert report.valid
    assert codes(report) == {"silent": 1}, report.to_text(all_=True)
    assert report.findings[0].message == "All 16 left stems are silent."


def test_doubled_channel(challenge, tmp_path):
    files = members()
    for name in files:
        if "_right_" in name:
            files[name] = files[name.replace("_right_", "_left_")]
    report = report_of(files, tmp_path, challenge)
    # one bass is in the middle: there only the gain differs between the ears
    assert codes(report) == {"sides-equal": 1}, report.to_text(all_=True)
    assert report.findings[0].message == "All 16 stems are identical on the left and right."


def test_every_scale_file_lost(challenge, tmp_path):
    files = {name: data for name, data in members().items() if not name.endswith(".txt")}
    report = report_of(files, tmp_path, challenge)
    found = [finding for finding in report.findings if finding.code == "scale-missing"]
    assert len(found) == 1, report.to_text(all_=True)
    assert found[0].message.startswith("All 32 stems reach full scale")
    assert "up to half of its score" in found[0].message


def test_truncated_flac(challenge, tmp_path):
    files = members()
    name = next(one for one in files if one.endswith("_right_other.flac"))
    files[name] = files[name][: len(files[name]) // 2]
    report = report_of(files, tmp_path, challenge)
    assert codes(report) == {"flac-truncated": 1}, report.to_text(all_=True)
    assert not report.valid
    assert report.findings[0].path == name.removeprefix("evaluation/")
    assert "ends early" in report.findings[0].message


def test_references_can_be_left_out(challenge, tmp_path):
    order = {
        f"_{stem}.": f"_{other}."
        for stem, other in zip(CAD1.stems, CAD1.stems[1:] + CAD1.stems[:1], strict=True)
    }
    path = tmp_path / "submission.zip"
    with zipfile.ZipFile(path, "w") as out:
        for name, data in moved(members(), order).items():
            out.writestr(name, data)
    assert validate(path, challenge, compare_references=False).findings == ()


def test_whole_songs_and_a_silent_reference(challenge, tmp_path):
    # split valid: whole songs, plain references as stems, one reference silent
    root = tmp_path / "root"
    name = challenge.songs[0].name
    folder = root / "audio" / "musdb18hq" / "train" / name
    folder.mkdir(parents=True)
    (root / "metadata").mkdir()
    (root / "metadata" / "listeners.valid.json").write_bytes(
        (challenge.root / "metadata" / "listeners.test.json").read_bytes()
    )
    (root / "metadata" / "musdb18.valid.json").write_text(
        json.dumps([{"Track Name": name, "Split": "valid"}])
    )
    pcm = {}
    for stem in ("mixture", *CAD1.stems):
        pcm[stem], _ = soundfile.read(str(challenge.songs[0].reference_path(stem)), dtype="int16")
        if stem == "bass":
            pcm[stem] = pcm[stem].copy()
            pcm[stem][:, 1] = 0
        soundfile.write(folder / f"{stem}.wav", pcm[stem], 44100, subtype="PCM_16")
    valid = Challenge.load(root, split="valid")
    frames = valid.songs[0].expected_stem_frames
    files = {}
    for entry in expected_files(valid):
        out = io.BytesIO()
        if entry.kind is Kind.SCALE:
            continue
        rate = entry.rate
        source = pcm[entry.stem or "mixture"] / 32768
        spectrum = np.fft.rfft(source, axis=0)
        count = frames if rate == 24000 else valid.songs[0].expected_remix_frames
        assert count is not None
        down = np.fft.irfft(spectrum[: count // 2 + 1], count, axis=0) * (count / len(source))
        data = down if not entry.side else down[:, 0 if entry.side == "left" else 1]
        soundfile.write(out, np.round(data * 32000).astype(np.int16), rate, format="FLAC", subtype="PCM_16")
        files[entry.path] = out.getvalue()
    report = report_of(files, tmp_path, valid)
    assert report.valid, report.to_text()
    found = codes(report)
    assert found["not-amplified"] == 1, report.to_text(all_=True)
    assert found["reference-silent"] == 1, report.to_text(all_=True)
    assert found["not-personal"] == 1
    assert not {"silent", "stem-mislabelled", "stems-permuted", "sides-swapped", "length"} & set(found)
    silent = next(one for one in report.findings if one.code == "reference-silent")
    assert "'bass' stem (right)" in silent.message
