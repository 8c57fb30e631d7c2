"""The ledger's file: opened, written in transactions, read in snapshots; every failure becomes a sentence."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from copy import copy
from pathlib import Path
from typing import Any, Self, TypeVar

from harness.ledger.chain import OLDER_WAL, check_age, check_chain, latest_rows
from harness.ledger.log import COLUMNS, LogEntry
from harness.ledger.migration import migrate
from harness.ledger.schema import VERSION, create_tables, read_schema
from harness.ledger.snapshot import companion_file, has_wal, last_entry_alone, open_snapshot
from harness.ledger.transaction import Transaction
from harness.ledger.versions import OLDEST_LOGGED, identity_of
from harness.ledger.wal import check_wal
from harness.protocol.errors import InternalError, SetupError

FILE = "ledger.sqlite"

BUSY_SECONDS = 60.0
"""How long one process waits for another's write; each takes about a millisecond."""

PAGE = 4096
"""Bytes of a page of the ledger; a transaction writes at least one to the write-ahead log."""

RECENT = 100
"""How many entries of the log to check beyond those of a write-ahead log: the page that it continues has fewer."""

_DAMAGED = ("malformed", "not a database", "decode", "corrupt")
"""Words in SQLite's errors about a file that something else changed."""

_DAMAGED_HINT = "`cad1 verify` lists the damage. Restore the store from a copy, or use another `--store`."

Made = TypeVar("Made")


class AbsentError(SetupError):
    """There is no ledger in the store that was to be read."""


