"""Rows that several methods of the ledger write: a challenge, a team's entry, an example."""

from __future__ import annotations

import json
from typing import Any

from harness.ledger.entities import Entry, Key, Roster, StoredExample
from harness.ledger.transaction import Transaction
from harness.ledger.values import render_values

KEY = "(submission, challenge, scorer, engine, locked) = (?, ?, ?, ?, ?)"
"""The condition for the rows of a key; its parameters are `Key.values`."""


def add_roster(transaction: Transaction, roster: Roster) -> None:
    """Stores a challenge, if it is not stored already.

    The first log entry of every ledger, this one or that of a policy, gives the version: a migration can't be made
    up later.
    """
    if transaction.execute("SELECT 1 FROM challenges WHERE digest = ?", (roster.digest,)).fetchone():
        return
    transaction.execute(
        "INSERT INTO challenges VALUES (?, ?, ?, ?)",
        (roster.digest, roster.split, json.dumps(roster.songs), json.dumps(roster.listeners)),
    )
    facts = {"split": roster.split, "version": transaction.version}
    transaction.log("challenge", facts, ("challenges", (roster.digest,)))


def enter(transaction: Transaction, entry: Entry) -> None:
    """Enters a submission; does nothing if the same scorer has entered it before."""
    key, scorer = entry.key, entry.key.scorer
    same: tuple[Any, ...] = (entry.team, key.challenge, key.submission, entry.kind)
    before = transaction.execute(
        "SELECT scorer, engine, locked FROM entries WHERE (team, challenge, submission, kind) = (?, ?, ?, ?)",
        same,
    ).fetchall()
    if (scorer.digest, scorer.engine, int(scorer.locked)) in before:
        return
    number = transaction.execute(
        "INSERT INTO entries"
        " (team, challenge, submission, kind, scorer, engine, locked, name, bytes, entered, arrived)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (*same, scorer.digest, scorer.engine, int(scorer.locked), entry.name, entry.bytes)
        + (entry.entered or transaction.at, transaction.next_number),
    ).fetchone()[0]
    kind = "entered" if entry.kind == "scored" else entry.kind
    if before:
        kind = "re-scored"
    facts = {
        "team": entry.team,
        "submission": key.submission,
        "scorer": scorer.digest,
        "engine": scorer.engine,
    }
    transaction.log(kind, facts, ("entries", (number,)))


def store_example(
    transaction: Transaction,
    key: Key,
    example: StoredExample,
    *,
    run: int | None,
    seconds: float,
    cpu_seconds: float,
) -> bool:
    """Stores an example and removes its failure; False, without any change, if it is stored already."""
    identity = (*key.values, example.song, example.listener)
    values = render_values(example.values)
    one_example = f"{KEY} AND (song, listener) = (?, ?)"
    if transaction.execute(f"SELECT 1 FROM examples WHERE {one_example}", identity).fetchone():  # noqa: S608
        return False
    row = (*identity, values, example.audio, seconds, cpu_seconds, run, transaction.at)
    transaction.execute(f"INSERT INTO examples VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608
    removed = transaction.execute(f"DELETE FROM failures WHERE {one_example}", identity)  # noqa: S608
    rows = [("examples", identity), *([("failures", identity)] if removed.rowcount else [])]
    transaction.log("scored" if run is not None else "stored", {"run": run}, *rows)
    return True
