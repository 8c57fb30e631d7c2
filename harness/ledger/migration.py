"""Brings a ledger of an earlier version up to the current one.

Version 1 had no log and no states. Version 2 stored the values of an example in a column each, and the reason of a
disqualification in a column `why`. Version 3 ordered entries by the clock, kept one audit of a stem whatever scored
it, and did not know of which audio a score was made. Version 4 knew no decisions about single submissions. The log
is append-only: a migration appends entries with the new digests of the rows that it rewrote, and every entry before
stays as it was, the old head included.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from types import MappingProxyType
from typing import Any

from harness.ledger.entities import Scorer
from harness.ledger.log import canonical_json, row_digest
from harness.ledger.schema import VERSION, append_only_triggers, written_once_triggers
from harness.ledger.states import Case, State
from harness.ledger.steps import append_step
from harness.ledger.transaction import RowName, Transaction
from harness.ledger.versions import NEW_IN_5, TABLES_1, identity_of, tables_of, written_once
from validator.challenge.rules import CAD1

Row = Mapping[str, Any]
"""A row by column, in the order of the columns."""

_KEY = len(identity_of(VERSION)["audit_plans"])
"""How many columns identify the submission, the challenge and the scorer."""


def migrate(db: sqlite3.Connection, *, logged: bool = True) -> None:
    """Migrates the tables, within the caller's transaction.

    Args:
        db: A ledger of version 1 up to the current one.
        logged: False for a copy in memory that is only read: its log stays as it is stored.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    for before in range(version, VERSION):
        _MIGRATIONS[before](Transaction(db, logged=logged, version=before + 1))
    db.execute(f"PRAGMA user_version = {VERSION}")


def _to_version_2(transaction: Transaction) -> None:
    """Adds the log and the states, and enters all rows in the log: it vouches for them from here on."""
    new = [sql for table, sql in tables_of(2).items() if table not in TABLES_1]
    for statement in new + append_only_triggers():
        transaction.execute(statement)
    for table in TABLES_1:
        columns = ", ".join(identity_of(2)[table])
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
        " ORDER BY entered, id"  # version 1 knew no other order
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
    logged = _logged_digests(transaction)
    examples = _rewrite(transaction, "examples", _with_named_values, logged)
    disqualified = _rewrite(
        transaction,
        "disqualifications",
        lambda row: {"reason" if name == "why" else name: value for name, value in row.items()},
        logged,
    )
    _log_rewritten(transaction, examples, disqualified)


def _to_version_4(transaction: Transaction) -> None:
    """Adds references, plans of audits and attempts; orders entries by the log; makes rows written once.

    Until now only scores of the locked fast engine were audited, and the submission alone determined which stems:
    the plan of these audits has no salt, and is complete with what is stored.
    """
    logged, arrivals = _logged_digests(transaction), _arrivals(transaction)
    examples = _rewrite(transaction, "examples", lambda row: _inserted(row, "haaqi", {"audio": ""}), logged)
    audits = _rewrite(transaction, "audits", _with_attempt, logged)
    entries = _rewrite(transaction, "entries", lambda row: {**row, "arrived": arrivals[row["id"]]}, logged)
    for table in ("song_references", "audit_plans"):
        transaction.execute(tables_of(4)[table])
    key = ", ".join(identity_of(4)["audit_plans"])
    transaction.execute(f"INSERT INTO audit_plans SELECT {key}, '', count(*) FROM audits GROUP BY {key}")  # noqa: S608
    plans = transaction.execute(f"SELECT {key} FROM audit_plans").fetchall()  # noqa: S608
    for statement in written_once_triggers(written_once(4)):
        transaction.execute(statement)
    _log_rewritten(
        transaction, examples, [*audits, *entries, *(("audit_plans", tuple(one)) for one in plans)]
    )


def _to_version_5(transaction: Transaction) -> None:
    """Adds policies and decisions about submissions."""
    for statement in [tables_of(5)[table] for table in NEW_IN_5] + written_once_triggers(NEW_IN_5):
        transaction.execute(statement)
    _log_rewritten(transaction, [], [])


_MIGRATIONS: Mapping[int, Callable[[Transaction], None]] = MappingProxyType(
    {1: _to_version_2, 2: _to_version_3, 3: _to_version_4, 4: _to_version_5}
)
"""What brings a version to the next one."""


