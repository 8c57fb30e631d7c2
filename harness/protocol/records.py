"""The frozen models that cross a trust boundary: the job that goes into a sandbox, the lines that come out.

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
    """What one sandbox has to do; goes in as a read-only file.

    Attributes:
        nonce: Repeated on every line, so that no other run's output can be mistaken for this one's.
        scorer_digest: SHA-256 of the host's lock file.
        require_lock: Refuse to score unless the environment matches the lock; otherwise score as unlocked.
        split, engine: Which split the examples belong to, and which HAAQI scores them.
        submission, data: Paths as the sandbox sees them.
        batch: How many examples of a song are scored together; their lines come once all of them are scored.
        examples: What to score.
        audits: Which stems to spot-check.
    """

    schema_version: Literal[1] = 1
    nonce: Nonce
    scorer_digest: Digest
    require_lock: bool = True
    split: Name
    engine: Engine
    submission: str
    data: str
    batch: Annotated[int, Field(ge=1, le=64)] = 1
    examples: tuple[Example, ...] = ()
    audits: tuple[AuditStem, ...] = ()


class _Line(_Frozen):
    nonce: Nonce


class Hello(_Line):
    """The first line: what this sandbox scores with. `locked` is false outside the locked environment."""

    type: Literal["hello"] = "hello"
    scorer_digest: Digest
    locked: bool
    versions: dict[Name, Annotated[str, Field(max_length=200)]] = Field(max_length=64)
    cpu: Annotated[str, Field(max_length=200)]


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
    """An example that could not be scored, and the cause."""

    type: Literal["failure"] = "failure"
    song: Name
    listener: Name
    fault: Literal["submission", "setup", "memory", "bug"]
    code: Annotated[str, Field(max_length=80)]
    path: Annotated[str, Field(max_length=2 * MAX_NAME)]
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
    peak_memory: Annotated[int, Field(ge=0)]


Line = Annotated[
    Hello | ExampleScore | ExampleFailure | AuditScore | Refusal | Done,
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

    Stored JSON calls the scorer digest `scorer`.
    """

    model_config = ConfigDict(populate_by_name=True)

    scorer_digest: Digest = Field(validation_alias="scorer", serialization_alias="scorer")
    engine: Engine
    sandbox: Annotated[str, Field(max_length=40)]
    locked: bool
    image: Annotated[str, Field(max_length=200)]
    base_image: Annotated[str, Field(max_length=400)]
    versions: dict[Name, str]
    cpu: Annotated[str, Field(max_length=200)]

    def to_json(self) -> str:
        """The record as the ledger stores it."""
        return self.model_dump_json(by_alias=True)
