"""Who is at work on what: one lease a submission, challenge and scorer, kept alive by beats.

A lease whose holder is dead is taken over by whoever comes next, and what it left in `scoring` is told as failed.
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

WITHOUT_A_WORD = "the run ended without a word"

_KEY = "(submission, challenge, scorer, engine, locked) = (?, ?, ?, ?, ?)"
_COLUMNS = (
    "submission, challenge, scorer, engine, locked, team, runner, started, beat, done_at_start, done, total"
)


@dataclass(frozen=True)
class Lease:
    """A run at work.

    Attributes:
        key: On what.
        team: For which team.
        runner: Who: tells one process of one host from every other.
        started: When it began, in UTC.
        beat: When it last gave a sign of life, in UTC.
        done_at_start: Examples that had a score when it began.
        done: Examples that had one at the last beat.
        total: Examples that it is to score, with those that had a score already.
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
        """Seconds since the last beat, by the wall clock: two hosts share no other."""
        return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(self.beat)).total_seconds())

    @property
    def elapsed(self) -> float:
        """Seconds from the start to the last beat."""
        started, beat = datetime.fromisoformat(self.started), datetime.fromisoformat(self.beat)
        return max(0.0, (beat - started).total_seconds())

    @property
    def rate(self) -> float | None:
        """Examples a second in this run; None before the first."""
        scored = self.done - self.done_at_start
        return scored / self.elapsed if scored > 0 and self.elapsed > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at this rate; None where that can't be told."""
        return None if self.rate is None else max(0, self.total - self.done) / self.rate


def _lease_of(row: tuple[Any, ...]) -> Lease:
    key = Key(row[0], row[1], Scorer(row[2], row[3], bool(row[4])))
    lease = Lease(key, *row[5:])
    datetime.fromisoformat(lease.started)  # a damaged time is told here, where it is read
    datetime.fromisoformat(lease.beat)
    return lease


class Leases(Database):
    """The part of the ledger that says who is at work."""

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
        """Takes the lease on `key`, in one step with looking who has it.

        Whoever gets it is alone at work on `key`: every case that still stands in `scoring` under it belonged to a
        run that has died, and gets the step `failed`, by the fault of the set-up. So claim first and move to
        `scoring` then.

        Args:
            key: On what.
            team: For which team.
            runner: Who; the same runner may claim again.
            done: Examples that have a score.
            total: Examples that are to have one.
            is_dead: Says of another's lease whether its holder is gone.

        Returns:
            None if the lease is ours now; else the lease of who has it.
        """
        with self._write() as transaction:
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
        """Gives a sign of life; False if the lease is no longer ours."""
        with self._write() as transaction:
            cursor = transaction.execute(
                f"UPDATE leases SET beat = ?, done = ? WHERE runner = ? AND {_KEY}",  # noqa: S608  (constants)
                (now(), done, runner, *key.values),
            )
            return cursor.rowcount == 1

    def release(self, key: Key, *, runner: str) -> None:
        """Gives the lease back; nothing happens where it is no longer ours."""
        with self._write() as transaction:
            transaction.execute(
                f"DELETE FROM leases WHERE runner = ? AND {_KEY}",  # noqa: S608  (constants)
                (runner, *key.values),
            )

    def leases(self) -> list[Lease]:
        """Every lease, the oldest first."""
        return self._read(f"SELECT {_COLUMNS} FROM leases ORDER BY started", make=_lease_of)  # noqa: S608

    def bury(self, is_dead: Callable[[Lease], bool]) -> list[Lease]:
        """Removes the leases of the dead and tells their cases as failed; returns these leases."""
        with self._write() as transaction:
            rows = transaction.execute(f"SELECT {_COLUMNS} FROM leases ORDER BY started").fetchall()  # noqa: S608
            dead = [lease for lease in map(_lease_of, rows) if is_dead(lease)]
            for lease in dead:
                _free(transaction, lease.key, left_by=lease.runner)
        return dead


def _held(transaction: Transaction, key: Key) -> Lease | None:
    row = transaction.execute(f"SELECT {_COLUMNS} FROM leases WHERE {_KEY}", key.values).fetchone()  # noqa: S608
    return None if row is None else _lease_of(row)


def _free(transaction: Transaction, key: Key, *, left_by: str) -> list[Step]:
    """Removes the lease, and ends what its dead holder left in `scoring`."""
    transaction.execute(f"DELETE FROM leases WHERE {_KEY}", key.values)  # noqa: S608  (constants)
    orphans = transaction.execute(
        f"SELECT team FROM steps WHERE {LATEST} AND state = ? AND {_KEY}",  # noqa: S608  (constants)
        (State.SCORING, *key.values),
    ).fetchall()
    cause = f"{WITHOUT_A_WORD} ({left_by})." if left_by else f"{WITHOUT_A_WORD}."
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
