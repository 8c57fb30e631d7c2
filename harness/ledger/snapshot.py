"""A ledger opened for reading alone: nothing is created beside it, whoever writes and wherever it lies.

SQLite's own read-only mode makes files beside a database in WAL mode. So it is used only where another process has
the ledger open and these files are there; else the ledger is copied into memory, and read there.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path
from urllib.parse import quote

ATTEMPTS = 20
"""How often a copy is begun again because somebody wrote meanwhile: each takes a fraction of a second."""


def open_snapshot(path: Path) -> sqlite3.Connection:
    """Opens a ledger for reading.

    Args:
        path: The database; `-wal` and `-shm` may lie beside it.

    Raises:
        sqlite3.Error, OSError: If it can't be read.
    """
    for _ in range(ATTEMPTS):
        live = _live(path)
        if live is not None:
            return live
        before = _state(path)
        copy = _copy(path)
        if _state(path) == before:
            return copy
        copy.close()
    raise sqlite3.OperationalError("other processes write to it all the time")


def beside(path: Path, suffix: str) -> Path:
    """The file that SQLite keeps beside a database: `-wal`, `-shm` or `-journal`."""
    return path.with_name(path.name + suffix)


def _live(path: Path) -> sqlite3.Connection | None:
    """The ledger itself, where another process has it open; None where that can't be had without making files."""
    shared = beside(path, "-shm")
    if not beside(path, "-wal").exists() or not os.access(shared, os.W_OK):
        return None
    try:
        db = _connect(path, "mode=ro")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:  # a read-only disk, or the files have just gone: the copy will tell
        return None
    return db


def _copy(path: Path) -> sqlite3.Connection:
    """A copy in memory. What lies in the write-ahead log belongs to it; SQLite itself puts the two together."""
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        if not beside(path, "-wal").exists():
            _fill(memory, path, "immutable=1")
            return memory
        with tempfile.TemporaryDirectory(prefix="cad1-ledger-") as folder:
            twin = Path(folder, path.name)
            shutil.copyfile(beside(path, "-wal"), beside(twin, "-wal"))
            shutil.copyfile(path, twin)
            _fill(memory, twin, "mode=rw")
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


def _state(path: Path) -> tuple[tuple[int, int, int] | None, ...]:
    """What tells whether somebody wrote: inode, size and time of the ledger and its write-ahead log."""
    found: list[tuple[int, int, int] | None] = []
    for one in (path, beside(path, "-wal")):
        try:
            state = one.stat()
        except FileNotFoundError:
            found.append(None)
        else:
            found.append((state.st_ino, state.st_size, state.st_mtime_ns))
    return tuple(found)
