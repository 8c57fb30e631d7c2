"""Statuses and rankings on a terminal of 80 columns: whole names, one table a screen, notes on request."""

from __future__ import annotations

import pydoc
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from harness.cli import presentation, standings
from harness.cli.app import cad1
from harness.cli.presentation import print_ranking, status_text, watch_statuses
from harness.score.status import SubmissionStatus

NAME = "the-longest-team-name-there-is"


def terminal(height: int = 25, *, width: int = 80) -> Callable[[], Console]:
    """A terminal in the place of standard output."""
    console = Console(force_terminal=True, width=width, height=height, color_system=None)
    return lambda: console


def status(team: str, **changes: object) -> SubmissionStatus:
    """The status of a submission that is being scored."""
    values = {
        "split": "test", "submission": "a" * 64, "state": "scoring", "since": "2026-11-24T12:00:00Z", "fault": "",
        "cause": "", "stored": 1000, "total": 2597, "rate": 60.0, "left": 5820.0, "runner": "node:1@2",
        "failures": (),
    }  # fmt: skip
    return SubmissionStatus(team=team, **(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [80, 120])
def test_status_shows_the_whole_name_of_every_team(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presentation, "stdout", terminal(width=width))
    failed = status("E001", state="failed", fault="submission", runner="", cause="It is broken.")
    text = status_text([status(NAME), failed], full=False)
    assert max(map(len, text.splitlines())) <= width
    table, _, below = text.partition(f"{NAME}: ")
    assert NAME in table
    assert "\u2026" not in table, "nothing is cut off"
    assert below.startswith("60 per hour, 1 h 37 min left, by node:1@2\n")
    assert "E001: It is broken." in below


def test_status_marks_what_counts_and_who_is_disqualified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presentation, "stdout", terminal())
    teams = [status(NAME, counts=True), status("E002")]
    text = status_text(teams, full=False, disqualified={"E002": "trained on it", "E009": "elsewhere"})
    marked = [line for line in text.splitlines() if "✓" in line]
    assert len(marked) == 1
    assert NAME in marked[0]
    assert max(map(len, text.splitlines())) <= 80
    assert "E002 is disqualified: trained on it\n" in text
    assert "E009" not in text


def test_watching_shows_each_change_until_it_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(presentation, "stdout", terminal())
    monkeypatch.setattr(presentation, "WATCH_SECONDS", 0.0)
    looks = iter(["1 of 4", "2 of 4"])

    def look() -> str:
        try:
            return next(looks)
        except StopIteration:
            raise KeyboardInterrupt from None

    with pytest.raises(KeyboardInterrupt):
        watch_statuses(look)
    shown = capsys.readouterr().out
    assert shown.index("1 of 4") < shown.index("2 of 4")


def test_watching_is_for_a_terminal(full_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cad1(["status", "--watch", "--store", str(full_store)]) == 2
    monkeypatch.setattr(standings, "stdout", terminal())
    assert cad1(["status", "--watch", "--json", "--store", str(full_store)]) == 2


def test_notes_of_a_ranking_are_shown_on_request(
    full_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(presentation, "stdout", terminal(height=500))
    print_ranking(full_store)
    brief = capsys.readouterr().out
    print_ranking(full_store, notes=True)
    whole = capsys.readouterr().out
    assert "see `cad1 ranking --notes`" in brief
    assert "- " not in brief
    assert "- E" in whole
    assert "`cad1 ranking --notes`" not in whole


def test_a_ranking_ends_with_its_date_and_the_head_of_the_log(
    full_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cad1(["verify", "--store", str(full_store)]) == 0
    head = capsys.readouterr().out.split()[-1]
    print_ranking(full_store)
    *_, date, last = capsys.readouterr().out.splitlines()
    assert last == head
    assert date.endswith(" UTC, head of the log:")


def test_what_does_not_fit_is_paged_one_table_a_screen(
    full_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pages: list[str] = []
    monkeypatch.setattr(pydoc, "pager", pages.append)
    monkeypatch.setattr(presentation, "stdout", terminal(height=12))
    print_ranking(full_store, paged=True)
    (text,) = pages
    starts = [number for number, line in enumerate(text.splitlines()) if line.startswith("Split ")]
    assert len(starts) > 1
    assert all(start % 11 == 0 for start in starts)
    monkeypatch.setattr(presentation, "stdout", terminal(height=500))
    print_ranking(full_store, paged=True)
    assert len(pages) == 1, "what fits is not paged"
