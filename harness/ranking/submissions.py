"""The submissions of a store, each with its state, its average, and whether it counts and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from harness.ledger.entities import Entry
from harness.ledger.ledger import Ledger
from harness.ledger.states import Case, State
from harness.protocol.aggregation import mean
from harness.ranking.counting import SELF_REPORTED, Candidate, Choice, Counting
from harness.ranking.duplicates import Duplicates
from harness.ranking.rows import Row


@dataclass(frozen=True)
class SubmissionLine:
    """One submission of a team.

    Attributes:
        team: The team's name now.
        split: The challenge's split.
        challenge: Digest of the challenge.
        submission: SHA-256 of the submission.
        name: File name; empty if it is not known.
        received: When it was received first, in UTC.
        state: Its state, or `self-reported`.
        average: Its average if every example is scored, else None.
        counts: Whether it is the one that counts for its team.
        reason: Why it counts, or why it does not.
        late: Whether it came after the deadline.
        decision: `selected`, `withdrawn` or empty.
        disqualified: The reason for its team's disqualification; empty if it is not disqualified.
        notes: What it has in common with submissions of other teams, one sentence each.
    """

    team: str
    split: str
    challenge: str
    submission: str
    name: str
    received: str
    state: str
    average: float | None
    counts: bool
    reason: str
    late: bool
    decision: str
    disqualified: str
    notes: tuple[str, ...]


def read_submissions(
    store: Path, *, team: str | None = None, split: str | None = None
) -> list[SubmissionLine]:
    """The submissions of a store, by team, those of a team in the order of their first receipt.

    Args:
        store: Folder of the store; it is only read.
        team: Only this team's; every team's with None.
        split: Only of this split; of all with None.

    Raises:
        SetupError: There is no ledger, or it can't be read.
    """
    with Ledger(store, read_only=True) as ledger, ledger.snapshot():
        counting, duplicates = Counting(ledger), Duplicates(ledger)
        disqualified = ledger.history.disqualified()
        choices: dict[tuple[str, str], Choice | None] = {}
        found = []
        for one in counting.candidates(team=team, split=split):
            name = (one.case.team, one.case.challenge)
            if name not in choices:
                choices[name] = counting.counted(name[0], challenge=name[1])
            line = _line(ledger, counting, duplicates, one, choices[name])
            out = disqualified.get(name[0])
            found.append(line if out is None else replace(line, disqualified=out.reason))
        return found


def _line(
    ledger: Ledger, counting: Counting, duplicates: Duplicates, one: Candidate, choice: Choice | None
) -> SubmissionLine:
    case, roster = one.case, counting.rosters[one.case.challenge]
    entries = [
        entry
        for entry in counting.entries
        if Case(entry.team, entry.key.submission, entry.key.challenge) == case
    ]
    chosen = choice.entry if choice is not None else None
    counts = chosen is not None and chosen in entries
    # the scorer of what counts, else the latest
    entries.sort(key=lambda entry: chosen is not None and entry.key.scorer == chosen.key.scorer)
    state = one.kind if one.kind == SELF_REPORTED else str(one.step.state if one.step else State.RECEIVED)
    stored, average = 0, None
    if entries:
        stored, average = _average(ledger, counting, entries[-1])
    if counts and choice is not None:
        reason = choice.reason
    elif one.barred:
        reason = one.barred
    elif one.step is not None and one.step.state is State.INVALID:
        reason = f"invalid: {one.step.cause}" if one.step.cause else "invalid"
    elif average is None:
        reason = f"{stored} of {len(roster.examples)} examples scored"
    elif chosen is None or choice is None:
        reason = choice.reason if choice is not None else "nothing is scored"
    else:
        reason = f"{chosen.key.submission[:8]} counts"
    return SubmissionLine(
        team=case.team,
        split=roster.split,
        challenge=roster.digest,
        submission=case.submission,
        name=one.receipt.name,
        received=one.receipt.at,
        state=state,
        average=average,
        counts=counts,
        reason=reason,
        late=one.late,
        decision=one.decision.kind if one.decision else "",
        disqualified="",
        notes=tuple(duplicates.notes(case)),
    )


def _average(ledger: Ledger, counting: Counting, entry: Entry) -> tuple[int, float | None]:
    """How many examples are scored, and the average if all are."""
    line, total = counting.line(entry), len(counting.rosters[entry.key.challenge].examples)
    if isinstance(line, Row):
        return total, line.average
    if line.examples < total:
        return line.examples, None
    return total, mean(example.score for example in ledger.examples(entry.key).values())
