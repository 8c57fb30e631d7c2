"""The SQLite ledger: every submission, its way, every example's eight values, and how each was made.

An example is stored in one transaction as it arrives: it is scored or it is not. Every write is in the log, in the
same transaction. WAL mode lets the ranking be read while scores come in.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any

from harness.ledger.database import BUSY_SECONDS, FILE
from harness.ledger.entities import (
    AUDIT_TOLERANCE,
    AuditRecord,
    Disqualification,
    Entry,
    Failure,
    Key,
    Roster,
    RunDetails,
    Scorer,
    StoredExample,
    mean,
    now,
)
from harness.ledger.history import Ways
from harness.ledger.leases import Lease, Leases
from harness.ledger.log import COLUMNS as LOG_COLUMNS
from harness.ledger.log import GENESIS, LogEntry
from harness.ledger.schema import VERSION
from harness.ledger.states import Case, State, Step
from harness.ledger.steps import MAX_CAUSE, one_line
from harness.ledger.transaction import Transaction
from harness.protocol.errors import Fault, InternalError
from harness.protocol.records import RunRecord
from validator.challenge.rules import CAD1

__all__ = [
    "AUDIT_TOLERANCE",
    "BUSY_SECONDS",
    "FILE",
    "VERSION",
    "AuditRecord",
    "Case",
    "Disqualification",
    "Entry",
    "Failure",
    "Key",
    "Lease",
    "Ledger",
    "LogEntry",
    "Roster",
    "RunDetails",
    "Scorer",
    "State",
    "Step",
    "StoredExample",
    "mean",
    "now",
]

_KEY = "(submission, challenge, scorer, engine, locked) = (?, ?, ?, ?, ?)"


class Ledger(Ways, Leases):
    """The scores of one store, and everything that was done to them.

    Args:
        store: The store's folder; made if it is not there, unless `read_only`.
        read_only: Nothing is created; an absent ledger is a fault.

    Raises:
        SetupError: If it can't be opened, or was made by a later version.
    """

    def add_roster(self, roster: Roster) -> None:
        """Keeps the songs and listeners of a challenge."""
        with self._write() as transaction:
            _add_roster(transaction, roster)

    def rosters(self) -> dict[str, Roster]:
        """Every challenge that something was entered for, by digest."""
        rows = self._read(
            "SELECT digest, split, songs, listeners FROM challenges ORDER BY rowid",
            make=lambda row: Roster(row[0], row[1], tuple(json.loads(row[2])), tuple(json.loads(row[3]))),
        )
        return {roster.digest: roster for roster in rows}

    def enter(self, entry: Entry) -> None:
        """Enters a submission for a team; again is no change but for the time, which makes it the latest."""
        with self._write() as transaction:
            _enter(transaction, entry)

    def report(self, entry: Entry, roster: Roster, examples: Iterable[StoredExample]) -> None:
        """Enters scores that a team computed itself: all of it in one transaction."""
        with self._write() as transaction:
            _add_roster(transaction, roster)
            for example in examples:
                _store(transaction, entry.key, example, run=None, seconds=0.0, cpu_seconds=0.0)
            _enter(transaction, entry)

    def entries(self) -> list[Entry]:
        """All entries, the oldest first."""
        with self.snapshot():
            known = self.rosters()
            return self._read(
                "SELECT team, submission, challenge, scorer, engine, locked, name, bytes, kind, entered"
                " FROM entries ORDER BY entered, id",
                make=lambda row: _entry_of(row, known),
            )

    def start_run(self, record: RunRecord) -> int:
        """Notes how the following examples are made; returns the run's number."""
        with self._write() as transaction:
            cursor = transaction.execute(
                "INSERT INTO runs (started, record) VALUES (?, ?)", (transaction.at, record.to_json())
            )
            number = int(cursor.lastrowid or 0)
            transaction.log("run", {"run": number, "sandbox": record.sandbox}, ("runs", (number,)))
            return number

    def note_peak(self, run: int, peak: int) -> None:
        """Notes the peak memory of one of a run's sandboxes, in bytes; the greatest is kept."""
        with self._write() as transaction:
            cursor = transaction.execute(
                "INSERT INTO peaks VALUES (?, ?) ON CONFLICT DO UPDATE SET bytes = excluded.bytes"
                " WHERE excluded.bytes > bytes",
                (run, peak),
            )
            if cursor.rowcount > 0:
                transaction.log("peak", {"run": run, "bytes": peak}, ("peaks", (run,)))

    def runs(self, key: Key) -> list[RunRecord]:
        """How a submission's examples were made."""
        return [details.record for details in self.run_details(key)]

    def run_details(self, key: Key) -> list[RunDetails]:
        """The runs that scored a submission's examples, and what they took, the oldest first."""
        return self._read(
            "SELECT runs.id, started, record, max(peaks.bytes), count(*), sum(seconds), sum(cpu_seconds)"  # noqa: S608
            " FROM examples JOIN runs ON runs.id = examples.run LEFT JOIN peaks ON peaks.run = runs.id"
            f" WHERE {_KEY} GROUP BY runs.id ORDER BY runs.id",
            key.values,
            make=lambda row: RunDetails(row[0], row[1], RunRecord.model_validate_json(row[2]), *row[3:]),
        )

    def store(
        self,
        key: Key,
        example: StoredExample,
        *,
        run: int | None,
        seconds: float = 0.0,
        cpu_seconds: float = 0.0,
    ) -> bool:
        """Stores one example in one transaction, and removes what it failed of before.

        Returns:
            False, and no change, if it was there already.
        """
        with self._write() as transaction:
            return _store(transaction, key, example, run=run, seconds=seconds, cpu_seconds=cpu_seconds)

    def examples(self, key: Key) -> dict[tuple[str, str], StoredExample]:
        """A submission's scored examples by (song, listener)."""
        found = self._read(
            f"SELECT song, listener, {', '.join(CAD1.columns)} FROM examples WHERE {_KEY}",  # noqa: S608
            key.values,
            make=_example_of,
        )
        return {(example.song, example.listener): example for example in found}

    def store_failure(self, key: Key, failure: Failure) -> bool:
        """Notes why an example has no score, in place of what was noted before.

        Returns:
            False, and no change, if it has a score.

        Raises:
            InternalError: If nobody's fault is said.
        """
        if failure.fault not in set(Fault):
            raise InternalError(
                f"An example can't fail by the fault of {failure.fault!r}.", hint="Please report it."
            )
        with self._write() as transaction:
            identity = (*key.values, failure.song, failure.listener)
            if transaction.execute(
                f"SELECT 1 FROM examples WHERE {_KEY} AND (song, listener) = (?, ?)",  # noqa: S608
                identity,
            ).fetchone():
                return False
            transaction.execute(
                "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*identity, failure.fault, failure.code)
                + (one_line(failure.message)[:MAX_CAUSE], one_line(failure.path)[:MAX_CAUSE])
                + (failure.at or transaction.at,),
            )
            facts = {"song": failure.song, "listener": failure.listener, "fault": failure.fault}
            transaction.log("failed", facts, ("failures", identity))
            return True

    def failures(self, key: Key) -> list[Failure]:
        """Why a submission's examples have no score, by song and listener."""
        return self._read(
            f"SELECT song, listener, fault, code, message, path, at FROM failures WHERE {_KEY}"  # noqa: S608
            " ORDER BY song, listener",
            key.values,
            make=lambda row: Failure(*row),
        )

    def store_audit(self, key: Key, audit: AuditRecord) -> None:
        """Stores one stem's audit, in place of an earlier one of the same stem."""
        with self._write() as transaction:
            identity = (
                key.submission,
                key.challenge,
                key.scorer.digest,
                audit.song,
                audit.listener,
                audit.stem,
            )
            transaction.execute(
                "INSERT OR REPLACE INTO audits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*identity, audit.fast, audit.pyclarity, transaction.at),
            )
            transaction.log("audited", {"difference": audit.difference}, ("audits", identity))

    def audits(self, key: Key) -> list[AuditRecord]:
        """A submission's audited stems."""
        return self._read(
            "SELECT song, listener, stem, fast, pyclarity FROM audits"
            " WHERE (submission, challenge, scorer) = (?, ?, ?) ORDER BY song, listener, stem",
            key.values[:3],
            make=lambda row: AuditRecord(*row),
        )

    def log(self) -> list[LogEntry]:
        """Everything that was ever done to this ledger, the oldest first."""
        return self._read(
            f"SELECT {', '.join(LOG_COLUMNS)} FROM log ORDER BY number",  # noqa: S608  (constants)
            make=lambda row: LogEntry(*row),
        )

    def head(self) -> str:
        """The SHA-256 of the log's last entry: it stands for all that the ledger holds."""
        last = self._read("SELECT sha256 FROM log ORDER BY number DESC LIMIT 1", make=lambda row: str(row[0]))
        return last[0] if last else GENESIS


