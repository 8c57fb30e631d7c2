"""Scores that a team computed itself: entered, marked, and never in a table with ours."""

from __future__ import annotations

from pathlib import Path

from harness.ledger.ledger import Entry, Key, Ledger, Roster, Scorer, mean
from harness.protocol.lock import sha256
from harness.ranking.render import write_ranking
from harness.ranking.scores import read_scores

SELF_REPORTED = Scorer(digest="", engine="unknown", locked=False)
"""What made them is the team's own word."""


def add_self_reported(team: str, path: Path, *, roster: Roster, store: Path) -> float:
    """Enters a team's own scores.csv and writes the ranking anew; returns its average score.

    Raises:
        SubmissionError: If it is not a complete, sane scores.csv of this challenge.
        UsageError: If there is no such file.
        SetupError: If the store can't be written.
    """
    examples = read_scores(path, roster)
    key = Key(sha256(path.read_bytes()), roster.digest, SELF_REPORTED)
    with Ledger(store) as ledger:
        ledger.report(Entry(team, key, path.name, path.stat().st_size, "self-reported"), roster, examples)
        write_ranking(ledger, store)
    return mean(example.score for example in examples) or 0.0
