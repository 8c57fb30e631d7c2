"""A submission's way: the states it may be in, and which may follow which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from harness.ledger.entities import Scorer
from harness.protocol.errors import Fault, InternalError


class State(StrEnum):
    """Where a submission stands."""

    RECEIVED = "received"
    INVALID = "invalid"
    SCORING = "scoring"
    SCORED = "scored"
    FAILED = "failed"


FOLLOWS: Mapping[State | None, frozenset[State]] = MappingProxyType(
    {
        None: frozenset({State.RECEIVED}),
        State.RECEIVED: frozenset({State.RECEIVED, State.INVALID, State.SCORING, State.FAILED}),
        State.INVALID: frozenset({State.RECEIVED}),
        State.SCORING: frozenset({State.SCORED, State.FAILED, State.INVALID, State.RECEIVED}),
        State.SCORED: frozenset({State.RECEIVED, State.SCORING}),
        State.FAILED: frozenset({State.RECEIVED, State.SCORING}),
    }
)
"""The one table of what may follow what; None stands for a submission that nobody has seen yet.

From `scoring` back to `received` goes what was scored in part, as asked, or interrupted: the rest still waits.
"""


@dataclass(frozen=True)
class Case:
    """One submission of one team to one challenge, by its roster's digest."""

    team: str
    submission: str
    challenge: str


@dataclass(frozen=True)
class Step:
    """One change of a case's state.

    Attributes:
        fault: Whose fault it is that it is `invalid` or `failed`, a value of `Fault`; else empty.
        cause: One sentence, or empty.
        scorer: What scores or has scored, where that is known.
        at: When, in UTC.
        who: `user@host`.
    """

    case: Case
    state: State
    fault: str
    cause: str
    scorer: Scorer | None
    at: str
    who: str


def blamed(state: State, fault: str) -> str:
    """The fault as the ledger keeps it: `submission` goes without saying where a submission is invalid.

    Raises:
        InternalError: If the state needs a fault and there is none, or the other way round.
    """
    if state is State.INVALID:
        fault = fault or Fault.SUBMISSION
    if fault not in {"", *Fault} or (fault == "") == (state in {State.INVALID, State.FAILED}):
        raise InternalError(f"The state {state} can't have the fault {fault!r}.", hint="Please report it.")
    return str(fault)


def check_move(case: Case, before: State | None, after: State) -> None:
    """Holds a move to the table.

    Raises:
        InternalError: If the table forbids it.
    """
    if after not in FOLLOWS[before]:
        raise InternalError(
            f"The submission {case.submission[:12]} of {case.team} can't go from {before or 'nothing'} to {after}.",
            hint="Please report it; the ledger is as before.",
        )
