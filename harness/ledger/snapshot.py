"""A ledger opened for reading only: nothing is created next to it, on a read-only disk or while others write.

SQLite's own read-only mode creates files next to a database in WAL mode. So it is used only if another process has
the ledger open and these files exist; otherwise the ledger is copied into memory and read there.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path
from urllib.parse import quote

ATTEMPTS = 20
"""How often a copy is restarted because another process wrote meanwhile; each takes a fraction of a second."""


def open_snapshot(path: Path) -> sqlite3.Connection:
    """Opens a ledger for reading.

    Args:
        path: The database; `-wal` and `-shm` may be next to it.

    Raises:
        sqlite3.Error, OSError: It can't be read.
    """
    for _ in range(ATTEMPTS):
        live = _open_live(path)
        if live is not None:
            return live
        before = _file_state(path)
        copy = _copy(path)
        if _file_state(path) == before:
            return copy
        copy.close()
    raise sqlite3.OperationalError("other processes keep writing to it")


def has_wal(path: Path) -> bool:
    """Whether there is a write-ahead log with contents next to a database."""
    try:
        return companion_file(path, "-wal").stat().st_size > 0
    except FileNotFoundError:
        return False


def last_entry_alone(path: Path) -> int:
    """The number of the log's last entry in the file alone, without what is only in the write-ahead log.

    Whatever is in the file was in the write-ahead log before: the two together have this entry, too. It is 0 if
    there is none, or if the file can't be read alone because a process was writing to it when it was killed.
    """
    try:
        db = _connect(path, "mode=ro&immutable=1")
        try:
            row = db.execute("SELECT max(number) FROM log").fetchone()
        finally:
            db.close()
    except (
        sqlite3.Error,
        UnicodeDecodeError,
    ):  # damaged, or in the middle of a checkpoint: the two are checked
        return 0
    return row[0] if isinstance(row[0], int) else 0


def companion_file(path: Path, suffix: str) -> Path:
    """A file that SQLite keeps next to a database; `suffix` is `-wal`, `-shm` or `-journal`."""
    return path.with_name(path.name + suffix)


def _open_live(path: Path) -> sqlite3.Connection | None:
    """The ledger itself, if another process has it open; None if opening it would create files."""
    shared = companion_file(path, "-shm")
    if not companion_file(path, "-wal").exists() or not os.access(shared, os.W_OK):
        return None
    try:
        db = _connect(path, "mode=ro")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:  # a read-only disk, or the files are gone by now: copy instead
        return None
    return db


def _copy(path: Path) -> sqlite3.Connection:
    """A copy in memory, including what is only in the write-ahead log; SQLite itself merges the two."""
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        if not companion_file(path, "-wal").exists():
            _fill(memory, path, "immutable=1")
            return memory
        with tempfile.TemporaryDirectory(prefix="cad1-ledger-") as folder:
            duplicate = Path(folder, path.name)
            shutil.copyfile(companion_file(path, "-wal"), companion_file(duplicate, "-wal"))
            shutil.copyfile(path, duplicate)
            _fill(memory, duplicate, "mode=rw")
        return memory
    except BaseException:
        memory.close()
        raise


def _fill(memory: sqlite3.Connection, path: Path, mode: str) -> None:
    source = _connect(path, mode)
    try:
        source.backup(memory)
    finally:
        source.close()


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?{mode}",
        uri=True,
        timeout=60.0,
        isolation_level=None,
        check_same_thread=False,
    )


def _file_state(path: Path) -> tuple[tuple[int, int, int] | None, ...]:
    """Changes with every write: inode, size and time of the ledger and of its write-ahead log."""
    found: list[tuple[int, int, int] | None] = []
    for one in (path, companion_file(path, "-wal")):
        try:
            state = one.stat()
        except FileNotFoundError:
            found.append(None)
        else:
            found.append((state.st_ino, state.st_size, state.st_mtime_ns))
    return tuple(found)
