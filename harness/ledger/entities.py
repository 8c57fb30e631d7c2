"""What the ledger holds, as plain frozen data: scorers, rosters, entries, examples, audits, failures and runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from harness.protocol.aggregation import AUDIT_TOLERANCE, mean
from harness.protocol.records import RunRecord


@dataclass(frozen=True)
class Scorer:
    """What made a score. Scores of two scorers never share a table.

    Attributes:
        digest: The scorer digest: the SHA-256 of `scorer.lock`; empty for scores that a team reported itself.
        engine: `fast` or `pyclarity`; `unknown` for self-reported scores.
        locked: False if the score was made outside of the locked environment.
    """

    digest: str
    engine: str
    locked: bool


@dataclass(frozen=True)
class Key:
    """Identifies a set of scores: one submission to one challenge, scored by one scorer.

    Attributes:
        submission: SHA-256 of the submission.
        challenge: Digest of the challenge, see `Roster.digest`.
        scorer: What made the scores.
    """

    submission: str
    challenge: str
    scorer: Scorer

    @property
    def values(self) -> tuple[str, str, str, str, int]:
        """The columns submission, challenge, scorer, engine and locked, which such tables begin with."""
        return (
            self.submission,
            self.challenge,
            self.scorer.digest,
            self.scorer.engine,
            int(self.scorer.locked),
        )


@dataclass(frozen=True)
class Roster:
    """The songs and listeners of a challenge: a complete submission covers every pair of them.

    Attributes:
        digest: Identifies the challenge, see `harness.ledger.rosters.challenge_digest`.
        split: Name of the split.
        songs: In the metadata's order.
        listeners: In the metadata's order.
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
    """A team's entry: which submission it sent to which challenge, and what scored it.

    Attributes:
        team: The team's name.
        key: The submission, the challenge and the scorer.
        name: File name of the submission.
        bytes: Size of the submission.
        kind: `scored` or `self-reported`.
        entered: When this scorer entered it, in UTC; set by the ledger if empty.
    """

    team: str
    key: Key
    name: str
    bytes: int
    kind: str
    entered: str = ""


@dataclass(frozen=True)
class StoredExample:
    """The scores of one example.

    Attributes:
        song: Name of the song.
        listener: Id of the listener.
        values: HAAQI (0 to 1) by name, such as `left_bass`; None where the reference is silent.
        audio: SHA-256 of what was scored: the PCM and scale of the eight stems. Empty if it is not known: for
            self-reported scores, and for those that a ledger before version 4 stored.
    """

    song: str
    listener: str
    values: Mapping[str, float | None]
    audio: str = ""

    @property
    def score(self) -> float | None:
        """The mean of the defined values, None if there are none; the order of the values does not matter."""
        return mean(self.values.values())

    @property
    def undefined(self) -> int:
        """How many values are None because their reference is silent."""
        return sum(value is None for value in self.values.values())


@dataclass(frozen=True)
class AuditRecord:
    """The score of one stem by both engines.

    Attributes:
        song: Name of the song.
        listener: Id of the listener.
        stem: Name of the value, such as `left_bass`.
        fast: HAAQI by the engine that scored the submission.
        pyclarity: HAAQI by pyclarity.
        audio: As in `StoredExample`, of what was audited.
        attempt: From 1; set by the ledger. The latest attempt counts.
    """

    song: str
    listener: str
    stem: str
    fast: float
    pyclarity: float
    audio: str = ""
    attempt: int = 1

    @property
    def difference(self) -> float:
        """Absolute difference between the two scores."""
        return abs(self.fast - self.pyclarity)

    @property
    def passed(self) -> bool:
        """Whether the difference is no more than rounding."""
        return self.difference <= AUDIT_TOLERANCE


@dataclass(frozen=True)
class AuditPlan:
    """How the stems of a submission that are audited are drawn, see `harness.protocol.aggregation.draw_audits`.

    Attributes:
        salt: Random text made at receipt; empty if the audits were stored by a ledger before version 4.
        number: How many stems are audited.
    """

    salt: str
    number: int


@dataclass(frozen=True)
class Failure:
    """An example that could not be scored, and the reason.

    Attributes:
        song: Name of the song.
        listener: Id of the listener.
        fault: The cause, a value of `harness.protocol.errors.Fault`.
        code: Code of a finding, or empty.
        message: The host's own sentence.
        path: The file concerned, or empty.
        at: When, in UTC; set by the ledger if empty.
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
    """The organiser's decision that a team is not ranked: the reason, when (UTC), and by whom (`user@host`)."""

    reason: str
    at: str
    who: str


@dataclass(frozen=True)
class RunDetails:
    """One run over a submission: what scored it, and the resources it took.

    Attributes:
        number: Number of the run in the ledger.
        started: When, in UTC.
        record: The scorer, the sandbox and the versions.
        peak_memory: Largest peak reported by a sandbox, in bytes; None if none was reported.
        examples: How many of the submission's examples it scored.
        seconds: Wall-clock time of these examples, summed.
        cpu_seconds: CPU time of these examples, summed.
    """

    number: int
    started: str
    record: RunRecord
    peak_memory: int | None
    examples: int
    seconds: float
    cpu_seconds: float


def now() -> str:
    """The current time as the ledger stores it: UTC, ISO 8601, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
