"""A store's ranking, by the path of the store: what commands read from it and decide in it, in one call each."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.ledger.ledger import Ledger
from harness.ranking.files import write_atomically, write_error
from harness.ranking.render import markdown
from harness.ranking.scores import choose_entry, write_scores
from harness.ranking.tables import Table, make_tables

RANKING_FILE = "ranking.md"


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
        return make_tables(ledger, split=split)


def read_ranking(store: Path, *, split: str | None = None) -> tuple[list[Table], str]:
    """The tables of `read_tables`, and the head of the log that they were made from.

    Raises:
        SetupError: There is no ledger, or it can't be read.
    """
    with Ledger(store, read_only=True) as ledger, ledger.snapshot():
        return make_tables(ledger, split=split), ledger.head()


def read_team_scores(store: Path, team: str, *, split: str | None = None) -> TeamScores:
    """The scores of a team's latest submission.

    Raises:
        UsageError: The team has none.
        SetupError: There is no ledger, or it can't be read.
    """
    with Ledger(store, read_only=True) as ledger, ledger.snapshot():
        entry, roster = choose_entry(ledger, team, split=split, prefer_complete=False)
        examples = ledger.examples(entry.key)
    return TeamScores(write_scores(roster, examples), stored=len(examples), total=len(roster.examples))


def disqualify(store: Path, team: str, *, reason: str) -> None:
    """Takes a team out of every ranking, and updates `ranking.md`; its scores stay.

    Raises:
        UsageError: There is no such team, or no reason.
        SetupError: There is no ledger, or it can't be written.
    """
    with _existing_ledger(store) as ledger:
        ledger.history.disqualify(team, reason=reason)
        write_ranking(ledger, store)


def reinstate(store: Path, team: str, *, reason: str) -> None:
    """Takes a disqualification back, and updates `ranking.md`.

    Raises:
        UsageError: The team is not disqualified, or there is no reason.
        SetupError: There is no ledger, or it can't be written.
    """
    with _existing_ledger(store) as ledger:
        ledger.history.reinstate(team, reason=reason)
        write_ranking(ledger, store)


def _existing_ledger(store: Path) -> Ledger:
    """The ledger for writing; a mistyped path must not create a store."""
    Ledger(store, read_only=True).close()
    return Ledger(store)


def write_ranking(ledger: Ledger, store: Path) -> None:
    """Updates `ranking.md` to what the ledger holds; a file that is up to date is not touched.

    No other process can write to the ledger meanwhile: of two that do this at once, the one that writes last has
    seen everything that the other has.

    Raises:
        SetupError: It can't be written.
    """
    path = store / RANKING_FILE
    with ledger.exclusively():
        text = markdown(make_tables(ledger))
        try:
            with suppress(FileNotFoundError):
                # Leftovers of a process that was killed: no other is writing now.
                for leftover in store.glob(f".{RANKING_FILE}.*"):
                    leftover.unlink()
                if path.read_bytes() == text.encode():
                    return
        except OSError as error:
            raise write_error(path, error) from error
        write_atomically(path, text)
