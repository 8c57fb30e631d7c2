"""A store's ranking, by the path of the store: what commands read from it and decide in it, in one call each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.ledger.ledger import Key, Ledger, StoredExample
from harness.ranking.render import write_ranking
from harness.ranking.scores import entries_of, write_scores
from harness.ranking.tables import Table, tables


@dataclass(frozen=True)
class TeamScores:
    """A team's scores.csv.

    Attributes:
        text: The file's contents, of those examples that are scored.
        stored: How many examples that is.
        total: How many examples the challenge has.
    """

    text: str
    stored: int
    total: int


def read_tables(store: Path, *, split: str | None = None) -> list[Table]:
    """Every ranking of a store; of one split, or of all with None.

    Raises:
        SetupError: There is no ledger, or it can't be read.
    """
    with Ledger(store, read_only=True) as ledger:
        return tables(ledger, split=split)


def read_team_scores(store: Path, team: str, *, split: str | None = None) -> TeamScores:
    """The scores of a team's latest submission.

    Raises:
        UsageError: The team has none.
        SetupError: There is no ledger, or it can't be read.
    """
    with Ledger(store, read_only=True) as ledger:
        entry = entries_of(ledger, team, split=split)[-1]
        roster = ledger.rosters()[entry.key.challenge]
        examples = ledger.examples(entry.key)
    return TeamScores(write_scores(roster, examples), stored=len(examples), total=len(roster.examples))


def read_examples(store: Path, key: Key) -> dict[tuple[str, str], StoredExample]:
    """The stored examples of one submission by one scorer, by (song, listener).

    Raises:
        SetupError: There is no ledger, or it can't be read.
    """
    with Ledger(store, read_only=True) as ledger:
        return ledger.examples(key)


def disqualify(store: Path, team: str, *, reason: str) -> None:
    """Takes a team out of every ranking, and writes the ranking anew; its scores stay.

    Raises:
        UsageError: There is no such team, or no reason.
        SetupError: There is no ledger, or it can't be written.
    """
    _decide(store, team, reason=reason, revoke=False)


def reinstate(store: Path, team: str, *, reason: str) -> None:
    """Takes a disqualification back, and writes the ranking anew.

    Raises:
        UsageError: The team is not disqualified, or there is no reason.
        SetupError: There is no ledger, or it can't be written.
    """
    _decide(store, team, reason=reason, revoke=True)


def _decide(store: Path, team: str, *, reason: str, revoke: bool) -> None:
    with Ledger(store, read_only=True):
        pass  # a mistyped store must not become a new one
    with Ledger(store) as ledger:
        ledger.disqualify(team, why=reason, revoke=revoke)
        write_ranking(ledger, store)
