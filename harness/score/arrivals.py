"""Submissions on disk: which files and folders are submissions, and the teams that their names give."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.protocol.errors import UsageError
from harness.protocol.teams import checked_team

_NAME = re.compile(
    r"submission_(?P<team>[A-Za-z0-9][A-Za-z0-9_-]{0,63})"
    r"(?:\.[A-Za-z0-9_-]+| ?\(\d{1,3}\))??"  # a second one of the same team: submission_E001.2.zip, …E001 (1).zip
    r"(?P<suffix>\.zip|\.tar|\.tar\.gz|\.tgz)?"
)

EXPECTED = "submission_NAME.zip"
"""The name of a submission, in which NAME is the team's."""

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
"""Endings of archives: a file with one of them is meant to be a submission, whatever it is called."""


@dataclass(frozen=True)
class Arrival:
    """A submission on disk and the team that sent it."""

    path: Path
    team: str


def team_in(path: Path) -> str | None:
    """The team in the name `submission_NAME.zip` (or `.tar`, `.tar.gz`, `.tgz`, or a folder); None without one.

    `submission_NAME.2.zip` and `submission_NAME (1).zip` are further submissions of the same team.
    """
    found = _NAME.fullmatch(path.name)
    if found is None or bool(found["suffix"]) == path.is_dir():
        return None
    return found["team"]


def in_folder(folder: Path) -> tuple[list[Arrival], list[Path]]:
    """The submissions in a folder, the oldest first, and the other visible files and folders in it.

    A link is none: whoever may write to an inbox could link to the submission of another team.
    """
    arrivals, others = [], []
    for path in by_age(path for path in folder.iterdir() if not path.name.startswith(".")):
        team = team_in(path)
        if team is None or path.is_symlink():
            others.append(path)
        else:
            arrivals.append(Arrival(path, team))
    return arrivals, others


def arrivals_of(paths: Iterable[Path], *, team: str | None) -> tuple[list[Arrival], list[Path]]:
    """The submissions that a command was given, the oldest first, so that the newest of a team counts.

    A folder is a submission if it is called `submission_NAME` or holds nothing that is; otherwise it is a folder of
    submissions.

    Args:
        paths: Submissions, or folders of them.
        team: The team that sent the only submission; None to take teams from the names.

    Returns:
        The submissions, and what else lies in folders of submissions.

    Raises:
        UsageError: There is nothing at a path, a name has no team, or a team is given for several submissions.
    """
    paths = list(paths)
    for path in paths:
        if not path.exists():
            raise UsageError(f"There is no submission at {path}.", hint="Check the path.")
    if team is not None:
        if len(paths) > 1:
            raise UsageError(
                f"--team {team} was given for {len(paths)} submissions.",
                hint=f"Without --team, each team is the NAME in {EXPECTED}.",
            )
        return [Arrival(path, checked_team(team)) for path in paths], []
    found: list[Arrival] = []
    others: list[Path] = []
    for path in paths:
        own = team_in(path)
        inside, beside = in_folder(path) if own is None and path.is_dir() else ([], [])
        if own is not None:
            found.append(Arrival(path, own))
        elif inside:
            found += inside
            others += beside
        else:
            raise UsageError(
                f"{path} has no team in its name; expected {EXPECTED}, or a folder that holds such files.",
                hint="Give the team of one submission with --team, or rename it.",
            )
    distinct = {arrival.path.resolve(): arrival for arrival in found}
    place = {path: number for number, path in enumerate(by_age(one.path for one in distinct.values()))}
    return sorted(distinct.values(), key=lambda one: place[one.path]), others


def looks_like_archive(path: Path) -> bool:
    """Whether a file that is no submission by its name was probably meant as one."""
    return path.name.lower().endswith(ARCHIVES)


def by_age(paths: Iterable[Path]) -> list[Path]:
    """Paths by the time of their last modification, the oldest first, and by name at equal times."""

    def age(path: Path) -> tuple[int, str]:
        try:
            return path.lstat().st_mtime_ns, path.name
        except FileNotFoundError:  # it has just been taken away
            return 0, path.name

    return sorted(paths, key=age)
