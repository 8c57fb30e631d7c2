"""Scores that a team computed itself: entered, marked as self-reported, and never in one table with ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.ledger.entities import Entry, Key, Scorer
from harness.ledger.ledger import Ledger
from harness.ledger.rosters import roster_of
from harness.protocol.aggregation import mean
from harness.protocol.lock import sha256
from harness.ranking.scores import read_scores
from harness.ranking.store import write_ranking

if TYPE_CHECKING:
    from validator import Challenge

SELF_REPORTED = Scorer(digest="", engine="unknown", locked=False)
"""What made such scores is not known."""


def add_self_reported(team: str, path: Path, *, challenge: Challenge, store: Path) -> float:
    """Enters a team's own scores.csv and updates `ranking.md`; returns its average score.

    Raises:
        SubmissionError: It is not a complete, valid scores.csv of this challenge.
        UsageError: There is no such file.
        SetupError: The store can't be written.
    """
    roster = roster_of(challenge)
    examples = read_scores(path, roster)
    key = Key(sha256(path.read_bytes()), roster.digest, SELF_REPORTED)
    with Ledger(store) as ledger:
        ledger.report(Entry(team, key, path.name, path.stat().st_size, "self-reported"), roster, examples)
        write_ranking(ledger, store)
    return mean(example.score for example in examples) or 0.0
