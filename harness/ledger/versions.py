"""The tables of every version of the ledger, current and earlier: what they must be, and what identifies a row."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from harness.ledger.schema import (
    IDENTITY,
    TABLES,
    WRITTEN_ONCE,
    append_only_triggers,
    read_schema,
    written_once_triggers,
)
from validator.challenge.rules import CAD1

OLDEST_LOGGED = 2
"""The first version that kept a log."""

TABLES_1 = ("challenges", "entries", "runs", "examples", "audits")
"""The tables of version 1."""

_NEW_IN_4 = ("song_references", "audit_plans")
NEW_IN_5 = ("policies", "decisions")

_IDENTITY_4 = {table: names for table, names in IDENTITY.items() if table not in NEW_IN_5}

_IDENTITY_3 = {table: names for table, names in _IDENTITY_4.items() if table not in _NEW_IN_4} | {
    "audits": ("submission", "challenge", "scorer", "song", "listener", "stem")
}


def _without(table: str, *columns: str) -> str:
    """The statement that creates a table, without some of its columns."""
    lines = TABLES[table].split("\n")
    return "\n".join(line for line in lines if line.split()[0] not in columns)


_TABLES_4 = {table: sql for table, sql in TABLES.items() if table not in NEW_IN_5}

_TABLES_3 = {table: sql for table, sql in _TABLES_4.items() if table not in _NEW_IN_4} | {
    "entries": _without("entries", "arrived"),
    "examples": _without("examples", "audio"),
    "audits": _without("audits", "engine", "locked", "attempt", "audio")
    .replace("scorer, engine, locked, song", "scorer, song")
    .replace("stem, attempt)", "stem)"),
}

_TABLES_2 = _TABLES_3 | {
    "examples": _TABLES_3["examples"].replace("haaqi TEXT NOT NULL", f"{' REAL, '.join(CAD1.columns)} REAL"),
    "disqualifications": _TABLES_3["disqualifications"].replace("reason TEXT", "why TEXT"),
}

_EARLIER = {2: _TABLES_2, 3: _TABLES_3, 4: _TABLES_4}
_IDENTITIES = {2: _IDENTITY_3, 3: _IDENTITY_3, 4: _IDENTITY_4}

WRITTEN_ONCE_SINCE = 4
"""The first version with tables whose rows are written once."""


def tables_of(version: int) -> Mapping[str, str]:
    """The statement that creates each table of a version that keeps a log."""
    return _EARLIER.get(version, TABLES)


def identity_of(version: int) -> Mapping[str, tuple[str, ...]]:
    """The tables of a version that its log covers, and the columns that identify a row, as `schema.IDENTITY`."""
    return _IDENTITIES.get(max(version, 2), IDENTITY)


def written_once(version: int) -> list[str]:
    """The tables of a version whose rows are never changed and never removed."""
    return [table for table in WRITTEN_ONCE if version >= WRITTEN_ONCE_SINCE and table in tables_of(version)]


def expected_schema(version: int) -> list[tuple[str, str, str]]:
    """What `schema.read_schema` returns for an unchanged ledger of a version that keeps a log."""
    db = sqlite3.connect(":memory:")
    try:
        for statement in tables_of(version).values():
            db.execute(statement)
        for statement in append_only_triggers() + written_once_triggers(written_once(version)):
            db.execute(statement)
        return read_schema(db)
    finally:
        db.close()
