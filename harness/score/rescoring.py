"""What counts in a store, to be scored again after a new lock: scores of two locks share no ranking."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.ledger.ledger import Ledger
from harness.ledger.rosters import roster_of
from harness.ranking.tables import make_tables
from harness.score.kept import find
from validator import Challenge
from validator.archive.submission import digest
from validator.challenge.manifest import archive_limits


@dataclass(frozen=True)
class Counted:
    """A submission that counts.

    Attributes:
        team: The team.
        sha256: The submission's SHA-256.
        name: The name that it arrived with.
    """

    team: str
    sha256: str
    name: str


def counted(store: Path, challenge: Challenge) -> list[Counted]:
    """The ranked submissions to a challenge, one per team, whichever scorer has scored them; by team.

    Where a team is ranked in the tables of several scorers, the newest table says which of its submissions counts.

    Raises:
        SetupError: There is no ledger, or it can't be read.
    """
    wanted = roster_of(challenge).digest
    with Ledger(store, read_only=True) as ledger, ledger.snapshot():
        names = {(one.team, one.key.submission): one.name for one in ledger.entries()}
        found = {
            row.team: row.submission
            for table in make_tables(ledger, split=challenge.split)
            if table.roster.digest == wanted
            for row in table.rows
            if row.kind == "scored"
        }
    return [
        Counted(team, sha256, names.get((team, sha256), f"submission_{team}.zip"))
        for team, sha256 in sorted(found.items())
    ]


def find_kept(
    submissions: list[Counted], folder: Path, challenge: Challenge
) -> tuple[list[tuple[Counted, Path]], list[Counted]]:
    """The kept submissions with their paths, and those that are missing from the folder or damaged there."""
    present, missing = [], []
    for one in submissions:
        path = find(folder, one.sha256)
        if path is not None and digest(path, limits=archive_limits(challenge)) == one.sha256:
            present.append((one, path))
        else:
            missing.append(one)
    return present, missing
