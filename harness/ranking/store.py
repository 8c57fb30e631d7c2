"""A store's ranking, by the path of the store: what commands read from it and decide in it, in one call each."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.ledger.decisions import Counts, Policy
from harness.ledger.ledger import Ledger
from harness.ledger.states import Case
from harness.ranking.counting import counted_entry
from harness.ranking.files import write_atomically, write_error
from harness.ranking.render import markdown
from harness.ranking.scores import write_scores
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
    """The scores of the submission of a team that counts.

    Raises:
        UsageError: The team has none, or none counts.
        SetupError: There is no ledger, or it can't be read.
    """
    with Ledger(store, read_only=True) as ledger, ledger.snapshot():
        entry, roster, _ = counted_entry(ledger, team, split=split)
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


def select(store: Path, team: str, digest: str, *, reason: str, split: str | None = None) -> Case:
    """Selects the submission of a team that counts, and updates `ranking.md`; see `Decisions.select`."""
    with _existing_ledger(store) as ledger:
        case = ledger.decisions.select(team, digest, reason=reason, split=split)
        write_ranking(ledger, store)
    return case


def withdraw(store: Path, team: str, digest: str, *, reason: str, split: str | None = None) -> Case:
    """Withdraws a submission, and updates `ranking.md`; see `Decisions.withdraw`."""
    with _existing_ledger(store) as ledger:
        case = ledger.decisions.withdraw(team, digest, reason=reason, split=split)
        write_ranking(ledger, store)
    return case


def reinstate_submission(
    store: Path, team: str, digest: str, *, reason: str, split: str | None = None
) -> Case:
    """Takes a withdrawal or a selection back, and updates `ranking.md`; see `Decisions.reinstate`."""
    with _existing_ledger(store) as ledger:
        case = ledger.decisions.reinstate(team, digest, reason=reason, split=split)
        write_ranking(ledger, store)
    return case


def rename(store: Path, team: str, name: str, *, reason: str, digest: str = "") -> list[Case]:
    """Gives submissions to another name, and updates `ranking.md`; see `Decisions.rename`."""
    with _existing_ledger(store) as ledger:
        cases = ledger.decisions.rename(team, name, reason=reason, digest=digest)
        write_ranking(ledger, store)
    return cases


def read_policy(store: Path, split: str) -> Policy:
    """The policy of a split.

    Raises:
        SetupError: There is no ledger, or it can't be read.
    """
    with Ledger(store, read_only=True) as ledger:
        return ledger.decisions.policies().get(split, Policy())


def change_policy(
    store: Path,
    split: str,
    *,
    counts: Counts | None = None,
    deadline: str | None = None,
    most: int | None = None,
    reason: str = "",
) -> Policy:
    """Changes the policy of a split, and updates `ranking.md`; what is None stays.

    The store is created if there is none: a policy may be set before the first submission.

    Args:
        store: Folder of the store.
        split: Name of the split.
        counts: Which submission of a team counts.
        deadline: ISO 8601 in UTC; empty for none.
        most: How many submissions of a team may count; 0 for any number.
        reason: One sentence, or empty.

    Raises:
        SetupError: The store can't be written.
    """
    with Ledger(store) as ledger:
        before = ledger.decisions.policies().get(split, Policy())
        policy = Policy(
            before.counts if counts is None else counts,
            before.deadline if deadline is None else deadline,
            before.most if most is None else most,
        )
        if policy != before:
            ledger.decisions.set_policy(split, policy, reason=reason)
        write_ranking(ledger, store)
    return policy


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
