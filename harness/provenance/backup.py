"""A consistent copy of a ledger, made while others write to it."""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from harness.ledger.database import FILE, Database
from harness.protocol.errors import SetupError, UsageError


@dataclass(frozen=True)
class Backup:
    """A copy of a ledger.

    Attributes:
        sha256: Of the file, in hexadecimal.
        head: SHA-256 of the last entry of its log; empty for a ledger of version 1, which kept none.
    """

    sha256: str
    head: str


def back_up(store: Path, path: Path) -> Backup:
    """Copies a ledger as it is at one moment to one file, whoever writes to it meanwhile.

    The file appears complete or not at all. To restore it, put it into an empty folder as `ledger.sqlite`.

    Args:
        store: Folder of the store; nothing is written there.
        path: The file to make.

    Raises:
        UsageError: There is something at the path already.
        SetupError: There is no ledger, it can't be read, or the file can't be written.
    """
    _refuse_existing(path)
    with Database(store, read_only=True, as_stored=True) as database:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
                copy = Path(folder, FILE)
                database.copy_to(copy)
                with copy.open("rb") as stream:
                    sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
                head = _head(copy)
                _refuse_existing(path)
                copy.rename(path)
        except OSError as error:
            raise SetupError(
                f"{path} can't be written: {error.strerror or error}.",
                hint="Check that the folder is writable and its disk is not full, then run the same command again.",
            ) from error
    return Backup(sha256, head)


def _refuse_existing(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise UsageError(
            f"{path} exists already.", hint="Give a new file: a backup never overwrites another."
        )


def _head(path: Path) -> str:
    with closing(sqlite3.connect(path)) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'log'").fetchone():
            return ""
        row = db.execute("SELECT sha256 FROM log ORDER BY number DESC LIMIT 1").fetchone()
    return str(row[0]) if row else ""
