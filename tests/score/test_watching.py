"""A watcher scores what arrives, once, and writes a report for each team."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli.console import to_harness_error
from harness.ledger.ledger import Ledger
from harness.protocol.errors import DeadlineError, HarnessError, SetupError
from harness.ranking.store import RANKING_FILE
from harness.score import shards
from harness.score.inbox import Inbox
from harness.score.queue import Queue, Result
from harness.score.request import Request
from harness.score.watching import Watcher
from tests.score.fakes import FakeSandbox
from validator import Challenge
from validator.archive.sizes import SizeLimits

MakeZip = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "RETRY_WAITS", (0.0,))


class Place:
    """An inbox, a store and watchers of them."""

    def __init__(self, folder: Path, root: Path, oracle: Path) -> None:
        self.inbox = folder / "inbox"
        self.inbox.mkdir()
        self.store = folder / "store"
        self.reports = folder / "reports"
        self.oracle = oracle
        self.challenge = Challenge.load(root, split="test")
        self.results: list[Result] = []
        self.lines: list[str] = []

    def put(self, team: str, *, name: str = "", data: bytes | None = None) -> Path:
        path = self.inbox / (name or f"submission_{team}.zip")
        path.write_bytes(self.oracle.read_bytes() if data is None else data)
        return path

    def watcher(self, sandbox: FakeSandbox | None = None, *, retry: float = 1000.0) -> Watcher:
        return Watcher(
            Inbox(self.inbox, rest=0.0, limits=SizeLimits()),
            Queue(sandbox or FakeSandbox(), explain=to_harness_error, log=self.lines.append),
            make_request=lambda one: Request(one.path, self.challenge, self.challenge, one.team, self.store),
            reports=self.reports,
            log=self.lines.append,
            on_result=self.results.append,
            on_others=lambda paths: self.lines.extend(path.name for path in paths),
            retry=retry,
        )

    def settle(self, watcher: Watcher) -> None:
        """Lets the watcher see everything twice, and score it."""
        watcher.step()
        while watcher.step():
            pass

    def report(self, team: str, suffix: str) -> str:
        (path,) = self.reports.glob(f"{team}-*.{suffix}")
        return path.read_text()


@pytest.fixture
def place(tmp_path: Path, synthetic_root: Path, oracle_zip: Path) -> Place:
    return Place(tmp_path, synthetic_root, oracle_zip)


def test_each_team_gets_a_report_of_what_became_of_its_submission(place: Place) -> None:
    place.put("E001")
    place.put("E002", data=b"no archive")
    place.settle(place.watcher())
    assert {result.request.team: str(result.state) for result in place.results} == {
        "E001": "scored",
        "E002": "invalid",
    }
    assert "State: scored\nAverage score: 0.2500\n" in place.report("E001", "txt")
    assert "archive-unreadable" in place.report("E002", "txt")
    document = json.loads(place.report("E002", "json"))
    assert (document["schema_version"], document["state"], document["average"]) == (1, "invalid", None)
    assert document["report"]["findings"][0]["code"] == "archive-unreadable"
    assert json.loads(place.report("E001", "json"))["average"] == 0.25
    assert (place.store / RANKING_FILE).is_file()


def test_the_report_has_what_decoding_finds(place: Place) -> None:
    path = place.put("E001")
    with zipfile.ZipFile(path) as source:
        members = {name: source.read(name) for name in source.namelist()}
    bass = next(name for name in members if name.endswith("left_bass.flac"))
    members[bass] = members[bass][:300]
    with zipfile.ZipFile(path, "w") as target:
        for name, data in members.items():
            target.writestr(name, data)
    place.settle(place.watcher())
    text = place.report("E001", "txt")
    assert "State: invalid" in text
    assert "INVALID: 1 error" in text
    assert json.loads(place.report("E001", "json"))["report"]["valid"] is False


def test_a_watcher_that_is_started_again_looks_at_nothing_twice(place: Place) -> None:
    place.put("E001")
    place.put("E002", data=b"no archive")
    place.settle(place.watcher())
    with Ledger(place.store) as ledger:
        before = len(ledger.log())
    place.results.clear()
    sandbox = FakeSandbox()
    place.settle(place.watcher(sandbox))
    assert place.results == []
    assert sandbox.tasks == []
    with Ledger(place.store) as ledger:
        assert len(ledger.log()) == before


def test_a_watcher_that_was_killed_while_it_scored_continues(place: Place) -> None:
    place.put("E001")
    sandbox = FakeSandbox()
    sandbox.behaviour[place.challenge.examples[-1]] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        place.settle(place.watcher(sandbox))
    place.settle(place.watcher())
    (result,) = place.results
    assert result.average == 0.25
    assert result.outcome is not None
    assert 0 < result.outcome.scored < 4


def test_a_newer_submission_of_a_team_in_the_same_place_is_scored_too(place: Place) -> None:
    path = place.put("E001")
    watcher = place.watcher()
    place.settle(watcher)
    path.write_bytes(b"no archive")
    os.utime(path, (7, 7))
    place.settle(watcher)
    assert [str(result.state) for result in place.results] == ["scored", "invalid"]
    assert len(list(place.reports.glob("E001-*.txt"))) == 2


def test_a_failure_of_the_machine_is_tried_again_and_the_team_reads_no_more_than_that(place: Place) -> None:
    place.put("E001")
    sandbox = FakeSandbox()
    example = place.challenge.examples[0]
    sandbox.behaviour[example] = SetupError("/home/organiser/secret is not readable.")
    watcher = place.watcher(sandbox, retry=0.0)
    watcher.step()
    watcher.step()
    assert [str(result.state) for result in place.results] == ["failed"]
    text = place.report("E001", "txt") + place.report("E001", "json")
    assert "The submission is not the cause" in text
    assert "secret" not in text
    sandbox.behaviour.clear()
    place.settle(watcher)
    assert [str(result.state) for result in place.results] == ["failed", "scored"]
    assert "State: scored" in place.report("E001", "txt")


def test_a_failure_that_another_try_does_not_change_is_not_tried_again(place: Place) -> None:
    place.put("E001")
    sandbox = FakeSandbox()
    for example in place.challenge.examples:
        sandbox.behaviour[example] = DeadlineError("It took too long.")
    watcher = place.watcher(sandbox, retry=0.0)
    place.settle(watcher)
    place.settle(watcher)
    place.settle(place.watcher(FakeSandbox()))
    assert [str(result.state) for result in place.results] == ["failed"]


def test_a_watcher_on_a_machine_that_cannot_score_says_so_at_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: FakeSandbox) -> None:
        raise SetupError("No Docker engine answers.")

    monkeypatch.setattr(FakeSandbox, "prepare", fail)
    with pytest.raises(HarnessError, match="No Docker engine"):
        place.watcher().run()


def test_a_submission_that_may_not_be_read_stops_no_other(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = place.put("E001")
    place.put("E002")
    opened = os.open

    def refuse(path: Any, *rest: Any, **options: Any) -> int:
        if str(path) == str(locked):
            raise PermissionError(13, "Permission denied")
        return opened(path, *rest, **options)

    monkeypatch.setattr(os, "open", refuse)
    watcher = place.watcher()
    watcher.step()
    monkeypatch.setattr("harness.score.inbox.UNREADABLE_FACTOR", 0.0)
    watcher.step()
    assert {result.request.team: str(result.state) for result in place.results} == {
        "E001": "failed",
        "E002": "scored",
    }


def test_an_inbox_that_disappears_is_an_error_of_the_set_up(place: Place) -> None:
    watcher = place.watcher()
    shutil.rmtree(place.inbox)
    with pytest.raises(SetupError, match="The inbox can't be read"):
        watcher.step()
