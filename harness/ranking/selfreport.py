"""Scores that a team computed itself: entered, marked as self-reported, and never in one table with ours."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from harness.ledger.entities import Entry, Key, Scorer
from harness.ledger.ledger import Ledger
from harness.ledger.rosters import roster_of
from harness.protocol.aggregation import mean
from harness.protocol.errors import UsageError
from harness.protocol.lock import sha256
from harness.ranking.scores import parse_scores, read_text
from harness.ranking.store import write_ranking
from validator.challenge.metadata import ChallengeError
from validator.challenge.rules import CAD1

if TYPE_CHECKING:
    from validator import Challenge

SELF_REPORTED = Scorer(digest="", engine="unknown", locked=False)
"""What made such scores is not known."""


def add_self_reported(team: str, *paths: Path, challenge: Challenge, store: Path) -> float:
    """Enters a team's own scores.csv and updates `ranking.md`; returns its average score.

    Args:
        team: The team's name.
        paths: The file, or the files that the challenge's recipe writes in batches (`scores_1-8.csv`, …).
        challenge: What they are scores of.
        store: Folder of the store.

    Raises:
        SubmissionError: It is not a complete, valid scores.csv of this challenge.
        UsageError: There is no such file, or it is of another split.
        SetupError: The store can't be written.
    """
    roster = roster_of(challenge)
    texts = {path: read_text(path) for path in sorted(paths)}
    for path, text in texts.items():
        _check_split(text, challenge, name=path.name)
    first, *others = texts
    if others:
        for path, text in texts.items():
            parse_scores(text, roster, name=path.name, complete=False)  # problems by the file's own line
        content, name = _joined(list(texts.values())), f"{first.name} and {len(others)} more"
        submission, size = sha256(content.encode()), sum(path.stat().st_size for path in texts)
    else:
        content, name = texts[first], first.name
        submission, size = sha256(first.read_bytes()), first.stat().st_size
    examples = parse_scores(content, roster, name=name)
    key = Key(submission, roster.digest, SELF_REPORTED)
    with Ledger(store) as ledger:
        ledger.report(Entry(team, key, name, size, "self-reported"), roster, examples)
        write_ranking(ledger, store)
    return mean(example.score for example in examples) or 0.0


def _joined(texts: list[str]) -> str:
    """Files with one header as one file."""
    header = texts[0].splitlines()[0]
    lines = [line for text in texts for line in text.splitlines()[1:]]
    return "\n".join([header, *lines]) + "\n"


def _check_split(text: str, challenge: Challenge, *, name: str) -> None:
    """Refuses a file of which every example belongs to another split, instead of listing each of its rows.

    Raises:
        UsageError: It does.
    """
    examples = {(cells[0], cells[1]) for line in text.splitlines()[1:] if len(cells := _cells(line)) > 1}
    if not examples.isdisjoint(challenge.examples):
        return
    for split in CAD1.splits:
        for root in (challenge.root, None):
            try:
                other = type(challenge).load(root, split=split)
            except ChallengeError:
                continue  # the data root does not have that split
            if not examples.isdisjoint(other.examples):
                raise UsageError(
                    f"{name} holds scores of split {split}, not of split {challenge.split}.",
                    hint=f"Add `--split {split}`.",
                )


def _cells(line: str) -> list[str]:
    """The cells of a line; none if it is not CSV, which parsing the file reports."""
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []
