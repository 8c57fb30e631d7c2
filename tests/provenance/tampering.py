"""Changes to a store without the harness."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def database(store: Path) -> closing[sqlite3.Connection]:
    """The bare file, without the triggers' protection."""
    db = sqlite3.connect(store / "ledger.sqlite", isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")  # these tests write hundreds of times
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    return closing(db)


def restore_triggers(store: Path, full_store: Path) -> None:
    """Puts the dropped triggers back, as a careful forger would."""
    with closing(sqlite3.connect(full_store / "ledger.sqlite")) as db:
        triggers = db.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    with closing(sqlite3.connect(store / "ledger.sqlite", isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        for (sql,) in triggers:
            db.execute(sql)


def with_left_bass(value: float) -> str:
    """SQL for the values of an example with another one of `left_bass`; the others keep every digit."""
    return f"json_set(haaqi, '$.left_bass', json('{value!r}'))"
