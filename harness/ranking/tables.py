"""The ranking: from stored examples to rows with ranks.

The ranking score is the average over all examples of an example's mean HAAQI, in full precision. Teams with equal
averages share a rank (1, 2, 2, 4). Only complete submissions are ranked, and only once every stem that the audit
has drawn was audited and agrees; of each team its latest one. Scores of different scorers, challenges or kinds
never share a table.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from harness.ledger.audits import audit_progress
from harness.ledger.entities import Entry, Key, Roster, Scorer
from harness.ledger.ledger import Ledger
from harness.protocol.aggregation import mean

PUBLISHED: dict[str, tuple[tuple[str, float], ...]] = {
    "valid": (("Baseline Demucs (published)", 0.2592), ("Baseline Open-Unmix (published)", 0.2273)),
    "test": (),
}
"""Averages that the challenge published, to four decimals; shown, not ranked."""


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
    """A submission that is not ranked: it is incomplete or being audited, its audit failed, or its team is out.

    Attributes:
        team: The team's name.
        examples: How many of its examples are stored.
        submission: SHA-256 of the submission.
        failed_audits: For how many audited stems pyclarity gives another score.
        audits_done: How many of the drawn stems have an audit.
        audits_planned: How many stems the audit has drawn; 0 if it is not audited, or not complete.
        faults: The causes of its failed examples and how many failed of each.
        disqualified: The reason for its team's disqualification; empty if it is not disqualified.
    """

    team: str
    examples: int
    submission: str
    failed_audits: int = 0
    audits_done: int = 0
    audits_planned: int = 0
    faults: tuple[tuple[str, int], ...] = ()
    disqualified: str = ""


@dataclass(frozen=True)
class Table:
    """The ranking of one challenge by one scorer.

    Attributes:
        roster: The challenge.
        scorer: What made the scores.
        kind: `scored` or `self-reported`.
        rows: Best first.
        unranked: Submissions that are not ranked, one per team.
    """

    roster: Roster
    scorer: Scorer
    kind: str
    rows: tuple[Row, ...]
    unranked: tuple[Unranked, ...]

    @property
    def scored_by(self) -> str:
        """What made the scores, for a heading."""
        if self.kind == "self-reported":
            return "self-reported by the teams"
        state = "" if self.scorer.locked else ", UNLOCKED environment"
        return f"scorer {self.scorer.digest[:12]}, engine {self.scorer.engine}{state}"

    @property
    def title(self) -> str:
        """The split, its size and the scorer, for a heading."""
        size = f"{len(self.roster.songs)} songs × {len(self.roster.listeners)} listeners"
        return f"Split {self.roster.split}: {size}, {self.scored_by}"


def make_tables(ledger: Ledger, *, split: str | None = None) -> list[Table]:
    """All rankings of the ledger, in the order in which their first submission was entered.

    Args:
        ledger: The scores.
        split: Only rankings of this split; of all splits with None.
    """
    with ledger.snapshot():
        return _make_tables(ledger, split)


def _make_tables(ledger: Ledger, split: str | None) -> list[Table]:
    rosters = ledger.rosters()
    disqualified = ledger.history.disqualified()
    groups: dict[tuple[str, Scorer, str], dict[str, list[Entry]]] = {}
    for entry in ledger.entries():
        roster = rosters[entry.key.challenge]
        if split is None or roster.split == split:
            group = groups.setdefault((roster.digest, entry.key.scorer, entry.kind), {})
            group.setdefault(entry.team, []).append(entry)
    found = []
    for (digest, scorer, kind), teams in groups.items():
        rows, unranked = [], []
        for team, entries in teams.items():
            row, incomplete = _latest(ledger, rosters[digest], entries)
            if team in disqualified:
                last = entries[-1].key
                stored = len(ledger.examples(last))
                reason = disqualified[team].reason
                unranked.append(Unranked(team, stored, last.submission, disqualified=reason))
            elif row is not None:
                rows.append(row)
            elif incomplete is not None:
                unranked.append(incomplete)
        rows += [
            Row(None, name, value, "published") for name, value in PUBLISHED.get(rosters[digest].split, ())
        ]
        found.append(Table(rosters[digest], scorer, kind, ranked(rows), tuple(unranked)))
    return found


def _latest(ledger: Ledger, roster: Roster, entries: list[Entry]) -> tuple[Row | None, Unranked | None]:
    """A team's latest complete submission; otherwise why its latest one is not ranked."""
    unranked = None
    for entry in reversed(entries):
        row = _row(ledger, roster, entry)
        if isinstance(row, Row):
            return row, None
        unranked = unranked or row
    return None, unranked


def _row(ledger: Ledger, roster: Roster, entry: Entry) -> Row | Unranked:
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


def ranked(rows: list[Row]) -> tuple[Row, ...]:
    """The rows, best first, with competition ranks; published rows are listed without a rank."""
    ordered = sorted(rows, key=lambda row: (-row.average, row.kind == "published", row.team))
    averages = [row.average for row in ordered if row.kind != "published"]
    return tuple(
        row if row.kind == "published" else replace(row, rank=averages.index(row.average) + 1)
        for row in ordered
    )
