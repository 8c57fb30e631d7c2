"""The SQLite ledger: every submission, every example's eight values, and how each was made.

An example is stored in one transaction as it arrives: it is scored or it is not. WAL mode lets the ranking be read
while scores come in.
"""

from __future__ import annotations

import json
import math
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.errors import SetupError
from harness.records import STEM_COLUMNS, RunRecord

FILE = "ledger.sqlite"
VERSION = 1
"""Goes up with every change of the tables."""

AUDIT_TOLERANCE = 1e-9
"""The greatest difference between the engines that is no bug: far below what any ranking shows."""

BUSY_SECONDS = 60.0
"""How long one process waits for another's write: each is a millisecond."""

_TABLES = f"""
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
    {" REAL, ".join(STEM_COLUMNS)} REAL,
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


@dataclass(frozen=True)
class Scorer:
    """What made a score. Scores of two scorers never share a table.

    Attributes:
        digest: The lock's digest; empty for scores that a team reported itself.
        engine: `fast` or `pyclarity`.
        locked: False where the score was made outside of the locked environment.
    """

    digest: str
    engine: str
    locked: bool


@dataclass(frozen=True)
class Key:
    """Whose examples: one submission's, of one challenge, by one scorer."""

    submission: str
    challenge: str
    scorer: Scorer

    @property
    def values(self) -> tuple[str, str, str, str, int]:
        """As the columns of the table `examples`."""
        return (
            self.submission,
            self.challenge,
            self.scorer.digest,
            self.scorer.engine,
            int(self.scorer.locked),
        )


@dataclass(frozen=True)
class Roster:
    """The songs and listeners that a complete submission covers, in the metadata's order.

    Attributes:
        digest: Tells this challenge from any other: see `harness.score.challenge_digest`.
    """

    digest: str
    split: str
    songs: tuple[str, ...]
    listeners: tuple[str, ...]

    @property
    def examples(self) -> list[tuple[str, str]]:
        """Every (song, listener), song by song."""
        return [(song, listener) for song in self.songs for listener in self.listeners]


@dataclass(frozen=True)
class Entry:
    """A team's entry: which submission it sent for which challenge, and how it was scored.

    Attributes:
        name: The submission's file name.
        bytes: Its size.
        kind: `scored` or `self-reported`.
        entered: When, in UTC.
    """

    team: str
    key: Key
    name: str
    bytes: int
    kind: str
    entered: str = ""


@dataclass(frozen=True)
class StoredExample:
    """An example as the ledger holds it; `values` in the order of `STEM_COLUMNS`."""

    song: str
    listener: str
    values: tuple[float | None, ...]

    @property
    def score(self) -> float | None:
        """The mean of the defined values, None without any; the sum is exact, so the order does not matter."""
        return mean(self.values)

    @property
    def undefined(self) -> int:
        """How many of the eight have no value, because their reference is silent."""
        return sum(value is None for value in self.values)


