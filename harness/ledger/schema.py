"""The ledger's tables: what each column holds, which columns name a row, and how older versions are brought up."""

from __future__ import annotations

import sqlite3

from validator.challenge.rules import CAD1

VERSION = 2
"""Goes up with every change of the tables."""

_VERSION_1 = f"""
CREATE TABLE challenges (
    digest TEXT PRIMARY KEY,
    split TEXT NOT NULL,
    songs TEXT NOT NULL,
    listeners TEXT NOT NULL
) STRICT;
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    team TEXT NOT NULL,
    challenge TEXT NOT NULL REFERENCES challenges (digest),
    submission TEXT NOT NULL,
    name TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('scored', 'self-reported')),
    scorer TEXT NOT NULL,
    engine TEXT NOT NULL,
    locked INTEGER NOT NULL,
    entered TEXT NOT NULL,
    UNIQUE (team, challenge, submission, kind, scorer, engine, locked)
) STRICT;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    started TEXT NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE TABLE examples (
    submission TEXT NOT NULL,
    challenge TEXT NOT NULL,
    scorer TEXT NOT NULL,
    engine TEXT NOT NULL,
    locked INTEGER NOT NULL,
    song TEXT NOT NULL,
    listener TEXT NOT NULL,
    {" REAL, ".join(CAD1.columns)} REAL,
    seconds REAL NOT NULL,
    cpu_seconds REAL NOT NULL,
    run INTEGER REFERENCES runs (id),
    stored TEXT NOT NULL,
    PRIMARY KEY (submission, challenge, scorer, engine, locked, song, listener)
) STRICT, WITHOUT ROWID;
CREATE TABLE audits (
    submission TEXT NOT NULL,
    challenge TEXT NOT NULL,
    scorer TEXT NOT NULL,
    song TEXT NOT NULL,
    listener TEXT NOT NULL,
    stem TEXT NOT NULL,
    fast REAL NOT NULL,
    pyclarity REAL NOT NULL,
    stored TEXT NOT NULL,
    PRIMARY KEY (submission, challenge, scorer, song, listener, stem)
) STRICT, WITHOUT ROWID;
"""

_VERSION_2 = """
CREATE TABLE steps (
    number INTEGER PRIMARY KEY,
    team TEXT NOT NULL,
    submission TEXT NOT NULL,
    challenge TEXT NOT NULL REFERENCES challenges (digest),
    state TEXT NOT NULL CHECK (state IN ('received', 'invalid', 'scoring', 'scored', 'failed')),
    fault TEXT NOT NULL,
    cause TEXT NOT NULL,
    scorer TEXT,
    engine TEXT,
    locked INTEGER,
    at TEXT NOT NULL,
    who TEXT NOT NULL
) STRICT;
CREATE TABLE leases (
    submission TEXT NOT NULL,
    challenge TEXT NOT NULL,
    scorer TEXT NOT NULL,
    engine TEXT NOT NULL,
    locked INTEGER NOT NULL,
    team TEXT NOT NULL,
    runner TEXT NOT NULL,
    started TEXT NOT NULL,
    beat TEXT NOT NULL,
    done_at_start INTEGER NOT NULL,
    done INTEGER NOT NULL,
    total INTEGER NOT NULL,
    PRIMARY KEY (submission, challenge, scorer, engine, locked)
) STRICT, WITHOUT ROWID;
CREATE TABLE failures (
    submission TEXT NOT NULL,
    challenge TEXT NOT NULL,
    scorer TEXT NOT NULL,
    engine TEXT NOT NULL,
    locked INTEGER NOT NULL,
    song TEXT NOT NULL,
    listener TEXT NOT NULL,
    fault TEXT NOT NULL,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    path TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (submission, challenge, scorer, engine, locked, song, listener)
) STRICT, WITHOUT ROWID;
CREATE TABLE peaks (
    run INTEGER PRIMARY KEY REFERENCES runs (id),
    bytes INTEGER NOT NULL
) STRICT;
CREATE TABLE disqualifications (
    team TEXT PRIMARY KEY,
    why TEXT NOT NULL,
    at TEXT NOT NULL,
    who TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE log (
    number INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    kind TEXT NOT NULL,
    facts TEXT NOT NULL,
    rows TEXT NOT NULL,
    previous TEXT NOT NULL,
    sha256 TEXT NOT NULL
) STRICT;
"""

_APPEND_ONLY = ("log", "steps")

_EXAMPLE = ("submission", "challenge", "scorer", "engine", "locked", "song", "listener")

IDENTITY: dict[str, tuple[str, ...]] = {
    "challenges": ("digest",),
    "entries": ("id",),
    "runs": ("id",),
    "examples": _EXAMPLE,
    "audits": ("submission", "challenge", "scorer", "song", "listener", "stem"),
    "steps": ("number",),
    "failures": _EXAMPLE,
    "peaks": ("run",),
    "disqualifications": ("team",),
}
"""The tables whose every row has an entry in the log, and the columns that name a row.

A lease is no result: it says who is at work now, and goes when the work is done.
"""

ADOPTED = ("challenges", "entries", "runs", "examples", "audits")
"""The tables of version 1, which had no log."""


def statements(version: int = VERSION) -> list[str]:
    """What makes the tables of version 1, or what version 2 has beside them, one statement each."""
    if version == 1:
        return _split(_VERSION_1)
    triggers = [
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}"
        f" BEGIN SELECT RAISE(ABORT, 'the table {table} is append-only'); END"
        for table in _APPEND_ONLY
        for verb in ("UPDATE", "DELETE")
    ]
    triggers += [  # INSERT OR REPLACE would remove a row without asking the trigger for DELETE
        f"CREATE TRIGGER {table}_in_order BEFORE INSERT ON {table}"  # noqa: S608  (constants)
        f" WHEN NEW.number IS NOT (SELECT coalesce(max(number), 0) + 1 FROM {table})"
        f" BEGIN SELECT RAISE(ABORT, 'the table {table} is append-only'); END"
        for table in _APPEND_ONLY
    ]
    return _split(_VERSION_2) + triggers


def _split(text: str) -> list[str]:
    return [statement.strip() for statement in text.split(";") if statement.strip()]


def create(db: sqlite3.Connection) -> None:
    """Makes all tables, within the caller's transaction."""
    for statement in statements(1) + statements(VERSION):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {VERSION}")


def found(db: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """The tables, indexes and triggers that a database has: type, name and SQL, sorted."""
    return sorted(
        (str(kind), str(name), str(sql or ""))
        for kind, name, sql in db.execute("SELECT type, name, sql FROM sqlite_master")
    )


def expected() -> list[tuple[str, str, str]]:
    """The same, as they must be."""
    db = sqlite3.connect(":memory:")
    try:
        create(db)
        return found(db)
    finally:
        db.close()
