"""What the command writes for people: one line for a line, no command for a CI service, details in the store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from harness.cli import console
from harness.cli.app import cad1
from harness.cli.presentation import print_checks, status_text
from harness.cli.progress import ProgressBar
from harness.ledger.entities import Failure
from harness.machine.doctor import Check
from harness.protocol.errors import InternalError, SetupError
from harness.ranking import store as ranking_store
from harness.score.status import SubmissionStatus

HOSTILE = "::error::[red]a\x1b[2J\n::add-mask::b ##[group]c \u202ed"


@pytest.fixture(autouse=True)
def _consoles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Consoles that write to the test's own streams."""
    monkeypatch.setattr(console, "stdout", lambda: Console(width=200))
    monkeypatch.setattr(console, "stderr", lambda: Console(stderr=True, width=40))


def check_safe(text: str, *, lines: int | None = None) -> None:
    assert text.strip()
    assert all(one.isprintable() or one == "\n" for one in text)
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    assert "##[" not in text
    assert lines is None or len(text.splitlines()) == lines


def test_a_line_of_the_log_is_one_line_and_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    console.log(HOSTILE)
    console.log("x" * 39 + " ::error::y")  # a wrapped line would begin with a command
    check_safe(capsys.readouterr().err, lines=2)


def test_an_error_is_one_line_and_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_error(SetupError(HOSTILE, hint=HOSTILE))
    check_safe(capsys.readouterr().err, lines=2)


def test_a_line_of_progress_is_one_line_and_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar("Scoring", console.stderr()) as progress:
        progress(1, 1, HOSTILE)
    check_safe(capsys.readouterr().err, lines=1)


def test_a_line_of_an_answer_is_one_line_and_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_line(HOSTILE)
    check_safe(capsys.readouterr().out, lines=1)


def test_a_check_is_one_line_and_no_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.cli.presentation.stdout", console.stdout)
    print_checks([Check("store", False, HOSTILE, HOSTILE)])
    check_safe(capsys.readouterr().out, lines=2)


def test_a_status_shows_names_and_causes_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.cli.presentation.stdout", console.stdout)
    failure = Failure(HOSTILE, HOSTILE, "memory", "", HOSTILE, HOSTILE)
    one = SubmissionStatus(
        "[red]E001", "test", "5" * 64, "failed", "2026-11-24T12:00:00", "memory", HOSTILE, 1, 2, None, None, "",
        (failure,),
    )  # fmt: skip
    text = status_text([one], full=True)
    assert "[red]E001" in text
    assert all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize("exists", [True, False])
def test_the_details_of_an_error_are_in_the_store_that_was_named(
    exists: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not in the default store, even if there is one in the current folder; without a store, in a temporary one."""

    def broken(*_: object, **__: object) -> None:
        raise InternalError("It broke.", detail="what the evaluator said")

    monkeypatch.setattr(ranking_store, "read_ranking", broken)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "submissions").mkdir()
    if exists:
        (tmp_path / "mine").mkdir()
    assert cad1(["ranking", "--store", str(tmp_path / "mine")]) == 5
    (log,) = tmp_path.rglob("cad1-*.log")
    assert log.parent == (tmp_path / "mine" / "logs" if exists else tmp_path / "tmp")
    assert log.read_text() == "what the evaluator said"
    assert str(log) in capsys.readouterr().err


def test_the_store_of_one_command_is_not_that_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    for name in ("one", "submissions", "tmp"):
        (tmp_path / name).mkdir()
    cad1(["ranking", "--store", "one"])
    monkeypatch.setattr(console, "to_harness_error", lambda _: InternalError("x", detail="y"))
    cad1(["image", "nonsense"])  # a command without a store
    assert [log.parent for log in tmp_path.rglob("cad1-*.log")] == [tmp_path / "tmp"]


def test_json_of_a_status_is_not_changed() -> None:
    from harness.cli.presentation import status_json

    one = SubmissionStatus(HOSTILE, "test", "5" * 64, "failed", "", "", "", 1, 2, None, None, "", ())
    assert json.loads(status_json([one]))["submissions"][0]["team"] == HOSTILE