@dataclass(frozen=True)
class AuditRecord:
    """One stem scored by both engines."""

    song: str
    listener: str
    stem: str
    fast: float
    pyclarity: float

    @property
    def difference(self) -> float:
        """How far the two are from each other."""
        return abs(self.fast - self.pyclarity)

    @property
    def passed(self) -> bool:
        """Whether that is no more than rounding."""
        return self.difference <= AUDIT_TOLERANCE


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of what is defined; correctly rounded, in whatever order."""
    defined = [value for value in values if value is not None]
    return math.fsum(defined) / len(defined) if defined else None


def now() -> str:
    """The time as the ledger writes it: UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Ledger:
    """The scores of one store.

    Args:
        store: The store's folder; made if it is not there, unless `read_only`.
        read_only: Nothing is created; an absent ledger is a fault.

    Raises:
        SetupError: If it can't be opened, or was made by a later version.
    """

    def __init__(self, store: Path, *, read_only: bool = False) -> None:
        self.path = store / FILE
        self._lock = threading.Lock()
        if read_only and not self.path.is_file():
            raise SetupError(
                f"There is no ledger in {store}: nothing has been scored there yet.",
                hint="Score a submission first (`cad1 score`), or name the right folder with `--store`.",
            )
        with self._told("opened"):
            store.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._create()

    def _create(self) -> None:
        with self._write() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in _TABLES.split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                raise SetupError(
                    f"The ledger {self.path} has version {version}; this harness reads version {VERSION}.",
                    hint="Use the version of cad1-harness that made it, or another `--store`.",
                )

    @contextmanager
    def _told(self, done: str) -> Iterator[None]:
        """Turns SQLite's and the system's errors into a sentence."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise SetupError(
                f"The ledger {self.path} can't be {done}: {error}.",
                hint="See that the folder is writable and its disk is not full; what was stored before is safe, "
                "and the same command goes on from there.",
            ) from error

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing."""
        with self._lock, self._told("written"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk may have rolled back already
                    self._db.execute("ROLLBACK")
                raise

    def _read(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock, self._told("read"):
            return self._db.execute(query, values).fetchall()

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add_roster(self, roster: Roster) -> None:
        """Keeps the songs and listeners of a challenge."""
        with self._write() as db:
            db.execute(
                "INSERT INTO challenges VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (roster.digest, roster.split, json.dumps(roster.songs), json.dumps(roster.listeners)),
            )

    def rosters(self) -> dict[str, Roster]:
        """Every challenge that something was entered for, by digest."""
        rows = self._read("SELECT digest, split, songs, listeners FROM challenges ORDER BY rowid")
        return {
            row[0]: Roster(row[0], row[1], tuple(json.loads(row[2])), tuple(json.loads(row[3])))
            for row in rows
        }

    def enter(self, entry: Entry) -> None:
        """Enters a submission for a team; again is no change but for the time, which makes it the latest."""
        scorer = entry.key.scorer
        with self._write() as db:
            db.execute(
                "INSERT INTO entries (team, challenge, submission, name, bytes, kind, scorer, engine, locked,"
                " entered) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET entered = excluded.entered, name = excluded.name",
                (entry.team, entry.key.challenge, entry.key.submission, entry.name, entry.bytes, entry.kind)
                + (scorer.digest, scorer.engine, int(scorer.locked), entry.entered or now()),
            )

    def entries(self) -> list[Entry]:
        """All entries, the oldest first."""
        rows = self._read(
            "SELECT team, submission, challenge, scorer, engine, locked, name, bytes, kind, entered"
            " FROM entries ORDER BY entered, id"
        )
        return [
            Entry(row[0], Key(row[1], row[2], Scorer(row[3], row[4], bool(row[5]))), *row[6:]) for row in rows
        ]

    def start_run(self, record: RunRecord) -> int:
        """Notes how the following examples are made; returns the run's number."""
        with self._write() as db:
            cursor = db.execute(
                "INSERT INTO runs (started, record) VALUES (?, ?)", (now(), record.model_dump_json())
            )
            return int(cursor.lastrowid or 0)

    def runs(self, key: Key) -> list[RunRecord]:
        """How a submission's examples were made."""
        rows = self._read(
            "SELECT record FROM runs WHERE id IN (SELECT DISTINCT run FROM examples WHERE (submission,"
            " challenge, scorer, engine, locked) = (?, ?, ?, ?, ?)) ORDER BY id",
            key.values,
        )
        return [RunRecord.model_validate(json.loads(row[0])) for row in rows]

    def store(
        self,
        key: Key,
        example: StoredExample,
        *,
        run: int | None,
        seconds: float = 0.0,
        cpu_seconds: float = 0.0,
    ) -> bool:
        """Stores one example in one transaction; False, and no change, if it was there already."""
        with self._write() as db:
            cursor = db.execute(
                f"INSERT INTO examples VALUES ({', '.join('?' * 19)}) ON CONFLICT DO NOTHING",  # noqa: S608
                (*key.values, example.song, example.listener, *example.values)
                + (seconds, cpu_seconds, run, now()),
            )
            return cursor.rowcount == 1

    def examples(self, key: Key) -> dict[tuple[str, str], StoredExample]:
        """A submission's scored examples by (song, listener)."""
        rows = self._read(
            f"SELECT song, listener, {', '.join(STEM_COLUMNS)} FROM examples"  # noqa: S608  (constants)
            " WHERE (submission, challenge, scorer, engine, locked) = (?, ?, ?, ?, ?)",
            key.values,
        )
        found = [StoredExample(row[0], row[1], tuple(row[2:])) for row in rows]
        return {(example.song, example.listener): example for example in found}

    def store_audit(self, key: Key, audit: AuditRecord) -> None:
        """Stores one stem's audit, in place of an earlier one of the same stem."""
        with self._write() as db:
            db.execute(
                "INSERT OR REPLACE INTO audits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (key.submission, key.challenge, key.scorer.digest, audit.song, audit.listener, audit.stem)
                + (audit.fast, audit.pyclarity, now()),
            )

    def audits(self, key: Key) -> list[AuditRecord]:
        """A submission's audited stems."""
        rows = self._read(
            "SELECT song, listener, stem, fast, pyclarity FROM audits"
            " WHERE (submission, challenge, scorer) = (?, ?, ?) ORDER BY song, listener, stem",
            key.values[:3],
        )
        return [AuditRecord(*row) for row in rows]
