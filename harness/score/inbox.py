"""An inbox: a folder into which submissions are copied or uploaded, and which of them are complete."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.score.arrivals import Arrival, in_folder
from validator.archive.sizes import SizeLimits
from validator.archive.submission import SubmissionNotFound, open_submission

UNREADABLE_FACTOR = 60.0
"""How many times longer than others an archive must be at rest if its directory can't be read.

Its upload may have stalled. After that time it is taken as it is, so that its team reads what is wrong with it.
"""

Fingerprint = tuple[object, ...]
"""What is at a path, without its contents: it changes while a submission is written."""


@dataclass
class _Seen:
    fingerprint: Fingerprint
    since: float
    taken: bool = False


class Inbox:
    """Says which submissions in a folder are complete, each once.

    A submission is complete when its size and its time of modification (of a folder: those of all its files) did
    not change for some seconds, and its directory can be read. One that changes later is another one.

    Args:
        folder: The folder.
        rest: How many seconds a submission must be at rest.
        limits: How large a submission may be.
        clock: The time in seconds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rest: float,
        limits: SizeLimits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._rest = rest
        self._limits = limits
        self._clock = clock
        self._seen: dict[Path, _Seen] = {}
        self.others: set[Path] = set()

    def arrived(self) -> tuple[list[Arrival], list[Path]]:
        """What is complete now and was not before, the oldest first; and what is no submission and was not there.

        Raises:
            OSError: The folder can't be read.
        """
        found, others = in_folder(self._folder)
        new = [path for path in others if path not in self.others]
        self.others = set(others)
        self._seen = {one.path: self._seen[one.path] for one in found if one.path in self._seen}
        return [arrival for arrival in found if self._is_complete(arrival.path)], new

    def put_back(self, path: Path) -> None:
        """Lets a submission that has arrived arrive again, after it has been at rest."""
        self._seen.pop(path, None)

    def _is_complete(self, path: Path) -> bool:
        now = self._clock()
        try:
            fingerprint = fingerprint_of(path)
        except FileNotFoundError:  # it was taken away or renamed
            self._seen.pop(path, None)
            return False
        seen = self._seen.get(path)
        if seen is None or seen.fingerprint != fingerprint:
            self._seen[path] = _Seen(fingerprint, now)
            return False
        at_rest = now - seen.since
        if seen.taken or at_rest < self._rest:
            return False
        seen.taken = at_rest >= UNREADABLE_FACTOR * self._rest or self._is_readable(path)
        return seen.taken

    def _is_readable(self, path: Path) -> bool:
        try:
            with open_submission(path, limits=self._limits) as submission:
                return all(problem.code != "archive-unreadable" for problem in submission.problems)
        except (SubmissionNotFound, PermissionError):
            return False


def fingerprint_of(path: Path) -> Fingerprint:
    """What is at a path: of a file its inode, size and time of modification; of a folder those of all its files."""
    if not path.is_dir():
        status = path.stat()
        return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    hashed = hashlib.sha256()
    for folder, folders, files in os.walk(path):
        folders.sort()
        for name in sorted(files):
            status = (Path(folder) / name).lstat()
            line = f"{Path(folder) / name}\0{status.st_ino}\0{status.st_size}\0{status.st_mtime_ns}\n"
            hashed.update(line.encode(errors="surrogateescape"))
    return (hashed.hexdigest(),)
