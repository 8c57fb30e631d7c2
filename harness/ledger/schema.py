"""The ledger's tables: their columns, and which columns identify a row."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

VERSION = 5
"""Version of the tables; every change of a table increases it and adds a step to `harness.ledger.migration`."""

TABLES: dict[str, str] = {
    "challenges": """CREATE TABLE challenges (
    digest TEXT PRIMARY KEY,
    split TEXT NOT NULL,
    songs TEXT NOT NULL,
    listeners TEXT NOT NULL
) STRICT""",
    "entries": """CREATE TABLE entries (
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
    arrived INTEGER NOT NULL,
    UNIQUE (team, challenge, submission, kind, scorer, engine, locked)
) STRICT""",
    "runs": """CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    started TEXT NOT NULL,
    record TEXT NOT NULL
) STRICT""",
    "examples": """CREATE TABLE examples (
    submission TEXT NOT NULL,
    challenge TEXT NOT NULL,
    scorer TEXT NOT NULL,
    engine TEXT NOT NULL,
    locked INTEGER NOT NULL,
    song TEXT NOT NULL,
    listener TEXT NOT NULL,
    haaqi TEXT NOT NULL,
    audio TEXT NOT NULL,
    seconds REAL NOT NULL,
    cpu_seconds REAL NOT NULL,
    run INTEGER REFERENCES runs (id),
    stored TEXT NOT NULL,
    PRIMARY KEY (submission, challenge, scorer, engine, locked, song, listener)
) STRICT, WITHOUT ROWID""",
    "song_references": """CREATE TABLE song_references (
    challenge TEXT NOT NULL REFERENCES challenges (digest),
    song TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (challenge, song)
) STRICT, WITHOUT ROWID""",
    "audit_plans": """CREATE TABLE audit_plans (
    submission TEXT NOT NULL,
    challenge TEXT NOT NULL,
    scorer TEXT NOT NULL,
    engine TEXT NOT NULL,
    locked INTEGER NOT NULL,
    salt TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (submission, challenge, scorer, engine, locked)
) STRICT, WITHOUT ROWID""",
    "audits": """CREATE TABLE audits (
    submission TEXT NOT NULL,
    challenge TEXT NOT NULL,
    scorer TEXT NOT NULL,
    engine TEXT NOT NULL,
    locked INTEGER NOT NULL,
    song TEXT NOT NULL,
    listener TEXT NOT NULL,
    stem TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    fast REAL NOT NULL,
    pyclarity REAL NOT NULL,
    audio TEXT NOT NULL,
    stored TEXT NOT NULL,
    PRIMARY KEY (submission, challenge, scorer, engine, locked, song, listener, stem, attempt)
) STRICT, WITHOUT ROWID""",
    "steps": """CREATE TABLE steps (
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
) STRICT""",
    "leases": """CREATE TABLE leases (
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
) STRICT, WITHOUT ROWID""",
    "failures": """CREATE TABLE failures (
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
) STRICT, WITHOUT ROWID""",
    "peaks": """CREATE TABLE peaks (
    run INTEGER PRIMARY KEY REFERENCES runs (id),
    bytes INTEGER NOT NULL
) STRICT""",
    "disqualifications": """CREATE TABLE disqualifications (
    team TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    who TEXT NOT NULL
) STRICT, WITHOUT ROWID""",
    "policies": """CREATE TABLE policies (
    number INTEGER PRIMARY KEY,
    split TEXT NOT NULL,
    counts TEXT NOT NULL CHECK (counts IN ('latest', 'best', 'chosen')),
    deadline TEXT NOT NULL,
    most INTEGER NOT NULL CHECK (most >= 0),
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    who TEXT NOT NULL
) STRICT""",
    "decisions": """CREATE TABLE decisions (
    number INTEGER PRIMARY KEY,
    team TEXT NOT NULL,
    submission TEXT NOT NULL,
    challenge TEXT NOT NULL REFERENCES challenges (digest),
    kind TEXT NOT NULL CHECK (kind IN ('selected', 'withdrawn', 'reinstated', 'renamed')),
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    who TEXT NOT NULL
) STRICT""",
    "log": """CREATE TABLE log (
    number INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    kind TEXT NOT NULL,
    facts TEXT NOT NULL,
    rows TEXT NOT NULL,
    previous TEXT NOT NULL,
    sha256 TEXT NOT NULL
) STRICT""",
}
"""The statement that creates each table.

