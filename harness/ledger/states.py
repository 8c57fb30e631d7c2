"""The states that a submission may be in, and which may follow which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from harness.ledger.entities import Scorer
from harness.protocol.errors import Fault, InternalError


class State(StrEnum):
    """State of a submission."""

    RECEIVED = "received"
    INVALID = "invalid"
    SCORING = "scoring"
    SCORED = "scored"
    FAILED = "failed"


TRANSITIONS: Mapping[State | None, frozenset[State]] = MappingProxyType(
    {
        None: frozenset({State.RECEIVED}),
        State.RECEIVED: frozenset({State.RECEIVED, State.INVALID, State.SCORING, State.FAILED}),
        State.INVALID: frozenset({State.RECEIVED}),
        State.SCORING: frozenset({State.SCORED, State.FAILED, State.INVALID, State.RECEIVED}),
        State.SCORED: frozenset({State.RECEIVED, State.SCORING}),
        State.FAILED: frozenset({State.RECEIVED, State.SCORING}),
    }
)
"""The states that may follow each state; None is a submission that has never been seen.

A run that was interrupted, or that scored only some examples as requested, goes from `scoring` back to `received`.
"""


@dataclass(frozen=True)
class Case:
    """Identifies what has a state: one team's submission to one challenge, whatever scores it.

    Attributes:
        team: The team's name.
        submission: SHA-256 of the submission.
        challenge: Digest of the challenge, see `Roster.digest`.
    """

    team: str
    submission: str
    challenge: str


@dataclass(frozen=True)
class Step:
    """One change of a case's state.

    Attributes:
        case: The submission.
        state: The new state.
        fault: The cause category if it is `invalid` or `failed`, a value of `Fault`; otherwise empty.
        cause: One sentence, or empty.
        scorer: What scores or has scored it, if known.
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


def checked_fault(state: State, fault: str) -> str:
    """The fault to store with a state; `submission` is the default of an invalid submission.

    Raises:
        InternalError: A failed or invalid state has no fault, or another state has one.
    """
    if state is State.INVALID:
        fault = fault or Fault.SUBMISSION
    if fault not in {"", *Fault} or (fault == "") == (state in {State.INVALID, State.FAILED}):
        raise InternalError(f"The state {state} can't have the fault {fault!r}.", hint="Please report it.")
    return str(fault)


def check_transition(case: Case, before: State | None, after: State) -> None:
    """Checks a change of state against `TRANSITIONS`.

    Raises:
        InternalError: The change is not allowed.
    """
    if after not in TRANSITIONS[before]:
        raise InternalError(
            f"The submission {case.submission[:12]} of {case.team} can't go from {before or 'nothing'} to {after}.",
            hint="Please report it; the ledger was not changed.",
        )
