"""`run.json`: what was scored, by what, where, how long it took, and the audits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.ledger.audits import AuditProgress, audit_progress
from harness.ledger.entities import AuditPlan, AuditRecord, Entry, Roster, StoredExample
from harness.ledger.ledger import Ledger
from harness.protocol.aggregation import mean
from harness.protocol.records import Digest, Haaqi, Name
from harness.provenance.packing import parse_member
from validator.challenge.rules import CAD1, SEED_RULE

SCHEMA_VERSION: Final = 2
"""Version 1 had no plan, references or audio, and no attempts; its bundles are still verified."""

MAX_AUDITS = 1_000_000
"""More stems than any challenge has."""

Text = Annotated[str, Field(max_length=4000)]
Count = Annotated[int, Field(ge=0)]
Duration = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Audio = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
ScorerDigest = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SubmissionRecord(_Frozen):
    """The submission. `sha256` of a folder is that of its files' sorted `sha256sum` lines."""

    team: Name
    name: Annotated[str, Field(max_length=1000)]
    bytes: Count
    sha256: Digest
    entered: Text
    kind: Literal["scored", "self-reported"]


class ChallengeRecord(_Frozen):
    """The challenge; `digest` identifies it."""

    split: Name
    digest: Digest
    songs: tuple[Name, ...]
    listeners: tuple[Name, ...]


class ScorerRecord(_Frozen):
    """The scorer; its digest, empty for self-reported scores, is called `lock` in the file."""

    scorer_digest: ScorerDigest = Field(alias="lock")
    engine: Name
    locked: bool


class RunEntry1(_Frozen):
    """One run, as version 1 has it."""

    started: Text
    sandbox: Text
    locked: bool
    image: Text
    base_image: Text
    versions: dict[Name, Text]
    cpu: Text
    examples: Count
    seconds: Duration
    cpu_seconds: Duration
    peak_memory: Count | None


class RunEntry(RunEntry1):
    """One run: sandbox, versions, resources. Seconds are sums over its examples; memory is in bytes.

    Attributes:
        decoder: The versions of the decoder's packages.
    """

    decoder: dict[Name, Text]


class AuditEntry1(_Frozen):
    """One stem scored by both engines, as version 1 has it."""

    song: Name
    listener: Name
    stem: Name
    fast: Haaqi
    pyclarity: Haaqi


class AuditEntry(AuditEntry1):
    """One stem scored by both engines; `audio` as in `Record`, of what was audited."""

    audio: Audio
    attempt: Annotated[int, Field(ge=1)]


class PlanEntry(_Frozen):
    """How the audited stems were drawn, see `harness.protocol.aggregation.draw_audits`."""

    salt: Annotated[str, Field(max_length=200)]
    number: Annotated[int, Field(ge=0, le=MAX_AUDITS)]


class FailureEntry(_Frozen):
    """One example that could not be scored, and the reason."""

    song: Name
    listener: Name
    fault: Name
    code: Text
    message: Text


class ScoreRecord(_Frozen):
    """The result. `average` is the ranking score; None unless every example has a score."""

    examples: Count
    total: Count
    undefined: Count
    average: Haaqi | None
    disqualified: Text


class AnyRecord(_Frozen):
    """The contents of `run.json` that every version has.

    Attributes:
        log_head: SHA-256 of the last entry in the ledger's log when the bundle was made.
        seed_rule: How the seed of a song is computed.
        seeds: The seed of each song.
        greatest_difference: Largest difference between the engines in all audits; None without audits.
    """

    schema_version: int
    submission: SubmissionRecord
    challenge: ChallengeRecord
    scorer: ScorerRecord
    runs: tuple[RunEntry1, ...]
    scores: ScoreRecord
    seed_rule: Annotated[str, Field(pattern=f"^{re.escape(SEED_RULE)}$")] = SEED_RULE
    seeds: dict[Name, Count]
    audits: tuple[AuditEntry1, ...]
    greatest_difference: Duration | None
    failures: tuple[FailureEntry, ...]
    log_head: Digest

    @property
    def stored_audits(self) -> tuple[AuditRecord, ...]:
        """The audits as the ledger has them."""
        return tuple(AuditRecord(**one.model_dump()) for one in self.audits)

    def audit_progress(self, examples: Mapping[tuple[str, str], StoredExample]) -> AuditProgress:
        """Which drawn audits are missing and which have failed, by the contents of `scores.csv`."""
        failed = tuple((one.song, one.listener, one.stem) for one in self.stored_audits if not one.passed)
        return AuditProgress(0, (), failed)