`examples.haaqi` is a canonical JSON object of value by name, null where the reference is silent; `examples.audio`
and `audits.audio` are the SHA-256 of what was scored, empty if it is not known; `entries.arrived` is the number of
the log entry that entered it (up to version 4, that entered it last); the column `scorer` holds the scorer digest.
`decisions.team` is the name under which the submission was received, `decisions.name` its team's new name.
"""

_APPEND_ONLY = ("log", "steps")

WRITTEN_ONCE = (
    "challenges",
    "runs",
    "examples",
    "song_references",
    "audit_plans",
    "audits",
    "policies",
    "decisions",
)
"""The tables whose rows are never changed and never removed."""

_KEY = ("submission", "challenge", "scorer", "engine", "locked")
_EXAMPLE = (*_KEY, "song", "listener")

IDENTITY: dict[str, tuple[str, ...]] = {
    "challenges": ("digest",),
    "entries": ("id",),
    "runs": ("id",),
    "examples": _EXAMPLE,
    "song_references": ("challenge", "song"),
    "audit_plans": _KEY,
    "audits": (*_EXAMPLE, "stem", "attempt"),
    "steps": ("number",),
    "failures": _EXAMPLE,
    "peaks": ("run",),
    "disqualifications": ("team",),
    "policies": ("number",),
    "decisions": ("number",),
}
"""The tables whose every row has an entry in the log, and the columns that identify a row.

Leases are not logged: they are not results, and are removed when the work is done.
"""


def triggers() -> list[str]:
    """The statements that make the tables `log` and `steps` append-only, and rows of others written once."""
    return append_only_triggers() + written_once_triggers()


def written_once_triggers(tables: Iterable[str] = WRITTEN_ONCE) -> list[str]:
    """The statements that refuse every change of a row of these tables, which are written once."""
    found = []
    for table in tables:
        refuse = f"BEGIN SELECT RAISE(ABORT, 'a row of the table {table} is written once'); END"
        names = ", ".join(IDENTITY[table])
        new = ", ".join(f"NEW.{column}" for column in IDENTITY[table])
        found += [
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} {refuse}"
            for verb in ("UPDATE", "DELETE")
        ]
        found.append(  # INSERT OR REPLACE removes a row without firing the trigger for DELETE
            f"CREATE TRIGGER {table}_once BEFORE INSERT ON {table}"  # noqa: S608  (constants)
            f" WHEN EXISTS (SELECT 1 FROM {table} WHERE ({names}) = ({new})) {refuse}"
        )
    return found


def append_only_triggers() -> list[str]:
    """The statements that make the tables `log` and `steps` append-only."""
    found = [
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}"
        f" BEGIN SELECT RAISE(ABORT, 'the table {table} is append-only'); END"
        for table in _APPEND_ONLY
        for verb in ("UPDATE", "DELETE")
    ]
    found += [  # INSERT OR REPLACE removes a row without firing the trigger for DELETE
        f"CREATE TRIGGER {table}_in_order BEFORE INSERT ON {table}"  # noqa: S608  (constants)
        f" WHEN NEW.number IS NOT (SELECT coalesce(max(number), 0) + 1 FROM {table})"
        f" BEGIN SELECT RAISE(ABORT, 'the table {table} is append-only'); END"
        for table in _APPEND_ONLY
    ]
    return found


def create_tables(db: sqlite3.Connection) -> None:
    """Creates all tables and triggers, within the caller's transaction."""
    for statement in [*TABLES.values(), *triggers()]:
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {VERSION}")


def read_schema(db: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """The tables, indexes and triggers of a database: type, name and SQL, sorted."""
    return sorted(
        (str(kind), str(name), str(sql or ""))
        for kind, name, sql in db.execute("SELECT type, name, sql FROM sqlite_master")
    )