def _log_rewritten(transaction: Transaction, examples: Iterable[RowName], others: Iterable[RowName]) -> None:
    """Logs the rows of a migration: an entry for the examples of each submission, and one for all others."""
    facts = {"from_version": transaction.version - 1, "to_version": transaction.version}
    for _, rows in groupby(examples, key=lambda row: row[1][:_KEY]):
        transaction.log("migrated", facts, *rows)
    transaction.log("migrated", facts, *others)


def _with_named_values(row: Row) -> Row:
    """A row of `examples` of version 2 as one of version 3."""
    values = {name: row[name] for name in CAD1.columns}
    rest = {name: value for name, value in row.items() if name not in values}
    return _inserted(rest, "listener", {"haaqi": canonical_json(values)})


def _with_attempt(row: Row) -> Row:
    """A row of `audits` of version 3 as one of version 4."""
    row = _inserted(row, "scorer", {"engine": "fast", "locked": 1})
    row = _inserted(row, "stem", {"attempt": 1})
    return _inserted(row, "pyclarity", {"audio": ""})


def _inserted(row: Row, after: str, new: Row) -> Row:
    """The row with new columns after one of its own."""
    made: dict[str, Any] = {}
    for name, value in row.items():
        made[name] = value
        if name == after:
            made |= new
    return made


def _arrivals(transaction: Transaction) -> dict[int, int]:
    """For each entry by its id, the number of the log entry that entered it last.

    What version 1 entered has no such number: it keeps the order of its clock, before everything that came later.
    """
    arrivals: dict[int, int] = {}
    for number, kind, text in transaction.execute("SELECT number, kind, rows FROM log ORDER BY number"):
        if kind not in {"adopted", "migrated"}:
            arrivals |= {
                name[0]: number for (table, name), _ in _parse_rows(text) if table == "entries" and name
            }
    ids = [row[0] for row in transaction.execute("SELECT id FROM entries ORDER BY entered, id")]
    older = [one for one in ids if one not in arrivals]
    return arrivals | {one: place - len(older) for place, one in enumerate(older)}


def _rewrite(
    transaction: Transaction,
    table: str,
    convert: Callable[[Row], Row],
    logged: Mapping[RowName, str | None],
) -> list[RowName]:
    """Makes a table again in the form of the transaction's version.

    Returns:
        The rows that were as the log had them; one that was identified by other columns also by its old name. The
        log must not vouch for any other: a row that was changed or added behind its back is found by `cad1 verify`
        after the migration as before it.
    """
    before, after = (
        identity_of(version)[table] for version in (transaction.version - 1, transaction.version)
    )
    cursor = transaction.execute(f"SELECT * FROM {table} ORDER BY {', '.join(before)}")  # noqa: S608
    names = [column[0] for column in cursor.description]
    old = cursor.fetchall()
    transaction.execute(f"DROP TABLE {table}")
    transaction.execute(tables_of(transaction.version)[table])
    unchanged: list[RowName] = []
    for values in old:
        row = dict(zip(names, values, strict=True))
        new = convert(row)
        marks = ", ".join("?" * len(new))
        transaction.execute(f"INSERT INTO {table} VALUES ({marks})", list(new.values()))  # noqa: S608
        old_name = (table, tuple(row[column] for column in before))
        new_name = (table, tuple(new[column] for column in after))
        if logged.get(old_name) == row_digest(table, values):
            unchanged += [new_name] if new_name == old_name else [old_name, new_name]
    return unchanged


def _logged_digests(transaction: Transaction) -> dict[RowName, str | None]:
    """The latest digest of every row that the log mentions; empty if this migration isn't logged."""
    digests: dict[RowName, str | None] = {}
    if transaction.logged:
        for (text,) in transaction.execute("SELECT rows FROM log ORDER BY number"):
            digests.update(_parse_rows(text))
    return digests


def _parse_rows(text: str) -> Iterator[tuple[RowName, str | None]]:
    """The rows of a log entry, each with its digest; none if the entry is damaged."""
    try:
        rows = [((row["table"], tuple(row["row"])), row["sha256"]) for row in json.loads(text)]
        hash(tuple(rows))
    except (ValueError, TypeError, KeyError):
        return
    yield from rows
