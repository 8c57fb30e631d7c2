"""Names from outside: what is not UTF-8, and what a terminal or a CI system would obey."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from tests.validator import forge
from validator import Challenge, ChallengeError, SubmissionNotFound, validate
from validator.findings.codes import new_finding
from validator.findings.text import for_report
from validator.findings.wording import printable
from validator.report.report import Report
from validator.report.subject import ChallengeInfo, SubmissionInfo

HOSTILE = [
    "\x1b[2J\x1b]0;title\x07", "a\nERROR b", "a\r::error::b", "::error file=x::y", "  ::stop-commands::z",
    "##[error]x", "a ##[group]", "##vso[task.setvariable]x", "##VSO[task]x", "\x85::warning::x",
    "\u2028::error::x", "\u202etxt.exe", "\udcff\udc80", "\u3000::error::x",
]  # fmt: skip


def obeyed(line: str) -> bool:
    """Whether GitHub Actions or Azure Pipelines would take a line for a command."""
    return line.lstrip().startswith("::") or "##[" in line or "##vso[" in line.lower()


def zip_with(name: bytes, flags: int) -> bytes:
    return forge.forged([*forge.items(), forge.Item(name, b"x", flags=flags)])


@pytest.mark.parametrize(
    ("name", "flags", "code", "shown"),
    [
        (b"L6001/\xe9t\xe9.flac", 0x800, "member-name", r"L6001/\xe9t\xe9.flac"),
        (b"L6001/\x94t.flac", 0, "unexpected", "L6001/öt.flac"),
        (b"L6001/\xff.flac", 0, "unexpected", r"L6001/\xa0.flac"),
        ("L6001/é.flac".encode(), 0, "unexpected", "L6001/é.flac"),
        (b"L6001/\xed\xa0\x80.flac", 0x800, "member-name", r"L6001/\xed\xa0\x80.flac"),
        (b"\xff/\xfe/\xfd.flac", 0x800, "member-name", r"\xff/\xfe/\xfd.flac"),
    ],
    ids=["latin-1 as UTF-8", "cp437", "cp437 space", "UTF-8 unflagged", "a surrogate", "nothing valid"],
)
def test_a_name_in_a_zip_that_is_not_utf_8_is_a_finding_and_shown_escaped(tmp_path, name, flags, code, shown):
    path = tmp_path / "submission_E001.zip"
    path.write_bytes(zip_with(name, flags))
    report = validate(path, forge.CHALLENGE, quick=True)
    assert [(one.code, one.path) for one in report.findings] == [(code, shown)]
    if code == "member-name":
        assert report.findings[0].message == "The name is unsafe: it is not UTF-8."
    report.to_text().encode("utf-8")
    json.loads(report.to_json())


def test_a_name_in_a_tar_that_is_not_utf_8_is_a_finding(tmp_path):
    info = tarfile.TarInfo("L6001/\udce9.flac")
    path = tmp_path / "submission_E001.tar"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT, errors="surrogateescape") as out:
        for name, data in forge.stems().items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            out.addfile(member, io.BytesIO(data))
        out.addfile(info)
    path.write_bytes(buffer.getvalue())
    found = validate(path, forge.CHALLENGE, quick=True).findings
    assert [(one.code, one.path) for one in found] == [("member-name", r"L6001/\xe9.flac")]


def test_a_name_in_a_folder_that_is_not_utf_8_is_a_finding(tmp_path):
    folder = forge.lay_out(forge.stems(), tmp_path / "evaluation")
    Path(os.fsdecode(os.fsencode(folder) + b"/L6001/\xe9.flac")).write_bytes(b"x")
    report = validate(folder, forge.CHALLENGE)
    assert [(one.code, one.path) for one in report.findings] == [("member-name", r"L6001/\xe9.flac")]
    assert report.submission.sha256


def test_the_name_of_a_submission_may_be_anything(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/##[error]_\xff\x1b.zip"))
    path.write_bytes(forge.zip_bytes(forge.stems()))
    report = validate(path, forge.CHALLENGE, quick=True)
    assert report.findings == ()
    assert report.to_text().startswith(r"#\x23[error]_\xff\x1b.zip (")
    assert report.to_text().encode("utf-8")
    assert json.loads(report.to_json())["submission"]["name"] == r"##[error]_\xff\x1b.zip"
    assert "##[" not in report.to_json()


def test_a_submission_that_is_not_there_is_named_escaped(tmp_path):
    with pytest.raises(SubmissionNotFound, match=r"\\x1b\[31m\.zip"):
        validate(tmp_path / "\x1b[31m.zip", forge.CHALLENGE)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_line_of_a_report_is_a_command(text):
    findings = tuple(
        new_finding("unexpected", **{"path": "p", "message": "m.", field: text}, hint=hint)
        for field in ("path", "message", "expected", "found")
        for hint in ("h.", text)
    )
    report = Report(SubmissionInfo(text, None, 5), ChallengeInfo("test", 1, 1, 1), findings)
    for color in (False, True):
        lines = report.to_text(color=color, all_=True).split("\n")
        assert len(lines) > 30
        for line in lines:
            plain = line.replace("\x1b[0m", "")
            for style in ("1", "2", "1;31", "1;32"):
                plain = plain.replace(f"\x1b[{style}m", "")
            assert plain.isprintable(), line
            assert not obeyed(plain), line
            assert not obeyed(line), line
    for line in report.to_json().splitlines():
        assert line.isprintable()
        assert not obeyed(line), line
    document = json.loads(report.to_json())
    assert document["findings"][0]["path"] == text


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_from_outside_can_be_made_for_report(text):
    assert for_report(text).isprintable()
    assert not obeyed(for_report(text))
    assert for_report(for_report(text)) == for_report(text)


def test_ordinary_texts_stay_as_they_are():
    for text in ("L6001/RöCKSHOW (Live) - I'm Alright", "C# ## [x]", "a::b", "日本語 🎵", ""):
        assert for_report(text) == printable(text) == text


def test_long_names_are_shortened_in_the_middle():
    assert printable("a" * 300) == "a" * 300
    assert printable("a" * 301) == "a" * 140 + " … " + "a" * 140
    assert printable("a" * 999, limit=None) == "a" * 999


def test_a_json_key_of_the_metadata_is_shown_escaped(synthetic_root, tmp_path):
    import shutil

    root = tmp_path / "root"
    shutil.copytree(synthetic_root, root)
    path = root / "metadata" / "listeners.test.json"
    people = json.loads(path.read_text())
    people["L1"] = {"name": "L1", "\x1b[31m::error::": 5}
    path.write_text(json.dumps(people))
    with pytest.raises(ChallengeError) as caught:
        Challenge.load(root, split="test")
    assert caught.value.message.isprintable()
    assert str(caught.value).isprintable()