class Record1(AnyRecord):
    """The contents of `run.json` in version 1."""

    schema_version: Literal[1]


class Record(AnyRecord):
    """The contents of `run.json`.

    Attributes:
        audit_plan: How the audited stems were drawn; None if the submission is not audited.
        references: SHA-256 of the reference samples of each song that was scored.
        audio: SHA-256 of what was scored, the PCM and scale of the eight stems, by song and listener; without
            those that are not known.
    """

    schema_version: Literal[2] = SCHEMA_VERSION
    runs: tuple[RunEntry, ...]
    audits: tuple[AuditEntry, ...]
    audit_plan: PlanEntry | None
    references: dict[Name, Digest]
    audio: dict[Name, dict[Name, Digest]]

    def audit_progress(self, examples: Mapping[tuple[str, str], StoredExample]) -> AuditProgress:
        """See `AnyRecord.audit_progress`; the stems are drawn again."""
        plan = None if self.audit_plan is None else AuditPlan(self.audit_plan.salt, self.audit_plan.number)
        return audit_progress(plan, self.stored_audits, examples, submission=self.submission.sha256)


class _Versioned(BaseModel):
    """The one field that says how to read the others."""

    schema_version: int


def parse_record(content: bytes) -> AnyRecord:
    """The run record of a bundle, of any version.

    Raises:
        ArchiveError: It is not valid.
    """
    if parse_member(_Versioned, content).schema_version == 1:
        return parse_member(Record1, content)
    return parse_member(Record, content)


def make_record(ledger: Ledger, entry: Entry, roster: Roster) -> Record:
    """Everything that the ledger holds about how an entry was scored."""
    key = entry.key
    known = set(roster.examples)
    examples = {name: one for name, one in ledger.examples(key).items() if name in known}
    complete = len(examples) == len(roster.examples)
    audits, plan = ledger.audits(key), ledger.audit_plan(key)
    disqualified = ledger.history.disqualified().get(entry.team)
    return Record(
        submission=SubmissionRecord(
            team=entry.team,
            name=entry.name,
            bytes=entry.bytes,
            sha256=key.submission,
            entered=entry.entered,
            kind="scored" if entry.kind == "scored" else "self-reported",
        ),
        challenge=ChallengeRecord(
            split=roster.split, digest=roster.digest, songs=roster.songs, listeners=roster.listeners
        ),
        scorer=ScorerRecord(lock=key.scorer.digest, engine=key.scorer.engine, locked=key.scorer.locked),
        runs=tuple(
            RunEntry(
                started=run.started,
                sandbox=run.record.sandbox,
                locked=run.record.locked,
                image=run.record.image,
                base_image=run.record.base_image,
                versions=dict(sorted(run.record.versions.items())),
                cpu=run.record.cpu,
                examples=run.examples,
                seconds=run.seconds,
                cpu_seconds=run.cpu_seconds,
                peak_memory=run.peak_memory,
                decoder=dict(sorted(run.record.decoder.items())),
            )
            for run in ledger.run_details(key)
        ),
        scores=ScoreRecord(
            examples=len(examples),
            total=len(roster.examples),
            undefined=sum(example.undefined for example in examples.values()),
            average=mean(example.score for example in examples.values()) if complete else None,
            disqualified=disqualified.reason if disqualified else "",
        ),
        seeds={song: CAD1.seed(song) for song in roster.songs},
        audits=tuple(AuditEntry(**vars(audit)) for audit in audits),
        greatest_difference=max((audit.difference for audit in audits), default=None),
        failures=tuple(
            FailureEntry(
                song=one.song, listener=one.listener, fault=one.fault, code=one.code, message=one.message
            )
            for one in ledger.failures(key)
        ),
        log_head=ledger.head(),
        audit_plan=None if plan is None else PlanEntry(salt=plan.salt, number=plan.number),
        references=ledger.references(roster.digest),
        audio={
            song: found
            for song in roster.songs
            if (
                found := {
                    listener: examples[song, listener].audio
                    for listener in roster.listeners
                    if (song, listener) in examples and examples[song, listener].audio
                }
            )
        },
    )
