"""The frozen models that cross a trust boundary: the job that goes into a sandbox, the lines that come out.

Everything that a container prints is untrusted: each line is parsed by `parse_line` within a size cap, unknown
fields, NaN and values outside HAAQI's range are refused.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

MAX_LINE_BYTES = 16_384
"""A line holds eight numbers and two names; 16 KiB leaves room for the longest sentence of a failure."""

MAX_VALUES = 64
"""Values of an example; CAD1 has eight."""

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
    """A stem to be scored again by pyclarity itself; `value` names it, such as `left_drums`."""

    song: Name
    listener: Name
    value: Name


class Job(_Frozen):
    """What one sandbox has to do; goes in as a read-only file.

    `submission` and `data` are paths as the sandbox sees them; `lock` is the digest of the lock that the host
    holds, and without `require_lock` other bits may score, marked as unlocked; `nonce` is echoed on every line,
    so that no other run's output can be taken for this one's; `batch` examples of a song are scored together,
    and their lines come when all of them are scored.
    """

    schema_version: Literal[1] = 1
    nonce: Nonce
    lock: Digest
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
    """The first line: which bits are at work here. `locked` is false outside of the locked environment."""

    type: Literal["hello"] = "hello"
    lock: Digest
    locked: bool
    versions: dict[Name, Annotated[str, Field(max_length=200)]] = Field(max_length=64)
    cpu: Annotated[str, Field(max_length=200)]


class ExampleScore(_Line):
    """The HAAQI values of an example by name, such as `left_drums`.

    A value is None where the reference channel is silent (pyclarity has no answer there) and only there.
    """

    type: Literal["example"] = "example"
    song: Name
    listener: Name
    values: Annotated[dict[Name, Haaqi | None], Field(min_length=1, max_length=MAX_VALUES)]
    seconds: Seconds
    cpu_seconds: Seconds


class ExampleFailure(_Line):
    """An example that could not be scored, and whose fault that is."""

    type: Literal["failure"] = "failure"
    song: Name
    listener: Name
    fault: Literal["submission", "setup", "memory", "bug"]
    code: Annotated[str, Field(max_length=80)]
    path: Annotated[str, Field(max_length=2 * MAX_NAME)]
    message: Annotated[str, Field(max_length=2000)]


class AuditScore(_Line):
    """What pyclarity says of one stem, on noise placed as in the real run."""

    type: Literal["audit"] = "audit"
    song: Name
    listener: Name
    value: Name
    haaqi: Haaqi
    seconds: Seconds


class Refusal(_Line):
    """The sandbox will not score: what differs from the lock, or what it misses."""

    type: Literal["refusal"] = "refusal"
    message: Annotated[str, Field(max_length=4000)]
    hint: Annotated[str, Field(max_length=1000)] = ""


class Done(_Line):
    """The last line: nothing was cut off."""

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
    """A line from a sandbox that is not what the protocol says."""


def parse_line(raw: bytes, *, nonce: str) -> Line:
    """One line of a sandbox's output, checked as untrusted input.

    Raises:
        LineError: If it is too long, not one of the protocol's records, or carries another nonce.
    """
    if len(raw) > MAX_LINE_BYTES:
        raise LineError(f"a line of more than {MAX_LINE_BYTES} bytes")
    try:
        line = _LINE.validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the line"
        raise LineError(f"a line that is not of the protocol ({place}: {first['msg']})") from None
    if line.nonce != nonce:
        raise LineError("a line that carries another job's nonce")
    return line


class RunRecord(_Frozen):
    """How a score was made: kept in the ledger with every example."""

    scorer: Digest
    engine: Engine
    sandbox: Annotated[str, Field(max_length=40)]
    locked: bool
    image: Annotated[str, Field(max_length=200)]
    base_image: Annotated[str, Field(max_length=400)]
    versions: dict[Name, str]
    cpu: Annotated[str, Field(max_length=200)]