def _example_of(row: tuple[Any, ...]) -> StoredExample:
    song, listener, *values = row
    if any(not isinstance(value, float | None) for value in values):
        raise ValueError(f"a value of {song} for {listener} that is no number")
    return StoredExample(song, listener, dict(zip(CAD1.columns, values, strict=True)))


def _entry_of(row: tuple[Any, ...], known: Collection[str]) -> Entry:
    team, submission, challenge, digest, engine, locked, *rest = row
    if challenge not in known:
        raise ValueError(f"an entry of {team} for a challenge that is not there")
    return Entry(team, Key(submission, challenge, Scorer(digest, engine, bool(locked))), *rest)


def _add_roster(transaction: Transaction, roster: Roster) -> None:
    cursor = transaction.execute(
        "INSERT INTO challenges VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (roster.digest, roster.split, json.dumps(roster.songs), json.dumps(roster.listeners)),
    )
    if cursor.rowcount == 1:
        transaction.log("challenge", {"split": roster.split}, ("challenges", (roster.digest,)))


def _enter(transaction: Transaction, entry: Entry) -> None:
    key, scorer = entry.key, entry.key.scorer
    same: tuple[Any, ...] = (entry.team, key.challenge, key.submission, entry.kind)
    before = transaction.execute(
        "SELECT scorer, engine, locked FROM entries WHERE (team, challenge, submission, kind) = (?, ?, ?, ?)",
        same,
    ).fetchall()
    number = transaction.execute(
        "INSERT INTO entries (team, challenge, submission, kind, scorer, engine, locked, name, bytes, entered)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET entered = excluded.entered, name = excluded.name RETURNING id",
        (*same, scorer.digest, scorer.engine, int(scorer.locked), entry.name, entry.bytes)
        + (entry.entered or transaction.at,),
    ).fetchone()[0]
    kind = "entered" if entry.kind == "scored" else entry.kind
    if before and (scorer.digest, scorer.engine, int(scorer.locked)) not in before:
        kind = "re-scored"
    facts = {
        "team": entry.team,
        "submission": key.submission,
        "scorer": scorer.digest,
        "engine": scorer.engine,
    }
    transaction.log(kind, facts, ("entries", (number,)))


def _store(
    transaction: Transaction,
    key: Key,
    example: StoredExample,
    *,
    run: int | None,
    seconds: float,
    cpu_seconds: float,
) -> bool:
    identity = (*key.values, example.song, example.listener)
    cursor = transaction.execute(
        f"INSERT INTO examples VALUES ({', '.join('?' * 19)}) ON CONFLICT DO NOTHING",  # noqa: S608
        (
            *identity,
            *(example.values[name] for name in CAD1.columns),
            seconds,
            cpu_seconds,
            run,
            transaction.at,
        ),
    )
    if cursor.rowcount != 1:
        return False
    removed = transaction.execute(
        f"DELETE FROM failures WHERE {_KEY} AND (song, listener) = (?, ?)",  # noqa: S608  (constants)
        identity,
    )
    rows = [("examples", identity), *([("failures", identity)] if removed.rowcount else [])]
    transaction.log("scored" if run is not None else "stored", {"run": run}, *rows)
    return True
