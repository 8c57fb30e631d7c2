"""`cad1 score` with several submissions, in this process and with a sandbox that scores nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.cli.app import cad1
from harness.protocol.errors import SetupError
from harness.sandbox import choice
from tests.score.fakes import FakeSandbox

MakeZip = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def sandbox(monkeypatch: pytest.MonkeyPatch) -> FakeSandbox:
    fake = FakeSandbox()
    monkeypatch.setattr(choice, "choose_sandbox", lambda *_, **__: fake)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    return fake


@pytest.fixture
def inbox(make_zip: MakeZip, tmp_path: Path) -> Path:
    """Two valid submissions, one that is no archive, and two other files."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    shutil.copy(make_zip("E001", "oracle"), folder / "submission_E001.zip")
    shutil.copy(make_zip("E001", "mixture"), folder / "submission_E002.zip")
    (folder / "submission_E003.zip").write_bytes(b"PK and nothing else")
    (folder / "mine.zip").write_bytes(b"")
    (folder / "notes.txt").write_bytes(b"")
    return folder


def options(root: Path, store: Path) -> list[str]:
    return ["--data", str(root), "--split", "test", "--store", str(store)]


def test_a_folder_is_scored_and_summed_up(
    inbox: Path, synthetic_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cad1(["score", str(inbox), *options(synthetic_root, tmp_path / "store")]) == 1
    out, err = capsys.readouterr()
    summary = out.partition("Split test")[0]
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in summary.splitlines() if "│" in line]
    assert sorted(rows) == [
        ["E001", "scored", "0.2500", ""],
        ["E002", "scored", "0.2500", "1 warning: stems-identical (1)"],
        ["E003", "invalid", "", "1 error: archive-unreadable (1)"],
    ]
    assert "3 submissions: 1 invalid, 2 scored." in summary
    assert "Ranking" in out
    assert max(len(line) for line in summary.splitlines()) <= 80
    assert "`cad1 validate FILE` shows what is wrong" in summary
    assert "mine.zip was not scored: its name gives no team." in summary
    assert "mine.zip is not scored: its name gives no team. Rename it to submission_NAME.zip." in err
    assert "notes.txt is not a submission" in err


def test_the_team_of_one_submission_is_in_its_name(
    inbox: Path, synthetic_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = inbox / "submission_E002.zip"
    assert cad1(["score", str(path), *options(synthetic_root, tmp_path / "store")]) == 0
    assert "E002: average score 0.2500" in capsys.readouterr().err


def test_one_submission_with_a_team_is_scored_as_before(
    inbox: Path, synthetic_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(inbox / "submission_E003.zip")
    assert cad1(["score", path, "--team", "X", *options(synthetic_root, tmp_path / "store")]) == 1
    out, err = capsys.readouterr()
    assert "archive-unreadable" in out
    assert "submission_E003.zip is invalid and was not scored." in err


def test_a_long_name_or_cause_fits_80_columns(
    inbox: Path, synthetic_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (inbox / "submission_E003.zip").rename(inbox / f"submission_{'E' * 64}.zip")
    cad1(["score", str(inbox), *options(synthetic_root, tmp_path / "store")])
    summary = capsys.readouterr().out.partition("Split test")[0]
    assert max(len(line) for line in summary.splitlines()) <= 80
    assert summary.count("E") >= 64


def test_a_failure_is_logged_with_its_hint_and_in_the_table(
    inbox: Path,
    synthetic_root: Path,
    tmp_path: Path,
    sandbox: FakeSandbox,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_: object) -> Iterator[object]:
        raise SetupError("The disk is full.", hint="Make room on it.")
        yield

    sandbox.run = fail  # type: ignore[assignment,method-assign]
    assert cad1(["score", str(inbox), *options(synthetic_root, tmp_path / "store")]) == 3
    out, err = capsys.readouterr()
    assert "E001: submission_E001.zip failed\ncad1: The disk is full.\n  Make room on it.\n" in err
    assert out.count("The disk is full.") == 2
    assert "3 submissions: 1 invalid, 2 failed." in out


def test_ctrl_c_says_one_sentence(
    inbox: Path,
    synthetic_root: Path,
    tmp_path: Path,
    sandbox: FakeSandbox,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    sandbox.run = interrupt  # type: ignore[assignment,method-assign]
    assert cad1(["score", str(inbox), *options(synthetic_root, tmp_path / "store")]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("cad1: Interrupted; what was stored is kept") == 1
    assert "Traceback" not in err


def test_the_notified_command_gets_every_change_as_json(
    inbox: Path, synthetic_root: Path, tmp_path: Path
) -> None:
    notes = tmp_path / "notes.jsonl"
    command = f"sh -c 'cat >> {notes}'"
    cad1(["score", str(inbox), "--notify", command, *options(synthetic_root, tmp_path / "store")])
    changes = [json.loads(line) for line in notes.read_text().splitlines()]
    assert len(changes) == 8
    last = changes[-1]
    assert (last["schema_version"], last["team"], last["before"], last["after"], last["average"]) == (
        1,
        "E002",
        "scoring",
        "scored",
        0.25,
    )


def test_a_command_that_fails_is_logged_and_stops_nothing(
    inbox: Path, synthetic_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(inbox / "submission_E001.zip")
    failing = "sh -c 'echo no mail >&2; exit 3'"
    assert cad1(["score", path, "--notify", failing, *options(synthetic_root, tmp_path / "a")]) == 0
    assert "Notification failed: sh for E001, scored: exit code 3, no mail" in capsys.readouterr().err
    assert (
        cad1(["score", path, "--notify", "/no/such/command", *options(synthetic_root, tmp_path / "b")]) == 0
    )
    assert "it can't be started: No such file or directory" in capsys.readouterr().err
