"""The ledger's file: opened, written in transactions, read in snapshots; every failure of it told in a sentence."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from harness.ledger.migration import migrate
from harness.ledger.schema import IDENTITY, VERSION, create, found
from harness.ledger.snapshot import open_snapshot
from harness.ledger.transaction import Transaction
from harness.protocol.errors import InternalError, SetupError

FILE = "ledger.sqlite"

BUSY_SECONDS = 60.0
"""How long one process waits for another's write: each is a millisecond."""

_DAMAGED = ("malformed", "not a database", "decode", "corrupt")
"""What SQLite says of a file that was changed behind its back."""

Made = TypeVar("Made")


class AbsentError(SetupError):
    """There is no ledger where one was to be read."""


class Database:
    """The file of one store's ledger.

    Args:
        store: The store's folder; made if it is not there, unless `read_only`.
        read_only: Nothing is created, here or on the disk; an absent ledger is a fault. It shows the ledger as it
            is while another process writes, else as it was on opening.

    Raises:
        SetupError: If it can't be opened, or was made by a later version.
    """

    def __init__(self, store: Path, *, read_only: bool = False) -> None:
        self.path = store / FILE
        self.read_only = read_only
        self.version_found = VERSION
        self._lock = threading.RLock()
        with self._told("opened"):
            if read_only:
                self._db = self._open_reading()
            else:
                self._db = self._open_writing(store)
        try:
            with self._told("opened"):
                self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _open_reading(self) -> sqlite3.Connection:
        if not self.path.is_file() or self.path.stat().st_size == 0:
            raise self._absent()
        return open_snapshot(self.path)

    def _open_writing(self, store: Path) -> sqlite3.Connection:
        store.mkdir(parents=True, exist_ok=True)
        return sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)

    def _prepare(self) -> None:
        """Brings the tables to this version; where the ledger is only read, those of a copy in memory."""
        self._db.execute("PRAGMA trusted_schema = OFF")
        self._db.execute("PRAGMA cell_size_check = ON")
        self._db.execute("PRAGMA foreign_keys = ON")
        if not self.read_only:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._inode = self.path.stat().st_ino
            self._upgrade()
            return
        self.version_found = self._version()
        if self.version_found == 0 and not found(self._db):
            raise self._absent()
        if self.version_found != VERSION:
            copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            self._db.backup(copy)
            self._db.close()
            self._db = copy
            self._upgrade()

    def _upgrade(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            version = self._version()
            if version == 0 and not found(self._db):
                create(self._db)
            elif version == 1:
                migrate(self._db)
            elif version != VERSION:
                raise SetupError(
                    f"The ledger {self.path} has version {version}; this harness reads version {VERSION}.",
                    hint="Use the version of cad1-harness that made it, or another `--store`.",
                )
            self._db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def _absent(self) -> AbsentError:
        return AbsentError(
            f"There is no ledger in {self.path.parent}: nothing has been scored there yet.",
            hint="Score a submission first (`cad1 score`), or name the right folder with `--store`.",
        )

    @contextmanager
    def _told(self, done: str) -> Iterator[None]:
        """Turns SQLite's and the system's errors into a sentence."""
        try:
            yield
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            hint = (
                "See that the folder is writable and its disk is not full; what was stored before is safe, "
                "and the same command goes on from there."
            )
            if any(word in str(error) for word in _DAMAGED):
                hint = "`cad1 verify` says what is damaged. Put back a copy of the store, or use another `--store`."
            elif self.read_only:
                hint = "See that you may read the folder and its files."
            raise SetupError(f"The ledger {self.path} can't be {done}: {error}.", hint=hint) from error

    @contextmanager
    def _write(self) -> Iterator[Transaction]:
        """One transaction that holds the write lock: all of it or nothing."""
        if self.read_only:
            raise InternalError(f"The ledger {self.path} was opened for reading.", hint="Please report it.")
        with self._lock, self._told("written"):
            if self.path.stat().st_ino != self._inode:
                raise FileNotFoundError("it was moved or replaced while it was in use")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(self._db)
                self._db.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        if self._db.in_transaction:  # a full disk may have rolled back already
            with suppress(sqlite3.Error):  # the error that led here is the one to be told
                self._db.execute("ROLLBACK")

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Keeps every other writer out, of this process and others, while something is made of what is stored."""
        with self._write():
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything that is read meanwhile is of one moment, whoever writes."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            with self._told("read"):
                self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._roll_back()

    def _read(
        self, query: str, values: Sequence[object] = (), *, make: Callable[[tuple[Any, ...]], Made]
    ) -> list[Made]:
        """The rows of a query, each made into what it stands for."""
        with self._lock, self._told("read"):
            rows = self._db.execute(query, values).fetchall()
        try:
            return [make(row) for row in rows]
        except (ValueError, TypeError, KeyError) as error:
            raise SetupError(
                f"The ledger {self.path} holds something that can't be read: "
                f"{(str(error).splitlines() or [''])[0]}.",
                hint="`cad1 verify` says what is damaged. Put back a copy of the store, or use another `--store`.",
            ) from error

    def contents(self) -> dict[str, list[dict[str, Any]]]:
        """Every row of the tables that the log vouches for, by column."""
        tables = {}
        for table in IDENTITY:
            with self._lock, self._told("read"):
                cursor = self._db.execute(f"SELECT * FROM {table} ORDER BY {', '.join(IDENTITY[table])}")  # noqa: S608
                names = [column[0] for column in cursor.description]
                tables[table] = [dict(zip(names, row, strict=True)) for row in cursor]
        return tables

    def schema(self) -> list[tuple[str, str, str]]:
        """The tables, indexes and triggers: type, name and SQL."""
        with self._lock, self._told("read"):
            return found(self._db)

    def integrity(self) -> list[str]:
        """What SQLite itself finds wrong with the file; empty where nothing is."""
        with self._lock, self._told("read"):
            rows = self._db.execute("PRAGMA integrity_check").fetchall()
        return [str(row[0]) for row in rows if row != ("ok",)]

    def strays(self) -> list[tuple[str, str]]:
        """Rows that refer to a row that is not there: their table, and the other's."""
        with self._lock, self._told("read"):
            rows = self._db.execute("PRAGMA foreign_key_check").fetchall()
        return sorted({(str(row[0]), str(row[2])) for row in rows})

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
