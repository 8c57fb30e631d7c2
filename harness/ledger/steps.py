"""The table of steps: one row for each change of a case's state, never changed and never removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.ledger.entities import Scorer
from harness.ledger.states import Case, State, Step, blamed, check_move
from harness.ledger.transaction import Transaction

COLUMNS = "team, submission, challenge, state, fault, cause, scorer, engine, locked, at, who"

LATEST = "number IN (SELECT max(number) FROM steps GROUP BY team, submission, challenge)"
"""The condition for the latest step of each case."""

MAX_CAUSE = 2000
"""A sentence or two; the organiser's log has the rest."""


def step_of(row: Sequence[Any]) -> Step:
    """A step from its row, in the order of `COLUMNS`."""
    team, submission, challenge, state, fault, cause, scorer, engine, locked, at, who = row
    made = None if scorer is None else Scorer(scorer, engine, bool(locked))
    return Step(Case(team, submission, challenge), State(state), fault, cause, made, at, who)


def append_step(
    transaction: Transaction,
    case: Case,
    state: State,
    *,
    fault: str = "",
    cause: str = "",
    scorer: Scorer | None = None,
) -> Step:
    """Moves a case to a state, and logs it.

    Raises:
        InternalError: If that may not follow the state that the case is in.
    """
    before = transaction.execute(
        "SELECT state FROM steps WHERE (team, submission, challenge) = (?, ?, ?) ORDER BY number DESC LIMIT 1",
        (case.team, case.submission, case.challenge),
    ).fetchone()
    check_move(case, State(before[0]) if before else None, state)
    fault = blamed(state, fault)
    cause = one_line(cause)[:MAX_CAUSE]
    made = (None, None, None) if scorer is None else (scorer.digest, scorer.engine, int(scorer.locked))
    (number,) = transaction.execute("SELECT coalesce(max(number), 0) + 1 FROM steps").fetchone()
    transaction.execute(
        f"INSERT INTO steps (number, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (number, case.team, case.submission, case.challenge, state, fault, cause, *made)
        + (transaction.at, transaction.who),
    )
    facts = {"team": case.team, "submission": case.submission, "state": state, "fault": fault, "cause": cause}
    transaction.log("moved", facts, ("steps", (number,)))
    return Step(case, state, fault, cause, scorer, transaction.at, transaction.who)


def one_line(text: str) -> str:
    """Text on one line, without control characters."""
    return "".join(one if one.isprintable() else "?" for one in " ".join(text.split()))
