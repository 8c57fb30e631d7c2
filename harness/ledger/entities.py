"""What the ledger holds, as plain frozen data: scorers, rosters, entries, examples, audits and what failed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from harness.protocol.records import RunRecord

AUDIT_TOLERANCE = 1e-9
"""The greatest difference between the engines that is no bug: far below what any ranking shows."""


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
        """As the first columns of the tables that hold one submission's examples."""
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
        digest: Tells this challenge from any other: see `harness.score.conductor.challenge_digest`.
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
    """An example as the ledger holds it; `values` by name, such as `left_bass`."""

    song: str
    listener: str
    values: Mapping[str, float | None]

    @property
    def score(self) -> float | None:
        """The mean of the defined values, None without any; the sum is exact, so the order does not matter."""
        return mean(self.values.values())

    @property
    def undefined(self) -> int:
        """How many of its values have no value, because their reference is silent."""
        return sum(value is None for value in self.values.values())


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


@dataclass(frozen=True)
class Failure:
    """An example without a score, and why.

    Attributes:
        fault: Whose it is, a value of `harness.protocol.errors.Fault`.
        code: A finding's code, or empty.
        message: The host's own sentence.
        path: The file it is about, or empty.
        at: When, in UTC.
    """

    song: str
    listener: str
    fault: str
    code: str
    message: str
    path: str
    at: str = ""


@dataclass(frozen=True)
class Disqualification:
    """A team that is not ranked, by the organiser's decision: why, when (UTC), and who wrote it down."""

    why: str
    at: str
    who: str


@dataclass(frozen=True)
class RunDetails:
    """One run over a submission: what scored, and what that took.

    Attributes:
        number: The run's number in the ledger.
        started: When, in UTC.
        record: What scored.
        peak_memory: The greatest peak that a sandbox reported, in bytes; None if none did.
        examples: How many of the submission's examples it scored.
        seconds: Their durations, summed.
        cpu_seconds: Their CPU times, summed.
    """

    number: int
    started: str
    record: RunRecord
    peak_memory: int | None
    examples: int
    seconds: float
    cpu_seconds: float


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of what is defined; correctly rounded, in whatever order."""
    defined = [value for value in values if value is not None]
    return math.fsum(defined) / len(defined) if defined else None


def now() -> str:
    """The time as the ledger writes it: UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
