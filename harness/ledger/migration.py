"""A ledger of version 1 brought up to version 2: its rows are adopted into the log, its entries get their way."""

from __future__ import annotations

import json
import sqlite3

from harness.ledger.entities import Scorer
from harness.ledger.schema import ADOPTED, IDENTITY, VERSION, statements
from harness.ledger.states import Case, State
from harness.ledger.steps import append_step
from harness.ledger.transaction import Transaction


def migrate(db: sqlite3.Connection) -> None:
    """Adds what version 2 has, within the caller's transaction.

    What the rows were before this moment the log can't know: it vouches for them from here on.
    """
    for statement in statements(VERSION):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {VERSION}")
    transaction = Transaction(db)
    for table in ADOPTED:
        columns = ", ".join(IDENTITY[table])
        for identity in db.execute(f"SELECT {columns} FROM {table} ORDER BY {columns}").fetchall():  # noqa: S608
            transaction.log("adopted", {"from_version": 1}, (table, tuple(identity)))
    _find_ways(transaction)


def _find_ways(transaction: Transaction) -> None:
    """Gives every scored entry the steps that its examples tell of."""
    rosters = {
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
        if stored >= rosters.get(challenge, 0):
            append_step(transaction, case, State.SCORING, cause=cause, scorer=scorer)
            append_step(transaction, case, State.SCORED, cause=cause, scorer=scorer)
