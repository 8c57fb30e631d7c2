"""The ledger: the SQLite file of every submission, its history, the scores of every example, and how each was made.

An example is stored in one transaction as it arrives: it is scored or it is not. Every write is logged in the same
transaction. WAL mode lets the ranking be read while scores are stored.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from harness.ledger.audits import Audits
from harness.ledger.database import Database
from harness.ledger.decisions import Decisions, read_names, renamed
from harness.ledger.entities import (
    AuditPlan,
    AuditRecord,
    Entry,
    Failure,
    Key,
    Roster,
    RunDetails,
    Scorer,
    StoredExample,
)
from harness.ledger.history import History
from harness.ledger.insertion import KEY, add_roster, enter, store_example
from harness.ledger.leases import Leases
from harness.ledger.log import GENESIS, LogEntry
from harness.ledger.states import Case
from harness.ledger.steps import single_line
from harness.ledger.values import parse_values
from harness.protocol.errors import Fault, InternalError, SetupError
from harness.protocol.records import RunRecord

MAX_PEAK = 2**62
"""More bytes than any machine has; SQLite holds integers below 2**63."""


class Ledger:
    """The scores of one store, and everything that was done to them.

    Args:
        store: Folder of the store; created if it does not exist, unless `read_only`.
        read_only: Nothing is created or changed; a missing ledger is an error.

    Attributes:
        history: States and disqualifications.
        decisions: Policies, and decisions about submissions.
        leases: Which process is scoring what.

    Raises:
        SetupError: It can't be opened, or a later version made it.
    """

    def __init__(self, store: Path, *, read_only: bool = False) -> None:
        self._open(Database(store, read_only=read_only))

    def _open(self, database: Database) -> None:
        self._database = database
        self.history = History(database)
        self.decisions = Decisions(database)
        self.leases = Leases(database)
        self._audits = Audits(database)

    @classmethod
    def on(cls, database: Database) -> Ledger:
        """The ledger in a database that is open already, and of the current version."""
        ledger = cls.__new__(cls)
        ledger._open(database)
        return ledger

    @property
    def path(self) -> Path:
        """The ledger's file."""
        return self._database.path

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Keeps every other writer out, in this process and in others, for as long as the block lasts."""
        with self._database.transaction():
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads in the block see the ledger at one moment, whoever writes meanwhile."""
        with self._database.snapshot():
            yield

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add_roster(self, roster: Roster) -> None:
        """Stores the songs and listeners of a challenge; does nothing if they are stored already."""
        with self._database.transaction() as transaction:
            add_roster(transaction, roster)

    def rosters(self) -> dict[str, Roster]:
        """Every stored challenge, by digest."""
        rows = self._database.read(
            "SELECT digest, split, songs, listeners FROM challenges ORDER BY rowid",
            make=lambda row: Roster(row[0], row[1], tuple(json.loads(row[2])), tuple(json.loads(row[3]))),
        )
        return {roster.digest: roster for roster in rows}

    def enter(self, entry: Entry) -> None:
        """Enters a submission for a team; does nothing if the same scorer has entered it before."""
        with self._database.transaction() as transaction:
            enter(transaction, entry)

    def report(self, entry: Entry, roster: Roster, examples: Iterable[StoredExample]) -> None:
        """Enters scores that a team computed itself, in one transaction."""
        with self._database.transaction() as transaction:
            add_roster(transaction, roster)
            for example in examples:
                store_example(transaction, entry.key, example, run=None, seconds=0.0, cpu_seconds=0.0)
            enter(transaction, entry)

    def entries(self) -> list[Entry]:
        """All entries, in the order in which they were entered, whatever the clock said.

        Those of a submission that was renamed have its team's name now.
        """
        with self.snapshot():
            known, names = self.rosters(), read_names(self._database)
            entries = self._database.read(
                "SELECT team, submission, challenge, scorer, engine, locked, name, bytes, kind, entered"
                " FROM entries ORDER BY arrived, id",
                make=lambda row: _entry_from_row(row, known),
            )
        found: dict[tuple[str, Key, str], Entry] = {}
        for entry in entries:
            case = Case(entry.team, entry.key.submission, entry.key.challenge)
            team = renamed(case, names).team
            found.setdefault((team, entry.key, entry.kind), replace(entry, team=team))
        return list(found.values())

    def start_run(self, record: RunRecord) -> int:
        """Stores how the following examples are made; returns the run's number."""
        with self._database.transaction() as transaction:
            cursor = transaction.execute(
                "INSERT INTO runs (started, record) VALUES (?, ?)", (transaction.at, record.to_json())
            )
            number = int(cursor.lastrowid or 0)
            transaction.log("run", {"run": number, "sandbox": record.sandbox}, ("runs", (number,)))
            return number

    def note_peak(self, run: int, peak: int) -> None:
        """Stores the peak memory of one of a run's sandboxes, in bytes; the largest is kept.

        Raises:
            InternalError: It is more than `MAX_PEAK`, or negative.
        """
        if not 0 <= peak <= MAX_PEAK:
            raise InternalError(
                f"A sandbox reports a peak memory of {peak} bytes; expected 0 to {MAX_PEAK}.",
                hint="Please report it; the scores are not affected.",
            )
        with self._database.transaction() as transaction:
            cursor = transaction.execute(
                "INSERT INTO peaks VALUES (?, ?) ON CONFLICT DO UPDATE SET bytes = excluded.bytes"
                " WHERE excluded.bytes > bytes",
                (run, peak),
            )
            if cursor.rowcount > 0:
                transaction.log("peak", {"run": run, "bytes": peak}, ("peaks", (run,)))

    def run_details(self, key: Key) -> list[RunDetails]:
        """The runs that scored a submission's examples, the oldest first."""
        return self._database.read(
            "SELECT runs.id, started, record, max(peaks.bytes), count(*), sum(seconds), sum(cpu_seconds)"  # noqa: S608
            " FROM examples JOIN runs ON runs.id = examples.run LEFT JOIN peaks ON peaks.run = runs.id"
            f" WHERE {KEY} GROUP BY runs.id ORDER BY runs.id",
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
        """Stores one example in one transaction, and removes its failure if there was one.

        Returns:
            False, without any change, if it was stored already.

        Raises:
            InternalError: Its values are not those of the challenge, or one is neither a finite float nor None.
        """
        with self._database.transaction() as transaction:
            return store_example(transaction, key, example, run=run, seconds=seconds, cpu_seconds=cpu_seconds)

    def examples(self, key: Key) -> dict[tuple[str, str], StoredExample]:
        """A submission's scored examples by (song, listener)."""
        found = self._database.read(
            f"SELECT song, listener, haaqi, audio FROM examples WHERE {KEY}",  # noqa: S608  (constants)
            key.values,
            make=lambda row: StoredExample(row[0], row[1], parse_values(row[2]), row[3]),
        )
        return {(example.song, example.listener): example for example in found}

    def audio(self, challenge: str) -> list[tuple[str, str, str, str]]:
        """The submission, song, listener and SHA-256 of all audio that was scored for a challenge and is known."""
        return self._database.read(
            "SELECT DISTINCT submission, song, listener, audio FROM examples WHERE challenge = ? AND audio <> ''",
            (challenge,),
            make=lambda row: (str(row[0]), str(row[1]), str(row[2]), str(row[3])),
        )

    def store_failure(self, key: Key, failure: Failure) -> bool:
        """Stores why an example has no score, in place of an earlier reason.

        Returns:
            False, without any change, if it has a score.

        Raises:
            InternalError: The failure has no cause.
        """
        if failure.fault not in set(Fault):
            raise InternalError(
                f"A failed example can't have the cause {failure.fault!r}.", hint="Please report it."
            )
        with self._database.transaction() as transaction:
            identity = (*key.values, failure.song, failure.listener)
            if transaction.execute(
                f"SELECT 1 FROM examples WHERE {KEY} AND (song, listener) = (?, ?)",  # noqa: S608
                identity,
            ).fetchone():
                return False
            transaction.execute(
                "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*identity, failure.fault, failure.code)
                + (single_line(failure.message), single_line(failure.path))
                + (failure.at or transaction.at,),
            )
            facts = {"song": failure.song, "listener": failure.listener, "fault": failure.fault}
            transaction.log("failed", facts, ("failures", identity))
            return True

    def failures(self, key: Key) -> list[Failure]:
        """Why a submission's examples have no score, by song and listener."""
        return self._database.read(
            f"SELECT song, listener, fault, code, message, path, at FROM failures WHERE {KEY}"  # noqa: S608
            " ORDER BY song, listener",
            key.values,
            make=lambda row: Failure(*row),
        )

    def plan_audit(self, key: Key, *, number: int) -> AuditPlan:
        """The plan of a submission's audit: made and stored the first time, with a new salt; later what is stored.

        Args:
            key: The submission and what scores it.
            number: How many stems are audited; not used if there is a plan.
        """
        return self._audits.plan(key, number=number)

    def audit_plan(self, key: Key) -> AuditPlan | None:
        """The stored plan of a submission's audit; None if it is not audited."""
        return self._audits.stored_plan(key)

    def store_audit(self, key: Key, audit: AuditRecord) -> None:
        """Stores an audit of one stem as a new attempt; the ledger counts attempts itself."""
        self._audits.store(key, audit)

    def audits(self, key: Key) -> list[AuditRecord]:
        """The latest attempt of each audited stem of a submission, by song, listener and stem."""
        return self._audits.latest(key)

    def add_reference(self, challenge: str, song: str, sha256: str) -> None:
        """Stores the SHA-256 of a song's reference samples; does nothing if it is stored already.

        Args:
            challenge: Digest of the challenge.
            song: Name of the song.
            sha256: In hexadecimal.

        Raises:
            SetupError: Another SHA-256 is stored: the song's audio has changed.
        """
        with self._database.transaction() as transaction:
            row = transaction.execute(
                "SELECT sha256 FROM song_references WHERE (challenge, song) = (?, ?)", (challenge, song)
            ).fetchone()
            if row is None:
                transaction.execute("INSERT INTO song_references VALUES (?, ?, ?)", (challenge, song, sha256))
                transaction.log("reference", {"song": song}, ("song_references", (challenge, song)))
            elif row[0] != sha256:
                raise SetupError(
                    f"The reference of {song!r} has changed since this store scored it first: its samples have the "
                    f"SHA-256 {sha256[:12]}…, expected {row[0][:12]}….",
                    hint="Restore the song's wav files in the data root. If the new ones are right, score into "
                    "another `--store`: scores of two references are never mixed.",
                )

    def references(self, challenge: str) -> dict[str, str]:
        """The SHA-256 of the reference samples of each song of a challenge that was scored."""
        rows = self._database.read(
            "SELECT song, sha256 FROM song_references WHERE challenge = ? ORDER BY song",
            (challenge,),
            make=lambda row: (str(row[0]), str(row[1])),
        )
        return dict(rows)

    def log(self) -> list[LogEntry]:
        """Everything that was done to this ledger, the oldest first."""
        return self._database.log()

    def head(self) -> str:
        """The SHA-256 of the log's last entry: a digest of all that the ledger holds."""
        last = self._database.read(
            "SELECT sha256 FROM log ORDER BY number DESC LIMIT 1", make=lambda row: str(row[0])
        )
        return last[0] if last else GENESIS


def _entry_from_row(row: tuple[Any, ...], known: Collection[str]) -> Entry:
    team, submission, challenge, scorer_digest, engine, locked, *rest = row
    if challenge not in known:
        raise ValueError(f"an entry of {team} for a challenge that is not there")
    return Entry(team, Key(submission, challenge, Scorer(scorer_digest, engine, bool(locked))), *rest)
