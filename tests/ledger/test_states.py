"""A submission's way: only what the table allows, every step kept, whose fault always said."""

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path

import pytest

from harness.ledger.ledger import Case, Key, Ledger, Roster, Scorer, State, Step
from harness.ledger.states import FOLLOWS
from harness.protocol.errors import Fault, InternalError, SetupError, UsageError
from harness.ranking.render import notes
from harness.ranking.tables import tables

SCORER = Scorer("d" * 64, "fast", True)
ROSTER = Roster("c" * 64, "test", ("A",), ("L1",))
CASE = Case("E001", "5" * 64, ROSTER.digest)
FAULT = {State.FAILED: "setup"}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path)
    made.add_roster(ROSTER)
    return made


def walk(ledger: Ledger, *states: State, case: Case = CASE) -> None:
    for state in states:
        ledger.move(case, state, fault=FAULT.get(state, ""))


WAYS: dict[State | None, tuple[State, ...]] = {
    None: (),
    State.RECEIVED: (State.RECEIVED,),
    State.INVALID: (State.RECEIVED, State.INVALID),
    State.SCORING: (State.RECEIVED, State.SCORING),
    State.SCORED: (State.RECEIVED, State.SCORING, State.SCORED),
    State.FAILED: (State.RECEIVED, State.FAILED),
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(WAYS, State)))
def test_only_what_the_table_allows(ledger: Ledger, before: State | None, after: State) -> None:
    walk(ledger, *WAYS[before])
    if after in FOLLOWS[before]:
        walk(ledger, after)
        assert ledger.way(CASE)[-1].state is after
        return
    with pytest.raises(InternalError, match=f"can't go from {before or 'nothing'} to {after}"):
        walk(ledger, after)
    assert [step.state for step in ledger.way(CASE)] == list(WAYS[before])


def test_every_state_can_be_reached_and_left() -> None:
    assert set(FOLLOWS) == {None, *State}
    assert set().union(*FOLLOWS.values()) == set(State)
    assert all(FOLLOWS.values())


@pytest.mark.parametrize(
    ("state", "fault"),
    [(State.FAILED, ""), (State.FAILED, "somebody"), (State.RECEIVED, "setup"), (State.RECEIVED, "bug")],
)
def test_a_fault_where_one_belongs_and_nowhere_else(ledger: Ledger, state: State, fault: str) -> None:
    walk(ledger, State.RECEIVED)
    with pytest.raises(InternalError, match="can't have the fault"):
        ledger.move(CASE, state, fault=fault)
    assert len(ledger.way(CASE)) == 1


def test_an_invalid_submission_is_the_submissions_fault(ledger: Ledger) -> None:
    walk(ledger, State.RECEIVED, State.INVALID)
    assert ledger.way(CASE)[-1].fault == Fault.SUBMISSION


def test_a_step_says_when_who_why_and_by_what(ledger: Ledger) -> None:
    walk(ledger, State.RECEIVED)
    step = ledger.move(CASE, State.SCORING, cause="on\x1b[31m\n its way ", scorer=SCORER)
    assert step.cause == "on?[31m its way"
    assert ledger.way(CASE) == [ledger.way(CASE)[0], step]
    assert isinstance(step, Step)
    assert step.scorer == SCORER
    assert step.at
    assert "@" in step.who


def test_the_latest_steps_by_team_and_split(ledger: Ledger) -> None:
    other = Roster("b" * 64, "valid", ("A",), ("L1",))
    ledger.add_roster(other)
    second = Case("E002", "6" * 64, other.digest)
    walk(ledger, State.RECEIVED)
    walk(ledger, State.RECEIVED, State.INVALID, case=second)
    walk(ledger, State.SCORING)
    assert [(step.case.team, step.state) for step in ledger.latest()] == [
        ("E002", State.INVALID),
        ("E001", State.SCORING),
    ]
    assert [step.case.team for step in ledger.latest(team="E001")] == ["E001"]
    assert [step.case.team for step in ledger.latest(split="valid")] == ["E002"]
    assert ledger.latest(team="E001", split="valid") == []


def test_a_way_needs_its_challenge(ledger: Ledger) -> None:
    with pytest.raises(SetupError, match="FOREIGN KEY"):
        ledger.move(Case("E001", "5" * 64, "unknown"), State.RECEIVED)


@pytest.mark.parametrize("table", ["steps", "log"])
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {} SET at = 'never'",
        "DELETE FROM {}",
        "INSERT OR REPLACE INTO {} SELECT * FROM {}",
        "INSERT INTO {0} SELECT number + 5, {1} FROM {0}",
    ],
)
def test_steps_and_log_can_only_grow(ledger: Ledger, tmp_path: Path, table: str, change: str) -> None:
    walk(ledger, State.RECEIVED, State.SCORING)
    database = sqlite3.connect(tmp_path / "ledger.sqlite")
    columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")][1:]
    before = database.execute(f"SELECT * FROM {table}").fetchall()
    assert before
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        database.execute(change.replace("{1}", ", ".join(columns)).replace("{0}", "{}").replace("{}", table))
    assert database.execute(f"SELECT * FROM {table}").fetchall() == before
    database.close()


def test_a_disqualified_team_is_not_ranked_and_the_reason_is_said(filled: Path, make_key) -> None:
    with Ledger(filled) as ledger:
        table = tables(ledger)[0]
        assert "E004" not in [row.team for row in table.rows]
        assert "E004: disqualified: scored with the test songs." in notes(table)
        ledger.disqualify("E004", why="it was another team's", revoke=True)
        assert ledger.disqualified() == {}
        assert "E004" in [row.team for row in tables(ledger)[0].rows]
        ledger.disqualify("E001", why="first\nreason")
        ledger.disqualify("E001", why="second reason")
        assert [(team, one.why) for team, one in ledger.disqualified().items()] == [("E001", "second reason")]
        kinds = [entry.kind for entry in ledger.log()]
    assert kinds[-3:] == ["reinstated", "disqualified", "disqualified"]


@pytest.mark.parametrize(
    ("team", "why", "revoke"), [("E777", "why", False), ("E001", " ", False), ("E001", "why", True)]
)
def test_a_disqualification_that_makes_no_sense(filled: Path, team: str, why: str, revoke: bool) -> None:
    with Ledger(filled) as ledger:
        before = ledger.head()
        with pytest.raises(UsageError):
            ledger.disqualify(team, why=why, revoke=revoke)
        assert ledger.head() == before


def test_failed_examples_are_told_by_fault(filled: Path) -> None:
    with Ledger(filled) as ledger:
        said = notes(tables(ledger)[0])
    assert "E003: not ranked, 3 of 4 examples scored; failed: 1 by fault of a memory limit." in said


def test_a_key_names_its_columns() -> None:
    assert Key("s", "c", SCORER).values == ("s", "c", "d" * 64, "fast", 1)
