"""One write to the ledger: rows and the log entry about them, both or neither."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from harness.ledger.entities import now
from harness.ledger.log import COLUMNS, GENESIS, canonical_json, current_author, make_entry, row_digest
from harness.ledger.schema import VERSION
from harness.ledger.versions import identity_of

RowName = tuple[str, tuple[Any, ...]]
"""A table, and the values of the columns that identify a row in it."""


class Transaction:
    """An open transaction that holds the write lock.

    Args:
        db: The connection.
        logged: False only for a copy in memory, which is discarded: its log stays as it was stored.
        version: The version of the tables, or the one to which they are being migrated.

    Attributes:
        logged: Whether `log` writes.
        version: The version of the tables.
        at: When it began, in UTC; everything that it writes has this time.
        who: `user@host`.
    """

    def __init__(self, db: sqlite3.Connection, *, logged: bool = True, version: int = VERSION) -> None:
        self._db = db
        self.logged = logged
        self.version = version
        self.at = now()
        self.who = current_author()
        self._last: tuple[int, str] | None = None

    def execute(self, query: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Runs one statement."""
        return self._db.execute(query, values)

    def log(self, kind: str, facts: Mapping[str, object], *rows: RowName) -> None:
        """Appends an entry to the log, with the current digest of each of the rows."""
        if not self.logged:
            return
        number, previous = self._last_entry()
        entry = make_entry(
            number=number + 1,
            at=self.at,
            who=self.who,
            kind=kind,
            facts=canonical_json(facts),
            rows=canonical_json(
                [
                    {"table": table, "row": list(identity), "sha256": self.written_row(table, identity)}
                    for table, identity in rows
                ]
            ),
            previous=previous,
        )
        self.execute(
            f"INSERT INTO log VALUES ({', '.join('?' * len(COLUMNS))})",  # noqa: S608  (constants)
            [getattr(entry, column) for column in COLUMNS],
        )
        self._last = (entry.number, entry.sha256)

    @property
    def next_number(self) -> int:
        """The number that the next entry of the log gets."""
        return self._last_entry()[0] + 1

    def _last_entry(self) -> tuple[int, str]:
        """The number and the SHA-256 of the last entry."""
        if self._last is None:
            last = self.execute("SELECT number, sha256 FROM log ORDER BY number DESC LIMIT 1").fetchone()
            self._last = (int(last[0]), str(last[1])) if last else (0, GENESIS)
        return self._last

    def written_row(self, table: str, identity: Sequence[Any]) -> str | None:
        """The digest of a row as it is; None if there is none."""
        columns = identity_of(self.version).get(table, ())
        if len(columns) != len(identity):  # the name of a row in an earlier version
            return None
        condition = f"({', '.join(columns)}) = ({', '.join('?' * len(columns))})"
        row = self.execute(f"SELECT * FROM {table} WHERE {condition}", identity).fetchone()  # noqa: S608
        return row_digest(table, row) if row else None
