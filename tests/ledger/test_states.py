"""The history of submissions: only allowed changes of state, every step kept, always with its cause."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.ledger.entities import Key, Roster, Scorer
from harness.ledger.history import History
from harness.ledger.ledger import Ledger
from harness.ledger.states import TRANSITIONS, Case, State, Step
from harness.protocol.errors import Fault, InternalError, SetupError, UsageError
from harness.ranking.render import notes
from harness.ranking.tables import make_tables

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
        ledger.history.move(case, state, fault=FAULT.get(state, ""))


PATHS: dict[State | None, tuple[State, ...]] = {
    None: (),
    State.RECEIVED: (State.RECEIVED,),
    State.INVALID: (State.RECEIVED, State.INVALID),
    State.SCORING: (State.RECEIVED, State.SCORING),
    State.SCORED: (State.RECEIVED, State.SCORING, State.SCORED),
    State.FAILED: (State.RECEIVED, State.FAILED),
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(PATHS, State)))
def test_only_allowed_transitions(ledger: Ledger, before: State | None, after: State) -> None:
    walk(ledger, *PATHS[before])
    if after in TRANSITIONS[before]:
        walk(ledger, after)
        assert ledger.history.steps(CASE)[-1].state is after
        return
    with pytest.raises(InternalError, match=f"can't go from {before or 'nothing'} to {after}"):
        walk(ledger, after)
    assert [step.state for step in ledger.history.steps(CASE)] == list(PATHS[before])


def test_every_state_can_be_reached_and_left() -> None:
    assert set(TRANSITIONS) == {None, *State}
    assert set().union(*TRANSITIONS.values()) == set(State)
    assert all(TRANSITIONS.values())


@pytest.mark.parametrize(
    ("state", "fault"),
    [(State.FAILED, ""), (State.FAILED, "somebody"), (State.RECEIVED, "setup"), (State.RECEIVED, "bug")],
)
def test_a_fault_goes_with_failed_and_invalid_only(ledger: Ledger, state: State, fault: str) -> None:
    walk(ledger, State.RECEIVED)
    with pytest.raises(InternalError, match="can't have the fault"):
        ledger.history.move(CASE, state, fault=fault)
    assert len(ledger.history.steps(CASE)) == 1


def test_the_cause_of_an_invalid_submission_is_the_submission(ledger: Ledger) -> None:
    walk(ledger, State.RECEIVED, State.INVALID)
    assert ledger.history.steps(CASE)[-1].fault == Fault.SUBMISSION


def test_a_step_has_time_author_cause_and_scorer(ledger: Ledger) -> None:
    walk(ledger, State.RECEIVED)
    step = ledger.history.move(CASE, State.SCORING, cause="on\x1b[31m\n its way ", scorer=SCORER)
    assert step.cause == "on\\x1b[31m its way"
    assert ledger.history.steps(CASE) == [ledger.history.steps(CASE)[0], step]
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
    assert [(step.case.team, step.state) for step in ledger.history.latest()] == [
        ("E002", State.INVALID),
        ("E001", State.SCORING),
    ]
    assert [step.case.team for step in ledger.history.latest(team="E001")] == ["E001"]
    assert [step.case.team for step in ledger.history.latest(split="valid")] == ["E002"]
    assert ledger.history.latest(team="E001", split="valid") == []


def test_a_step_needs_its_challenge(ledger: Ledger) -> None:
    with pytest.raises(SetupError, match="FOREIGN KEY"):
        ledger.history.move(Case("E001", "5" * 64, "unknown"), State.RECEIVED)


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
def test_steps_and_log_are_append_only(ledger: Ledger, tmp_path: Path, table: str, change: str) -> None:
    walk(ledger, State.RECEIVED, State.SCORING)
    database = sqlite3.connect(tmp_path / "ledger.sqlite")
    columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")][1:]
    before = database.execute(f"SELECT * FROM {table}").fetchall()
    assert before
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        database.execute(change.replace("{1}", ", ".join(columns)).replace("{0}", "{}").replace("{}", table))
    assert database.execute(f"SELECT * FROM {table}").fetchall() == before
    database.close()


def test_a_disqualified_team_is_not_ranked_and_the_reason_is_shown(
    filled: Path, make_key: Callable[[str], Key]
) -> None:
    with Ledger(filled) as ledger:
        table = make_tables(ledger)[0]
        assert "E004" not in [row.team for row in table.rows]
        assert "E004: disqualified: scored with the test songs." in notes(table)
        ledger.history.reinstate("E004", reason="it was another team's")
        assert ledger.history.disqualified() == {}
        assert "E004" in [row.team for row in make_tables(ledger)[0].rows]
        ledger.history.disqualify("E001", reason="first\nreason")
        ledger.history.disqualify("E001", reason="second reason")
        (decision,) = ledger.history.disqualified().items()
        assert (decision[0], decision[1].reason) == ("E001", "second reason")
        kinds = [entry.kind for entry in ledger.log()]
    assert kinds[-3:] == ["reinstated", "disqualified", "disqualified"]


@pytest.mark.parametrize(
    ("decide", "team", "reason"),
    [
        (History.disqualify, "E777", "reason"),
        (History.disqualify, "E001", " "),
        (History.reinstate, "E777", "reason"),
        (History.reinstate, "E001", "reason"),
        (History.reinstate, "E004", " "),
    ],
)
def test_a_decision_that_makes_no_sense(
    filled: Path, decide: Callable[..., None], team: str, reason: str
) -> None:
    with Ledger(filled) as ledger:
        before = ledger.head()
        with pytest.raises(UsageError):
            decide(ledger.history, team, reason=reason)
        assert ledger.head() == before
        assert set(ledger.history.disqualified()) == {"E004"}


def test_the_ranking_shows_the_causes_of_failed_examples(filled: Path) -> None:
    with Ledger(filled) as ledger:
        found = notes(make_tables(ledger)[0])
    assert "E003: not ranked, 3 of 4 examples scored; 1 failed (cause: memory limit)." in found


def test_a_key_names_its_columns() -> None:
    assert Key("s", "c", SCORER).values == ("s", "c", "d" * 64, "fast", 1)
