"""The report as text and as JSON."""

import json
import re

import pytest

from tests.validator import forge
from tests.validator.corpus import rejected
from validator import Severity, SubmissionNotFound, validate, validation
from validator.findings.codes import new_finding
from validator.report.report import Report, in_order
from validator.report.subject import ChallengeInfo, SubmissionInfo


@pytest.fixture(scope="module")
def eleven(tmp_path_factory):
    make, _ = rejected.CASES["eleven_mistakes"]
    return validate(make(tmp_path_factory.mktemp("eleven")), forge.CHALLENGE)


def report_of(findings):
    return Report(
        SubmissionInfo("s.zip", "0" * 64, 1234567),
        ChallengeInfo("test", 2, 2, 4),
        in_order(findings),
        files=68,
    )


def test_json_follows_the_contract(eleven):
    document = json.loads(eleven.to_json())
    assert list(document) == ["schema_version", "valid", "submission", "challenge", "counts", "findings"]
    assert document["schema_version"] == 1
    assert document["valid"] is False
    assert set(document["submission"]) == {"name", "sha256", "bytes"}
    assert re.fullmatch("[0-9a-f]{64}", document["submission"]["sha256"])
    assert document["challenge"] == {"split": "test", "songs": 2, "listeners": 2, "examples": 4}
    assert document["counts"] == {"error": 11, "warning": 0}
    assert len(document["findings"]) == 11
    for finding in document["findings"]:
        assert list(finding) == ["code", "severity", "path", "message", "expected", "found", "hint"]


def test_text_has_every_code_once(eleven):
    text = eleven.to_text()
    for code in {finding.code for finding in eleven.findings}:
        assert text.count(f"[{code}]") == 1
    assert text.endswith("INVALID: 11 errors, 0 warnings; 69 files checked.\n"), text[-200:]
    assert "\x1b" not in text


def test_color_only_on_request(eleven):
    assert "\x1b[1;31m" in eleven.to_text(color=True)
    assert re.sub("\x1b\\[[0-9;]*m", "", eleven.to_text(color=True)) == eleven.to_text()


def test_only_the_first_findings_of_a_code_are_shown():
    findings = [new_finding("missing", f"L6001/{i}", "This file is missing.") for i in range(441)]
    text = report_of(findings).to_text()
    assert text.count("This file is missing.") == 3
    assert "… and 438 more (show them with --all)" in text
    assert report_of(findings).to_text(all_=True).count("This file is missing.") == 441


def test_errors_before_warnings_before_notes():
    findings = [new_finding(code, "x", "m.") for code in ("not-personal", "silent", "missing")]
    assert [finding.severity for finding in in_order(findings)] == list(Severity)
    report = report_of(findings[:2])
    assert report.valid
    assert report.to_text().splitlines()[-1] == "VALID: 0 errors, 1 warning; 68 files checked."


def test_a_name_cannot_forge_the_report(tmp_path):
    files = forge.stems() | {"L6001/\x1b[2Jx\r\nVALID: all is well": b"x"}
    path = tmp_path / "s.zip"
    path.write_bytes(forge.zip_bytes(files))
    text = validate(path, forge.CHALLENGE).to_text()
    assert "\x1b" not in text
    assert "\r" not in text
    assert "\nVALID: all is well" not in text


def test_submission_not_found(tmp_path):
    with pytest.raises(SubmissionNotFound, match="no submission at"):
        validate(tmp_path / "none.zip", forge.CHALLENGE)


def test_the_same_report_from_every_form_and_number_of_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(validation, "FEW_FILES", 0)
    files = forge.stems()
    files[forge.first("left_bass.flac")] = forge.audio(rate=44100)
    files[forge.first("right_other.flac")] = forge.audio()[:5000]
    del files[forge.first("remix.flac")]
    zipped, tarred = tmp_path / "a.zip", tmp_path / "a.tar.gz"
    zipped.write_bytes(forge.zip_bytes(files))
    tarred.write_bytes(forge.tar_bytes(files, mode="w:gz"))
    folder = forge.lay_out(files, tmp_path / "a")
    found = [validate(path, forge.CHALLENGE).findings for path in (zipped, tarred, folder)]
    found += [validate(path, forge.CHALLENGE, workers=2).findings for path in (zipped, tarred)]
    assert len(found[0]) == 3
    assert all(one == found[0] for one in found)


def test_progress_reaches_the_total(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(forge.zip_bytes(forge.stems()))
    seen = []
    validate(path, forge.CHALLENGE, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (68, 68)
    assert seen == sorted(seen)


def test_only_selected_examples(tmp_path):
    path = tmp_path / "a.zip"
    some = {(forge.SONGS[0], "L6001")}
    files = {
        name: data for name, data in forge.stems().items() if name.startswith(f"L6001/{forge.SONGS[0]}/")
    }
    path.write_bytes(forge.zip_bytes(files))
    assert validate(path, forge.CHALLENGE, examples=some).findings == ()
    assert not validate(path, forge.CHALLENGE).valid
    # files of other examples are ignored, even if they are invalid
    other = forge.stems() | {forge.first("left_bass.flac").replace("L6001", "L6002"): b"broken"}
    path.write_bytes(forge.zip_bytes(other))
    assert validate(path, forge.CHALLENGE, examples=some).findings == ()


def test_quick_decodes_nothing(tmp_path):
    path = tmp_path / "a.zip"
    files = forge.stems() | {
        forge.first("left_bass.flac"): forge.with_streaminfo(forge.audio(), md5=b"x" * 16)
    }
    path.write_bytes(forge.zip_bytes(files))
    assert validate(path, forge.CHALLENGE, quick=True).findings == ()
    assert [one.code for one in validate(path, forge.CHALLENGE).findings] == ["flac-md5"]


def test_whole_songs_without_data_root_must_have_one_length(tmp_path):
    import dataclasses

    songs = tuple(
        dataclasses.replace(song, objective=None, subjective=None) for song in forge.CHALLENGE.songs
    )
    whole = dataclasses.replace(forge.CHALLENGE, split="valid", songs=songs)
    files = {
        name: forge.audio(1, 16000, 2, 32000) if name.endswith("remix.flac") else data
        for name, data in forge.stems().items()
    }
    path = tmp_path / "a.zip"
    path.write_bytes(forge.zip_bytes(files))
    assert validate(path, whole, quick=True).findings == ()
    short = forge.first("left_bass.flac")
    path.write_bytes(forge.zip_bytes(files | {short: forge.audio(frames=6000)}))
    findings = validate(path, whole, quick=True).findings
    assert [(one.code, one.path) for one in findings] == [("length-inconsistent", short)]


def test_wrong_split_is_detected(tmp_path):
    from validator import Challenge

    valid = Challenge.load(None, split="valid")
    files = {
        f"{one.id}/{valid.songs[0].name}/{one.id}_{valid.songs[0].name}_remix.flac": b"x"
        for one in valid.listeners
    }
    path = tmp_path / "a.zip"
    path.write_bytes(forge.zip_bytes(files))
    report = validate(path, Challenge.load(None, split="test"), quick=True)
    missing = [one for one in report.findings if one.code == "missing"]
    assert len(missing) == 1
    assert "split valid" in missing[0].hint
