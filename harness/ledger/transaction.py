"""One write to the ledger: rows and the log entry about them, both or neither."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from harness.ledger.entities import now
from harness.ledger.log import COLUMNS, GENESIS, canonical_json, current_author, make_entry, row_digest
from harness.ledger.schema import IDENTITY

RowName = tuple[str, tuple[Any, ...]]
"""A table, and the values of the columns that identify a row in it."""


class Transaction:
    """An open transaction that holds the write lock.

    Args:
        db: The connection.
        logged: False only for a copy in memory, which is discarded: its log stays as it was stored.

    Attributes:
        logged: Whether `log` writes.
        at: When it began, in UTC; everything that it writes has this time.
        who: `user@host`.
    """

    def __init__(self, db: sqlite3.Connection, *, logged: bool = True) -> None:
        self._db = db
        self.logged = logged
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
        if self._last is None:
            last = self.execute("SELECT number, sha256 FROM log ORDER BY number DESC LIMIT 1").fetchone()
            self._last = (int(last[0]), str(last[1])) if last else (0, GENESIS)
        number, previous = self._last
        entry = make_entry(
            number=number + 1,
            at=self.at,
            who=self.who,
            kind=kind,
            facts=canonical_json(facts),
            rows=canonical_json([self._written_row(table, identity) for table, identity in rows]),
            previous=previous,
        )
        self.execute(
            f"INSERT INTO log VALUES ({', '.join('?' * len(COLUMNS))})",  # noqa: S608  (constants)
            [getattr(entry, column) for column in COLUMNS],
        )
        self._last = (entry.number, entry.sha256)

    def _written_row(self, table: str, identity: tuple[Any, ...]) -> dict[str, object]:
        columns = IDENTITY[table]
        condition = f"({', '.join(columns)}) = ({', '.join('?' * len(columns))})"
        row = self.execute(f"SELECT * FROM {table} WHERE {condition}", identity).fetchone()  # noqa: S608
        return {"table": table, "row": list(identity), "sha256": row_digest(table, row) if row else None}
