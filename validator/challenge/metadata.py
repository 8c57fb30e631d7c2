"""The challenge's metadata files, parsed by frozen models within a size limit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeInt,
    RootModel,
    ValidationError,
    model_validator,
)

from validator.findings.text import for_terminal
from validator.findings.wording import printable

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT_BYTES = 4 << 20
"""The largest metadata file of the challenge is under 200 kB."""

MAX_KEY = 80
"""Characters shown of a key of a JSON document."""


class ChallengeError(Exception):
    """The data root is incomplete or invalid (exit code 3 of the command).

    Attributes:
        message: What is wrong and where, what was expected and what was found, in one sentence.
        hint: How to fix it.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = printable(message, limit=None)  # it may quote keys of a JSON file, or a library
        super().__init__(self.message)
        self.hint = hint


def _part_of_a_path(name: str) -> str:
    if not name or name != name.strip() or name in (".", "..") or len(name) > 200:
        raise ValueError("must be a usable file name")
    if any(mark in name for mark in "/\\") or not name.isprintable():
        raise ValueError("must not contain a slash, a backslash or a control character")
    return name


PathPart = Annotated[str, AfterValidator(_part_of_a_path)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ListenerRecord(_Model):
    """One listener of `listeners.*.json`."""

    name: str
    audiogram_cfs: tuple[NonNegativeInt, ...] = Field(max_length=64)
    audiogram_levels_l: tuple[FiniteFloat, ...] = Field(max_length=64)
    audiogram_levels_r: tuple[FiniteFloat, ...] = Field(max_length=64)


class Listeners(RootModel[dict[PathPart, ListenerRecord]]):
    """`listeners.*.json`."""

    model_config = ConfigDict(frozen=True)


class TrackRecord(_Model):
    """One song of `musdb18.*.json`."""

    name: PathPart = Field(alias="Track Name")
    split: str = Field(alias="Split")
    genre: str = Field("", alias="Genre")
    source: str = Field("", alias="Source")
    license: str = Field("", alias="License")


class Tracks(RootModel[tuple[TrackRecord, ...]]):
    """`musdb18.*.json`."""

    model_config = ConfigDict(frozen=True)


class SegmentRecord(_Model):
    """A part of a song, in seconds."""

    start: FiniteFloat = Field(ge=0)
    end: FiniteFloat = Field(ge=0)
    duration: FiniteFloat | None = None

    @model_validator(mode="after")
    def _forwards(self) -> SegmentRecord:
        if self.end <= self.start:
            raise ValueError("must end after its start")
        return self


class SongSegments(_Model):
    """The two segments of a song of split test."""

    objective: SegmentRecord = Field(alias="objective_evaluation")
    subjective: SegmentRecord = Field(alias="subjective_evaluation")


class Segments(RootModel[dict[PathPart, SongSegments]]):
    """`musdb18.segments.test.json`."""

    model_config = ConfigDict(frozen=True)


class RosterSong(_Model):
    """One song of a roster in this package."""

    objective: SegmentRecord | None = None
    subjective: SegmentRecord | None = None


class RosterDocument(_Model):
    """A roster in this package: songs and listeners in the order of the challenge's metadata."""

    songs: dict[PathPart, RosterSong]
    listeners: tuple[PathPart, ...]


class Document(NamedTuple):
    """The contents of a JSON file, and where they come from."""

    contents: Any
    source: str


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    contents = dict(pairs)
    if len(contents) < len(pairs):
        raise ValueError("an object has a key twice")
    return contents


def read_document(path: Path) -> Document:
    """Read a JSON file of at most `DOCUMENT_BYTES`; NaN and repeated keys are rejected.

    Raises:
        ChallengeError: the file is missing, too large or invalid.
    """
    hint = "Unpack the challenge's metadata package there."
    try:
        with path.open("rb") as stream:
            raw = stream.read(DOCUMENT_BYTES + 1)
    except OSError as error:
        raise ChallengeError(f"{path} cannot be read: {error.strerror or error}.", hint=hint) from error
    if len(raw) > DOCUMENT_BYTES:
        raise ChallengeError(f"{path} is larger than {DOCUMENT_BYTES} bytes.", hint=hint)
    try:
        contents = json.loads(raw, parse_constant=_no_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ChallengeError(f"{path} is not valid JSON: {error}.", hint=hint) from error
    return Document(contents, str(path))


M = TypeVar("M", bound=BaseModel)


def parse(model: type[M], document: Document) -> M:
    """The document as a model.

    Raises:
        ChallengeError: the document does not match the model; the message names the first mismatch.
    """
    try:
        return model.model_validate(document.contents)
    except ValidationError as error:
        first, count = error.errors(include_url=False)[0], error.error_count()
        place = " → ".join(for_terminal(str(part))[:MAX_KEY] for part in first["loc"]) or "the top level"
        raise ChallengeError(
            f"{document.source} does not have the format of the challenge's metadata: {first['msg']} at {place} "
            f"({count} error{'' if count == 1 else 's'} in all).",
            hint="Unpack the challenge's metadata package again.",
        ) from error