class Database:
    """The file of a store's ledger.

    Args:
        store: Folder of the store; created if it does not exist, unless `read_only`.
        read_only: Nothing is created or changed, in the store or elsewhere on the disk; a missing ledger is an
            error. The ledger is shown live while another process has it open, otherwise as it was on opening. A
            ledger of an earlier version is shown as a migrated copy in memory, whose log is as it is stored.
        as_stored: With `read_only`, leaves a ledger of an earlier version as it is.

    Attributes:
        path: The file.
        version_found: Version of the tables in the file when it was opened.

    Raises:
        AbsentError: There is no ledger, with `read_only`.
        SetupError: It can't be opened, or a later version made it.
    """

    def __init__(self, store: Path, *, read_only: bool = False, as_stored: bool = False) -> None:
        self.path = store / FILE
        self.read_only = read_only
        self.version_found = VERSION
        self._lock = threading.RLock()
        with self._errors_explained("opened"):
            if read_only:
                self._db = self._open_for_reading()
            else:
                self._db = self._open_for_writing(store)
        try:
            with self._errors_explained("opened"):
                self._prepare(as_stored=as_stored)
        except BaseException:
            self._db.close()
            raise

    def _open_for_reading(self) -> sqlite3.Connection:
        if not self.path.is_file() or self.path.stat().st_size == 0:
            raise self._absent()
        return open_snapshot(self.path)

    def _open_for_writing(self, store: Path) -> sqlite3.Connection:
        store.mkdir(parents=True, exist_ok=True)
        if has_wal(self.path):
            self._check_wal(store)
        return sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)

    def _check_wal(self, store: Path) -> None:
        """Refuses a write-ahead log that is damaged or belongs to another ledger: SQLite would merge it unasked.

        A killed process leaves one, and a running one has one; both belong to the ledger and are accepted.
        """
        wal = companion_file(self.path, "-wal")
        try:
            recent = wal.stat().st_size // PAGE + RECENT
        except FileNotFoundError:  # the process that had it open has merged it meanwhile
            return
        problems = [*check_wal(wal)]
        if not problems and (not self.path.exists() or self.path.stat().st_size == 0):
            problems = [f"there is no {FILE} beside it."]
        if not problems:
            alone = last_entry_alone(self.path)
            try:
                with Database(store, read_only=True, as_stored=True) as merged, merged.snapshot():
                    problems = [*merged.recent_problems(alone=alone, entries=recent)]
            except AbsentError:  # the process that creates the ledger has not written its tables yet
                problems = [OLDER_WAL] if alone else []
        if problems:
            raise SetupError(
                f"The write-ahead log {wal} is damaged, or belongs to another ledger: {problems[0]}",
                hint="Nothing was changed. `cad1 verify` lists every problem. Restore both files from one copy. If "
                "the log was left beside a ledger that was put there later, move the log away.",
            )

    def _prepare(self, *, as_stored: bool) -> None:
        """Sets SQLite's options and migrates the tables, or a copy of them in memory if the ledger is only read."""
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
        if self.version_found == 0 and not read_schema(self._db):
            raise self._absent()
        if self.version_found not in range(1, VERSION + 1):
            raise self._unknown_version(self.version_found)
        if self.version_found != VERSION and not as_stored:
            stored, self._db = self._db, self._copy()
            stored.close()
            self._upgrade()

    def _copy(self) -> sqlite3.Connection:
        """A copy in memory."""
        memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        try:
            self._db.backup(memory)
        except BaseException:
            memory.close()
            raise
        return memory

    def copy_to(self, path: Path) -> None:
        """Copies the ledger as it is at this moment to a new file, which needs no other file beside it.

        Raises:
            SetupError: It can't be read, or the copy can't be written.
        """
        with self._lock, self._errors_explained("copied"), closing(sqlite3.connect(path)) as copied:
            self._db.backup(copied)
            copied.execute("PRAGMA journal_mode = DELETE")

    @contextmanager
    def current(self) -> Iterator[Database]:
        """This database; if it was opened `as_stored` and has an earlier version, a migrated copy in memory.

        Raises:
            SetupError: It can't be migrated.
        """
        with self._lock, self._errors_explained("read"):
            if self._version() == VERSION:
                migrated = self
            else:
                migrated = copy(self)
                migrated._db = self._copy()
                migrated._upgrade()
        try:
            yield migrated
        finally:
            if migrated is not self:
                migrated.close()

    def _upgrade(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            version = self._version()
            if version == 0 and not read_schema(self._db):
                create_tables(self._db)
            elif version not in range(1, VERSION + 1):
                raise self._unknown_version(version)
            elif version != VERSION:
                self._migrate(version)
            self._db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _migrate(self, version: int) -> None:
        try:
            migrate(self._db, logged=not self.read_only)
        except (ValueError, TypeError, KeyError) as error:
            raise SetupError(
                f"The ledger {self.path} has version {version} and can't be migrated to version {VERSION}: "
                f"{(str(error).splitlines() or [''])[0]}.",
                hint=_DAMAGED_HINT,
            ) from error

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def _unknown_version(self, version: int) -> SetupError:
        return SetupError(
            f"The ledger {self.path} has version {version}; this harness reads version {VERSION}.",
            hint="Use the version of cad1-harness that made it, or another `--store`.",
        )

    def _absent(self) -> AbsentError:
        return AbsentError(
            f"There is no ledger in {self.path.parent}: nothing has been scored there yet.",
            hint="Score a submission first (`cad1 score`), or give the right folder with `--store`.",
        )

    @contextmanager
    def _errors_explained(self, action: str) -> Iterator[None]:
        """Turns errors of SQLite and of the system into a sentence; `action` is a participle, such as `opened`."""
        try:
            yield
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            hint = (
                "Check that the folder is writable and its disk is not full; what was stored before is safe, "
                "and the same command continues from there."
            )
            if any(word in str(error) for word in _DAMAGED):
                hint = _DAMAGED_HINT
            elif self.read_only:
                hint = "Check that you may read the folder and its files."
            raise SetupError(f"The ledger {self.path} can't be {action}: {error}.", hint=hint) from error

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One transaction that holds the write lock: all of it is written, or nothing.

        Raises:
            InternalError: The ledger is read-only.
            SetupError: It can't be written.
        """
        if self.read_only:
            raise InternalError(f"The ledger {self.path} was opened for reading.", hint="Please report it.")
        with self._lock, self._errors_explained("written"):
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
        if self._db.in_transaction:  # SQLite has rolled back already if the disk is full
            with suppress(sqlite3.Error):  # the error that led here is the one to report
                self._db.execute("ROLLBACK")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads in the block see the ledger at one moment, whoever writes meanwhile."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            with self._errors_explained("read"):
                self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._roll_back()

    def read(
        self, query: str, values: Sequence[object] = (), *, make: Callable[[tuple[Any, ...]], Made]
    ) -> list[Made]:
        """The rows of a query, each converted by `make`.

        Raises:
            SetupError: The ledger can't be read, or `make` refuses a row.
        """
        with self._lock, self._errors_explained("read"):
            rows = self._db.execute(query, values).fetchall()
        try:
            return [make(row) for row in rows]
        except (ValueError, TypeError, KeyError) as error:
            raise SetupError(
                f"The ledger {self.path} holds something that can't be read: "
                f"{(str(error).splitlines() or [''])[0]}.",
                hint=_DAMAGED_HINT,
            ) from error

    def log(self, *, after: int = 0) -> list[LogEntry]:
        """The entries of the log, the oldest first; only those with a number above `after`."""
        return self.read(
            f"SELECT {', '.join(COLUMNS)} FROM log WHERE number > ? ORDER BY number",  # noqa: S608  (constants)
            (after,),
            make=lambda row: LogEntry(*row),
        )

    def contents(self) -> dict[str, list[dict[str, Any]]]:
        """Every row of the tables that the log covers, by column."""
        tables = {}
        with self._lock, self._errors_explained("read"):
            for table, columns in self.identity().items():
                cursor = self._db.execute(f"SELECT * FROM {table} ORDER BY {', '.join(columns)}")  # noqa: S608
                names = [column[0] for column in cursor.description]
                tables[table] = [dict(zip(names, row, strict=True)) for row in cursor]
        return tables

    def identity(self) -> Mapping[str, tuple[str, ...]]:
        """The tables that the log covers, and the columns that identify a row, in this ledger's version."""
        return identity_of(self._version())

    def schema(self) -> list[tuple[str, str, str]]:
        """The tables, indexes and triggers: type, name and SQL, sorted."""
        with self._lock, self._errors_explained("read"):
            return read_schema(self._db)

    def integrity_problems(self) -> list[str]:
        """What SQLite's own integrity check finds; empty if the file is sound."""
        with self._lock, self._errors_explained("read"):
            rows = self._db.execute("PRAGMA integrity_check").fetchall()
        return [str(row[0]) for row in rows if row != ("ok",)]

    def recent_problems(self, *, alone: int, entries: int) -> Iterator[str]:
        """Yields a sentence for each way in which the file and its write-ahead log do not go together.

        Every transaction writes to the log. So if the two are of different times, the file is damaged, entries are
        missing, or rows differ from what the last entries say of them; `verify_store` checks all entries.

        Args:
            alone: What `snapshot.last_entry_alone` gave before this ledger was opened.
            entries: How many of the last entries to check, at least as many as there are in the write-ahead log.
        """
        for problem in self.integrity_problems():
            yield f"The file {FILE} is damaged: {problem}."
        if self.version_found < OLDEST_LOGGED:
            return
        ((count, last),) = self.read("SELECT count(*), coalesce(max(number), 0) FROM log", make=tuple)
        yield from check_age(last, alone=alone)
        if count != last:
            yield f"The log has {count} entries, but its last one is number {last}: entries are missing."
        recent = self.log(after=last - entries)
        yield from check_chain(recent, partial=True)
        reader = Transaction(self._db, version=self.version_found)
        try:
            rows = latest_rows(recent)
        except ValueError:
            yield "The log has an entry that does not list the rows that it wrote."
            return
        for row in rows:
            if reader.written_row(row.table, row.row) != row.sha256:
                yield f"The row {list(row.row)} of the table {row.table} differs from the log."

    def dangling_references(self) -> list[tuple[str, str]]:
        """Tables with rows that refer to a missing row, each with the table that lacks it."""
        with self._lock, self._errors_explained("read"):
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
