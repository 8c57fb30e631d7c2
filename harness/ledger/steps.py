"""The table of steps: one row for each change of a case's state, never changed and never removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.ledger.entities import Scorer
from harness.ledger.states import Case, State, Step, check_transition, checked_fault
from harness.ledger.transaction import Transaction
from validator.findings.text import for_terminal

COLUMNS = "team, submission, challenge, state, fault, cause, scorer, engine, locked, at, who"

LATEST = "number IN (SELECT max(number) FROM steps GROUP BY team, submission, challenge)"
"""The condition for the latest step of each case."""

MAX_TEXT = 2000
"""Characters stored of a sentence; the organiser's log has the rest."""


def step_from_row(row: Sequence[Any]) -> Step:
    """A step from its row, in the order of `COLUMNS`."""
    team, submission, challenge, state, fault, cause, scorer_digest, engine, locked, at, who = row
    scorer = None if scorer_digest is None else Scorer(scorer_digest, engine, bool(locked))
    return Step(Case(team, submission, challenge), State(state), fault, cause, scorer, at, who)


def append_step(
    transaction: Transaction,
    case: Case,
    state: State,
    *,
    fault: str = "",
    cause: str = "",
    scorer: Scorer | None = None,
) -> Step:
    """Changes the state of a case, and logs it.

    Raises:
        InternalError: The state may not follow the current one, or does not go with the fault.
    """
    before = transaction.execute(
        "SELECT state FROM steps WHERE (team, submission, challenge) = (?, ?, ?) ORDER BY number DESC LIMIT 1",
        (case.team, case.submission, case.challenge),
    ).fetchone()
    check_transition(case, State(before[0]) if before else None, state)
    fault = checked_fault(state, fault)
    cause = single_line(cause)
    columns = (None, None, None) if scorer is None else (scorer.digest, scorer.engine, int(scorer.locked))
    (number,) = transaction.execute("SELECT coalesce(max(number), 0) + 1 FROM steps").fetchone()
    transaction.execute(
        f"INSERT INTO steps (number, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (number, case.team, case.submission, case.challenge, state, fault, cause, *columns)
        + (transaction.at, transaction.who),
    )
    facts = {"team": case.team, "submission": case.submission, "state": state, "fault": fault, "cause": cause}
    transaction.log("moved", facts, ("steps", (number,)))
    return Step(case, state, fault, cause, scorer, transaction.at, transaction.who)


def single_line(text: str) -> str:
    """Text for a table and a terminal: one line, control characters escaped, at most `MAX_TEXT` characters."""
    return for_terminal(" ".join(text.split()))[:MAX_TEXT]
