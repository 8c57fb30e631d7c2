"""One line of a ranking: a submission with its average, or the reason why it is not ranked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from harness.ledger.audits import audit_progress
from harness.ledger.entities import Entry, Key, Roster
from harness.ledger.ledger import Ledger
from harness.protocol.aggregation import mean


@dataclass(frozen=True)
class Row:
    """One line of a ranking.

    Attributes:
        rank: From 1; None for a published baseline, which is shown and not ranked.
        team: The team's name.
        average: The average over all examples.
        kind: `scored`, `self-reported` or `published`.
        undefined: How many HAAQI values are undefined, because their reference is silent.
        audited: How many stems were spot-checked with pyclarity.
        greatest_difference: Largest difference between the engines in these stems; None without audits.
        submission: SHA-256 of the submission.
    """

    rank: int | None
    team: str
    average: float
    kind: str
    undefined: int = 0
    audited: int = 0
    greatest_difference: float | None = None
    submission: str = ""


@dataclass(frozen=True)
class Unranked:
    """A submission that is not ranked: incomplete, being audited, audited with a difference, not counting, or out.

    Attributes:
        team: The team's name.
        examples: How many of its examples are stored.
        submission: SHA-256 of the submission.
        failed_audits: For how many audited stems pyclarity gives another score.
        audits_done: How many of the drawn stems have an audit.
        audits_planned: How many stems the audit has drawn; 0 if it is not audited, or not complete.
        faults: The causes of its failed examples and how many failed of each.
        disqualified: The reason for its team's disqualification; empty if it is not disqualified.
        uncounted: Why none of its team's submissions counts, if so; then `submission` is the last one.
    """

    team: str
    examples: int
    submission: str
    failed_audits: int = 0
    audits_done: int = 0
    audits_planned: int = 0
    faults: tuple[tuple[str, int], ...] = ()
    disqualified: str = ""
    uncounted: str = ""


def make_row(ledger: Ledger, roster: Roster, entry: Entry) -> Row | Unranked:
    """The line of one entry, without a rank."""
    key: Key = entry.key
    examples = ledger.examples(key)
    if any(example not in examples for example in roster.examples):
        faults = Counter(failure.fault for failure in ledger.failures(key))
        return Unranked(entry.team, len(examples), key.submission, faults=tuple(sorted(faults.items())))
    average = mean(examples[example].score for example in roster.examples)
    if average is None:
        return Unranked(entry.team, 0, key.submission)
    audits = ledger.audits(key)
    progress = audit_progress(ledger.audit_plan(key), audits, examples, submission=key.submission)
    if progress.failed or progress.missing:
        return Unranked(
            entry.team,
            len(examples),
            key.submission,
            failed_audits=len(progress.failed),
            audits_done=progress.done,
            audits_planned=progress.planned,
        )
    return Row(
        rank=None,
        team=entry.team,
        average=average,
        kind=entry.kind,
        undefined=sum(example.undefined for example in examples.values()),
        audited=len(audits),
        greatest_difference=max((audit.difference for audit in audits), default=None),
        submission=key.submission,
    )
