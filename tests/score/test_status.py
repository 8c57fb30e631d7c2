"""The status of submissions, and the leases of dead runs, read from a store by its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.ledger.entities import Entry, Failure, Key, Roster, Scorer, StoredExample
from harness.ledger.ledger import Ledger
from harness.ledger.states import Case, State
from harness.protocol.errors import SetupError
from harness.sandbox import stamp
from harness.score import heartbeat
from harness.score.dead_runs import dead_leases, remove_dead_leases
from harness.score.status import SubmissionStatus, read_statuses
from tests.values import values

ROSTERS = {split: Roster(split[0] * 64, split, ("Song A",), ("L1", "L2")) for split in ("test", "valid")}
SCORER = Scorer("d" * 64, "fast", locked=True)
DEAD_RUNNER = f"{heartbeat.runner().partition(' ')[0]} 99999999@1"


def begin(ledger: Ledger, team: str, *, split: str = "test", holder: str = "") -> Key:
    """Enters a submission and starts scoring it; with one stored example."""
    roster = ROSTERS[split]
    key = Key(team[-1] * 64, roster.digest, SCORER)
    case = Case(team, key.submission, roster.digest)
    ledger.add_roster(roster)
    ledger.enter(Entry(team, key, f"submission_{team}.zip", 1000, "scored"))
    if holder:
        ledger.leases.claim(key, team=team, runner=holder, done=0, total=2, is_dead=heartbeat.is_dead)
    ledger.history.move(case, State.RECEIVED)
    ledger.history.move(case, State.SCORING, scorer=SCORER)
    ledger.store(key, StoredExample("Song A", "L1", values(0.5)), run=None)
    return key


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """E001 is being scored, the run of E002 is dead, E003 has failed (split valid)."""
    with Ledger(tmp_path) as ledger:
        live = begin(ledger, "E001", holder=heartbeat.runner())
        ledger.leases.beat(live, runner=heartbeat.runner(), done=1)
        begin(ledger, "E002", holder=DEAD_RUNNER)
        key = begin(ledger, "E003", split="valid")
        ledger.store_failure(key, Failure("Song A", "L2", "memory", "memory", "Too much.", ""))
        case = Case("E003", key.submission, key.challenge)
        ledger.history.move(case, State.FAILED, fault="memory", cause="burst", scorer=SCORER)
    return tmp_path


def by_team(statuses: list[SubmissionStatus]) -> dict[str, SubmissionStatus]:
    return {one.team: one for one in statuses}


def test_a_submission_without_a_live_run_has_failed(store: Path) -> None:
    found = by_team(read_statuses(store))
    assert {team: (one.state, one.fault, one.stored, one.total) for team, one in found.items()} == {
        "E001": ("scoring", "", 1, 2),
        "E002": ("failed", "setup", 1, 2),
        "E003": ("failed", "memory", 1, 2),
    }
    assert found["E001"].runner == heartbeat.runner()
    assert found["E001"].rate is not None
    assert "run the same command again to continue" in found["E002"].cause
    assert found["E002"].runner == ""
    assert [failure.listener for failure in found["E003"].failures] == ["L2"]


def test_team_and_split_select_submissions(store: Path) -> None:
    assert list(by_team(read_statuses(store, team="E002"))) == ["E002"]
    assert list(by_team(read_statuses(store, split="valid"))) == ["E003"]
    assert read_statuses(store, team="E009") == []


def test_dead_leases_are_found_and_removed(store: Path) -> None:
    assert [lease.team for lease in dead_leases(store)] == ["E002"]
    assert [lease.team for lease in remove_dead_leases(store)] == ["E002"]
    assert dead_leases(store) == remove_dead_leases(store) == []
    assert by_team(read_statuses(store))["E001"].state == "scoring"


def test_a_store_without_a_ledger_has_no_leases_and_no_statuses(tmp_path: Path) -> None:
    assert dead_leases(tmp_path) == remove_dead_leases(tmp_path) == []
    with pytest.raises(SetupError, match="There is no ledger"):
        read_statuses(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_in_another_container_is_dead_only_without_a_heartbeat(
    store: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process can't be seen from here, even if both have one host name."""
    own = heartbeat.runner()
    link = tmp_path_factory.mktemp("proc") / "namespace"
    link.symlink_to("pid:[12345]")
    monkeypatch.setattr(stamp, "PID_NAMESPACE", link)
    with Ledger(store) as ledger:
        (lease,) = [one for one in ledger.leases.all() if one.runner == own]
    assert not heartbeat.is_dead(lease)
    monkeypatch.setattr(heartbeat, "STALE_SECONDS", -1.0)
    assert heartbeat.is_dead(lease)
