"""The ranking: from stored examples to rows with ranks.

The ranking score is the average over all examples of an example's mean HAAQI, in full precision. Teams with equal
averages share a rank (1, 2, 2, 4). Only complete submissions are ranked, and only once every stem that the audit
has drawn was audited and agrees; of each team the one that counts, see `harness.ranking.counting`. Scores of
different scorers, challenges or kinds never share a table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.ledger.entities import Entry, Roster, Scorer
from harness.ledger.ledger import Ledger
from harness.ranking.counting import Counting
from harness.ranking.rows import Row, Unranked

PUBLISHED: dict[str, tuple[tuple[str, float], ...]] = {
    "valid": (("Baseline Demucs (published)", 0.2592), ("Baseline Open-Unmix (published)", 0.2273)),
    "test": (),
}
"""Averages that the challenge published, to four decimals; shown, not ranked."""


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
    counting = Counting(ledger)
    disqualified = ledger.history.disqualified()
    groups: dict[tuple[str, str, Scorer], list[Entry]] = {}
    for entry in counting.entries:
        if split in (None, counting.rosters[entry.key.challenge].split):
            groups.setdefault((entry.key.challenge, entry.kind, entry.key.scorer), []).append(entry)
    found = []
    for (digest, kind, scorer), entries in groups.items():
        roster = counting.rosters[digest]
        rows, unranked = [], []
        for team in dict.fromkeys(entry.team for entry in entries):
            line = counting.choose(team, digest, kind, scorer).line
            if team in disqualified:
                stored = len(roster.examples) if isinstance(line, Row) else line.examples
                unranked.append(
                    Unranked(team, stored, line.submission, disqualified=disqualified[team].reason)
                )
            elif isinstance(line, Row):
                rows.append(line)
            else:
                unranked.append(line)
        rows += [Row(None, name, value, "published") for name, value in PUBLISHED.get(roster.split, ())]
        found.append(Table(roster, scorer, kind, ranked(rows), tuple(unranked)))
    return found


def ranked(rows: list[Row]) -> tuple[Row, ...]:
    """The rows, best first, with competition ranks; published rows are listed without a rank."""
    ordered = sorted(rows, key=lambda row: (-row.average, row.kind == "published", row.team))
    averages = [row.average for row in ordered if row.kind != "published"]
    return tuple(
        row if row.kind == "published" else replace(row, rank=averages.index(row.average) + 1)
        for row in ordered
    )
