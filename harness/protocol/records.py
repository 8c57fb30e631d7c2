"""The frozen models that cross a trust boundary: the messages that go into an evaluator, the lines that come out.

Everything a sandbox prints is untrusted: `parse_line` parses each line within a size cap and rejects unknown
fields, NaN and values outside HAAQI's range.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

MAX_LINE_BYTES = 16_384
"""A score line holds eight numbers and two names; 16 KiB leaves room for the longest failure message."""

MAX_VALUES = 64
"""The most values of an example; CAD1 has eight."""

MAX_NAME = 400
"""Song names come from the challenge's metadata; the longest has 60 characters."""

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Nonce = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Haaqi = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0.0, le=1e7, allow_inf_nan=False)]
Levels = tuple[Annotated[float, Field(allow_inf_nan=False)], ...]
Scale = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Engine = Literal["fast", "pyclarity"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Example(_Frozen):
    """One song for one listener."""

    song: Name
    listener: Name


class AuditStem(_Frozen):
    """A stem to be spot-checked with pyclarity; `value` names it, such as `left_drums`."""

    song: Name
    listener: Name
    value: Name


class Job(_Frozen):
    """The first message to an evaluator.

    Attributes:
        nonce: Repeated on every line, so that no other run's output can be mistaken for this one's.
        scorer_digest: SHA-256 of the host's lock file.
        require_lock: Refuse to score unless the environment matches the lock; otherwise score as unlocked.
        engine: Which HAAQI scores.
    """

    type: Literal["job"] = "job"
    nonce: Nonce
    scorer_digest: Digest
    require_lock: bool = True
    engine: Engine


class SongMessage(_Frozen):
    """The song of the following batches and audits.

    A PCM frame follows for each of `CAD1.stems`: the reference, two channels at 44.1 kHz, cut to what is scored.
    """

    type: Literal["song"] = "song"
    song: Name


class ListenerMessage(_Frozen):
    """One listener of a batch.

    Attributes:
        listener: The listener's id.
        audiograms: For each side the levels in dB HL at `CAD1.frequencies`.
        scales: The scale factor of each stem by name, such as `left_drums`.
    """

    listener: Name
    audiograms: dict[Name, Levels]
    scales: dict[Name, Scale]


class BatchMessage(_Frozen):
    """Listeners of the song, scored together; their lines come once all of them are scored.

    For each name in `CAD1.scoring_order` and, within it, each listener, a PCM frame follows: one channel at 24 kHz.
    """

    type: Literal["batch"] = "batch"
    listeners: Annotated[tuple[ListenerMessage, ...], Field(min_length=1, max_length=64)]


class AuditMessage(_Frozen):
    """A stem of the song to be scored by pyclarity.

    PCM frames follow for the stems of `CAD1.scoring_order` up to and including `value`.
    """

    type: Literal["audit"] = "audit"
    listener: ListenerMessage
    value: Name


class EndMessage(_Frozen):
    """The last message: nothing more will be asked."""

    type: Literal["end"] = "end"


Message = Annotated[Job | SongMessage | BatchMessage | AuditMessage | EndMessage, Field(discriminator="type")]
MESSAGE_ADAPTER: TypeAdapter[Message] = TypeAdapter(Message)
"""Parses the host's messages, inside the evaluator."""


class _Line(_Frozen):
    nonce: Nonce


class Hello(_Line):
    """The first line: what this sandbox scores with. `locked` is false outside the locked environment."""

    type: Literal["hello"] = "hello"
    scorer_digest: Digest
    locked: bool
    versions: dict[Name, Annotated[str, Field(max_length=200)]] = Field(max_length=64)
    cpu: Annotated[str, Field(max_length=200)]


class SongReferences(_Line):
    """Which references the following values are about: the SHA-256 that `references_digest` gives."""

    type: Literal["references"] = "references"
    song: Name
    sha256: Digest


class ExampleScore(_Line):
    """The HAAQI values of an example by name, such as `left_drums`.

    A value is None if and only if its reference channel is silent: HAAQI is undefined there.
    """

    type: Literal["example"] = "example"
    song: Name
    listener: Name
    values: Annotated[dict[Name, Haaqi | None], Field(min_length=1, max_length=MAX_VALUES)]
    seconds: Seconds
    cpu_seconds: Seconds


class ExampleFailure(_Line):
    """An example that could not be scored, and the cause: never the submission, which the evaluator can't see."""

    type: Literal["failure"] = "failure"
    song: Name
    listener: Name
    fault: Literal["setup", "memory", "bug"]
    message: Annotated[str, Field(max_length=2000)]


class AuditScore(_Line):
    """pyclarity's value of one stem, with the same noise as in the original run."""

    type: Literal["audit"] = "audit"
    song: Name
    listener: Name
    value: Name
    haaqi: Haaqi
    seconds: Seconds


class Refusal(_Line):
    """The sandbox refuses to score: it differs from the lock, or something is missing."""

    type: Literal["refusal"] = "refusal"
    message: Annotated[str, Field(max_length=4000)]
    hint: Annotated[str, Field(max_length=1000)] = ""


class Done(_Line):
    """The last line: the output is complete."""

    type: Literal["done"] = "done"
    examples: Annotated[int, Field(ge=0)]
    failures: Annotated[int, Field(ge=0)]
    peak_memory: Annotated[int, Field(ge=0, le=2**50)]


Line = Annotated[
    Hello | SongReferences | ExampleScore | ExampleFailure | AuditScore | Refusal | Done,
    Field(discriminator="type"),
]
_LINE: TypeAdapter[Line] = TypeAdapter(Line)


class LineError(ValueError):
    """A line from a sandbox that does not follow the protocol."""


def parse_line(raw: bytes, *, nonce: str) -> Line:
    """Parses one line of a sandbox's output as untrusted input.

    Raises:
        LineError: If it is too long, not one of the protocol's records, or has another job's nonce.
    """
    if len(raw) > MAX_LINE_BYTES:
        raise LineError(f"a line of more than {MAX_LINE_BYTES} bytes")
    try:
        line = _LINE.validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the line"
        raise LineError(f"a line that does not follow the protocol ({place}: {first['msg']})") from None
    if line.nonce != nonce:
        raise LineError("a line with another job's nonce")
    return line


class RunRecord(_Frozen):
    """How a score was made: stored in the ledger, as JSON, with every example.

    Stored JSON calls the scorer digest `scorer`; `decoder` holds the versions of the decoder's packages.
    """

    model_config = ConfigDict(populate_by_name=True)

    scorer_digest: Digest = Field(validation_alias="scorer", serialization_alias="scorer")
    engine: Engine
    sandbox: Annotated[str, Field(max_length=40)]
    locked: bool
    image: Annotated[str, Field(max_length=200)]
    base_image: Annotated[str, Field(max_length=400)]
    versions: dict[Name, str]
    decoder: dict[Name, str] = {}
    cpu: Annotated[str, Field(max_length=200)]

    def to_json(self) -> str:
        """The record as the ledger stores it."""
        return self.model_dump_json(by_alias=True)
