"""Brings a ledger of an earlier version up to the current one.

Version 1 had no log and no states. Version 2 stored the values of an example in a column each, and the reason of a
disqualification in a column `why`. The log is append-only: a migration appends entries with the new digests of the
rows that it rewrote, and every entry before stays as it was, the old head included.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from types import MappingProxyType
from typing import Any

from harness.ledger.entities import Scorer
from harness.ledger.log import canonical_json, row_digest
from harness.ledger.schema import IDENTITY, TABLES, VERSION, read_schema, triggers
from harness.ledger.states import Case, State
from harness.ledger.steps import append_step
from harness.ledger.transaction import RowName, Transaction
from validator.challenge.rules import CAD1

OLDEST_LOGGED = 2
"""The first version that kept a log."""

_TABLES_1 = ("challenges", "entries", "runs", "examples", "audits")

_TABLES_2: dict[str, str] = TABLES | {
    "examples": TABLES["examples"].replace("haaqi TEXT NOT NULL", f"{' REAL, '.join(CAD1.columns)} REAL"),
    "disqualifications": TABLES["disqualifications"].replace("reason TEXT", "why TEXT"),
}

_KEY = len(IDENTITY["examples"]) - 2
"""How many columns of `examples` identify the submission, the challenge and the scorer."""


def migrate(db: sqlite3.Connection, *, logged: bool = True) -> None:
    """Migrates the tables, within the caller's transaction.

    Args:
        db: A ledger of version 1 up to the current one.
        logged: False for a copy in memory that is only read: its log stays as it is stored.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    transaction = Transaction(db, logged=logged)
    for before in range(version, VERSION):
        _MIGRATIONS[before](transaction)
    db.execute(f"PRAGMA user_version = {VERSION}")


def expected_schema_2() -> list[tuple[str, str, str]]:
    """What `schema.read_schema` returns for an unchanged ledger of version 2."""
    db = sqlite3.connect(":memory:")
    try:
        for statement in [*_TABLES_2.values(), *triggers()]:
            db.execute(statement)
        return read_schema(db)
    finally:
        db.close()


def _to_version_2(transaction: Transaction) -> None:
    """Adds the log and the states, and enters all rows in the log: it vouches for them from here on."""
    for statement in [sql for table, sql in _TABLES_2.items() if table not in _TABLES_1] + triggers():
        transaction.execute(statement)
    for table in _TABLES_1:
        columns = ", ".join(IDENTITY[table])
        for identity in transaction.execute(f"SELECT {columns} FROM {table} ORDER BY {columns}").fetchall():  # noqa: S608
            transaction.log("adopted", {"from_version": 1}, (table, tuple(identity)))
    _add_steps(transaction)


def _add_steps(transaction: Transaction) -> None:
    """Gives every scored entry the steps that follow from its stored examples."""
    sizes = {
        row[0]: len(json.loads(row[1])) * len(json.loads(row[2]))
        for row in transaction.execute("SELECT digest, songs, listeners FROM challenges")
    }
    entries = transaction.execute(
        "SELECT team, submission, challenge, scorer, engine, locked FROM entries WHERE kind = 'scored'"
        " ORDER BY entered, id"
    ).fetchall()
    for team, submission, challenge, *columns in entries:
        case, scorer = Case(team, submission, challenge), Scorer(columns[0], columns[1], bool(columns[2]))
        (stored,) = transaction.execute(
            "SELECT count(*) FROM examples WHERE (submission, challenge, scorer, engine, locked) = (?, ?, ?, ?, ?)",
            (submission, challenge, *columns),
        ).fetchone()
        cause = "Entered before the ledger kept states."
        append_step(transaction, case, State.RECEIVED, cause=cause)
        if stored >= sizes.get(challenge, 0):
            append_step(transaction, case, State.SCORING, cause=cause, scorer=scorer)
            append_step(transaction, case, State.SCORED, cause=cause, scorer=scorer)


def _to_version_3(transaction: Transaction) -> None:
    """Stores the values of an example as one JSON object by name, and renames `why` to `reason`."""
    logged = dict(_logged_rows(transaction)) if transaction.logged else {}
    facts = {"from_version": 2, "to_version": 3}
    examples = _rewrite(transaction, "examples", _with_named_values, logged)
    for _, rows in groupby(examples, key=lambda row: row[1][:_KEY]):
        transaction.log("migrated", facts, *rows)
    disqualified = _rewrite(transaction, "disqualifications", lambda row: list(row.values()), logged)
    transaction.log("migrated", facts, *disqualified)


_MIGRATIONS: Mapping[int, Callable[[Transaction], None]] = MappingProxyType(
    {1: _to_version_2, 2: _to_version_3}
)
"""What brings a version to the next one."""


def _with_named_values(row: Mapping[str, Any]) -> list[Any]:
    """A row of `examples` of version 2 as one of version 3."""
    names = list(row)
    first, last = names.index("listener") + 1, names.index("seconds")
    values = {name: row[name] for name in names[first:last]}
    return [
        *(row[name] for name in names[:first]),
        canonical_json(values),
        *(row[name] for name in names[last:]),
    ]


def _rewrite(
    transaction: Transaction,
    table: str,
    convert: Callable[[Mapping[str, Any]], list[Any]],
    logged: Mapping[RowName, str | None],
) -> list[RowName]:
    """Makes a table again in its current form.

    Returns:
        The rows that were as the log had them. The log must not vouch for any other: a row that was changed or
        added behind its back is found by `cad1 verify` after the migration as before it.
    """
    cursor = transaction.execute(f"SELECT * FROM {table} ORDER BY {', '.join(IDENTITY[table])}")  # noqa: S608
    names = [column[0] for column in cursor.description]
    old = cursor.fetchall()
    transaction.execute(f"DROP TABLE {table}")
    transaction.execute(TABLES[table])
    unchanged: list[RowName] = []
    for values in old:
        row = dict(zip(names, values, strict=True))
        new = convert(row)
        transaction.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(new))})", new)  # noqa: S608
        name = (table, tuple(row[column] for column in IDENTITY[table]))
        if transaction.logged and logged.get(name) == row_digest(table, values):
            unchanged.append(name)
    return unchanged


def _logged_rows(transaction: Transaction) -> Iterator[tuple[RowName, str | None]]:
    """Every row that the log mentions with its digest, the latest last; damaged entries are skipped."""
    for (text,) in transaction.execute("SELECT rows FROM log ORDER BY number"):
        try:
            rows = [((row["table"], tuple(row["row"])), row["sha256"]) for row in json.loads(text)]
            hash(tuple(rows))
        except (ValueError, TypeError, KeyError):
            continue
        yield from rows
