"""Which process is scoring what: one lease per submission, challenge and scorer, renewed by heartbeats.

A lease whose holder is dead is taken over by the next run, and what it left in `scoring` becomes `failed`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from harness.ledger.database import Database
from harness.ledger.entities import Key, Scorer, now
from harness.ledger.states import Case, State, Step
from harness.ledger.steps import LATEST, append_step
from harness.ledger.transaction import Transaction
from harness.protocol.errors import Fault

ENDED_UNEXPECTEDLY = "the run ended unexpectedly"
"""The cause stored for a run whose process died."""

_KEY = "(submission, challenge, scorer, engine, locked) = (?, ?, ?, ?, ?)"
_COLUMNS = (
    "submission, challenge, scorer, engine, locked, team, runner, started, beat, done_at_start, done, total"
)
_ALL = f"SELECT {_COLUMNS} FROM leases ORDER BY team"  # noqa: S608  (constants)


@dataclass(frozen=True)
class Lease:
    """A run that is scoring a submission.

    Attributes:
        key: What is being scored.
        team: For which team.
        runner: The process: its host, its id and its start.
        started: When it began, in UTC.
        beat: Its last heartbeat, in UTC.
        done_at_start: How many examples had a score when it began.
        done: How many examples had a score at the last heartbeat.
        total: How many examples it is to score, including those that had a score already.
    """

    key: Key
    team: str
    runner: str
    started: str
    beat: str
    done_at_start: int
    done: int
    total: int

    @property
    def age(self) -> float:
        """Seconds since the last heartbeat, by the wall clock: the only clock that two hosts share."""
        return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(self.beat)).total_seconds())

    @property
    def elapsed(self) -> float:
        """Seconds from the start to the last heartbeat."""
        started, beat = datetime.fromisoformat(self.started), datetime.fromisoformat(self.beat)
        return max(0.0, (beat - started).total_seconds())

    @property
    def rate(self) -> float | None:
        """Examples scored per second in this run; None before the first."""
        scored = self.done - self.done_at_start
        return scored / self.elapsed if scored > 0 and self.elapsed > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Seconds that the rest takes at this rate; None while the rate is unknown."""
        return None if self.rate is None else max(0, self.total - self.done) / self.rate


def _lease_from_row(row: tuple[Any, ...]) -> Lease:
    key = Key(row[0], row[1], Scorer(row[2], row[3], bool(row[4])))
    lease = Lease(key, *row[5:])
    datetime.fromisoformat(lease.started)  # raises ValueError here, where a damaged row is reported
    datetime.fromisoformat(lease.beat)
    return lease


class Leases:
    """The part of the ledger that holds the leases.

    Args:
        database: The ledger's file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self,
        key: Key,
        *,
        team: str,
        runner: str,
        done: int,
        total: int,
        is_dead: Callable[[Lease], bool],
    ) -> Lease | None:
        """Takes the lease on `key` if no living run has it, in one transaction.

        Whoever has the lease is the only one that scores `key`: every case that is in `scoring` under it belongs
        to a run that has died, and gets the step `failed` with the cause `setup`. So claim first, then move to
        `scoring`.

        Args:
            key: What is to be scored.
            team: For which team.
            runner: The process; the same one may claim again.
            done: How many examples have a score.
            total: How many examples are to have one.
            is_dead: Returns whether the holder of another's lease is dead.

        Returns:
            None if the lease is now held by `runner`; otherwise the lease of the run that holds it.
        """
        with self._database.transaction() as transaction:
            held = _held(transaction, key)
            if held is not None and held.runner != runner and not is_dead(held):
                return held
            _free(transaction, key, left_by=held.runner if held else "")
            transaction.execute(
                f"INSERT INTO leases ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                (*key.values, team, runner, transaction.at, transaction.at, done, done, total),
            )
        return None

    def beat(self, key: Key, *, runner: str, done: int) -> bool:
        """Stores a heartbeat; False if `runner` does not hold the lease any more."""
        with self._database.transaction() as transaction:
            cursor = transaction.execute(
                f"UPDATE leases SET beat = ?, done = ? WHERE runner = ? AND {_KEY}",  # noqa: S608  (constants)
                (now(), done, runner, *key.values),
            )
            return cursor.rowcount == 1

    def release(self, key: Key, *, runner: str) -> None:
        """Gives the lease back; does nothing if `runner` does not hold it any more."""
        with self._database.transaction() as transaction:
            transaction.execute(
                f"DELETE FROM leases WHERE runner = ? AND {_KEY}",  # noqa: S608  (constants)
                (runner, *key.values),
            )

    def all(self) -> list[Lease]:
        """Every lease, by team."""
        return self._database.read(
            _ALL,
            make=_lease_from_row,
        )

    def remove_dead(self, is_dead: Callable[[Lease], bool]) -> list[Lease]:
        """Removes the leases of dead runs and marks their cases as failed; returns these leases."""
        with self._database.transaction() as transaction:
            rows = transaction.execute(_ALL).fetchall()
            dead = [lease for lease in map(_lease_from_row, rows) if is_dead(lease)]
            for lease in dead:
                _free(transaction, lease.key, left_by=lease.runner)
        return dead


def _held(transaction: Transaction, key: Key) -> Lease | None:
    row = transaction.execute(f"SELECT {_COLUMNS} FROM leases WHERE {_KEY}", key.values).fetchone()  # noqa: S608
    return None if row is None else _lease_from_row(row)


def _free(transaction: Transaction, key: Key, *, left_by: str) -> list[Step]:
    """Removes the lease, and moves what its dead holder left in `scoring` to `failed`."""
    transaction.execute(f"DELETE FROM leases WHERE {_KEY}", key.values)  # noqa: S608  (constants)
    orphans = transaction.execute(
        f"SELECT team FROM steps WHERE {LATEST} AND state = ? AND {_KEY}",  # noqa: S608  (constants)
        (State.SCORING, *key.values),
    ).fetchall()
    cause = f"{ENDED_UNEXPECTEDLY} ({left_by})." if left_by else f"{ENDED_UNEXPECTEDLY}."
    return [
        append_step(
            transaction,
            Case(team, key.submission, key.challenge),
            State.FAILED,
            fault=Fault.SETUP,
            cause=cause[0].upper() + cause[1:],
            scorer=key.scorer,
        )
        for (team,) in orphans
    ]
