"""Changes of a submission's state: stored in the ledger, and reported to whoever wants to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.ledger.entities import Scorer
from harness.ledger.ledger import Ledger
from harness.ledger.states import Case, State


@dataclass(frozen=True)
class Change:
    """One change of a submission's state.

    Attributes:
        team: The team that sent it.
        submission: Its SHA-256; empty for one that can't be read to its end, which the ledger does not hold.
        file: Its name.
        split: The challenge's split.
        before: The state before; None for one that has just arrived.
        after: The state now.
        fault: The category of the cause if it is invalid or failed; otherwise empty.
        cause: One sentence, or empty.
        average: The ranking score if it is scored.
        at: When, in UTC.
    """

    team: str
    submission: str
    file: str
    split: str
    before: str | None
    after: str
    fault: str
    cause: str
    average: float | None
    at: str


ChangeCallback = Callable[[Change], None]
"""Called after each change of a state is stored."""


class CaseHistory:
    """Moves a submission from state to state, and reports every step of it that is new.

    Args:
        ledger: Where the steps are stored.
        case: The submission.
        file: Its name.
        split: The challenge's split.
        on_change: Called for each step, also for those that the ledger itself adds for a run that has died.
    """

    def __init__(
        self, ledger: Ledger, case: Case, *, file: str, split: str, on_change: ChangeCallback | None
    ) -> None:
        self._ledger = ledger
        self._case = case
        self._file = file
        self._split = split
        self._on_change = on_change
        self._reported = len(ledger.history.steps(case)) if on_change is not None else 0

    def move(
        self,
        state: State,
        *,
        fault: str = "",
        cause: str = "",
        scorer: Scorer | None = None,
        average: float | None = None,
    ) -> None:
        """Stores a change of state, see `harness.ledger.history.History.move`, and reports it."""
        self._ledger.history.move(self._case, state, fault=fault, cause=cause, scorer=scorer)
        if self._on_change is None:
            return
        steps = self._ledger.history.steps(self._case)
        for number in range(self._reported, len(steps)):
            step = steps[number]
            self._on_change(
                Change(
                    team=self._case.team,
                    submission=self._case.submission,
                    file=self._file,
                    split=self._split,
                    before=str(steps[number - 1].state) if number else None,
                    after=str(step.state),
                    fault=step.fault,
                    cause=step.cause,
                    average=average if step.state is State.SCORED else None,
                    at=step.at,
                )
            )
        self._reported = len(steps)
