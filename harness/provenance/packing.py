"""The bundle's zip: the same members give the same bytes on every machine, and nothing else is accepted.

Members are not compressed, because two builds of zlib may compress differently. A zip is accepted only if packing
its members again gives the same bytes: so no byte can be changed, not even in its directory. What is read has a
limit before it is read: the file, each member, and the values of a JSON document.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from harness.protocol.errors import UsageError
from validator.findings.text import for_terminal

REQUIRED = ("scores.csv", "run.json", "statement.json")
ENVELOPE = "statement.dsse.json"

MAX_MEMBER_BYTES: Mapping[str, int] = MappingProxyType(
    {"scores.csv": 4 * 2**20, "run.json": 4 * 2**20, "statement.json": 2 * 2**20, ENVELOPE: 3 * 2**20}
)
"""A whole test submission with 2,597 examples has 0.65, 0.5, 0.15 and 0.2 MB; the envelope holds the statement in
base64."""

MAX_BYTES = sum(MAX_MEMBER_BYTES.values()) + 1024
"""The members and the zip's own directory."""

MAX_VALUES = 50_000
"""Commas of a JSON document, the ones in texts included: a bundle of 2,597 failed examples has 20,000."""

MAX_ERRORS = 100
"""Above so many errors of a document, they are counted and none is described: a description takes 2 kB."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold: the time of packing is not part of a bundle."""

_HEADER = struct.Struct("<4s5H3L2H")
"""A member's header: signature, version, flags, method, time, date, CRC, packed size, size, lengths of name and
extra field."""

_END_BYTES = 22
"""The record at the end of a zip without a comment."""

M = TypeVar("M", bound=BaseModel)


class ArchiveError(ValueError):
    """A file that is not a bundle; the text is a sentence without its subject and full stop."""


def pack(members: Mapping[str, bytes]) -> bytes:
    """The bytes of a bundle of these members, in their order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression=zipfile.ZIP_STORED, allowZip64=False) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, date_time=EPOCH)
            info.create_system = 3  # Unix, wherever this runs
            info.external_attr = 0o100644 << 16
            archive.writestr(info, content)
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """The members of a bundle.

    Raises:
        ArchiveError: It is not what `pack` returns for the members of a bundle, or a member is too large.
    """
    end = data.rfind(b"PK\x05\x06")
    if end < 0 or len(data) - end < _END_BYTES:
        raise ArchiveError("is not a zip, or is damaged (it has no end)")
    members = {}
    if data.startswith(b"PK"):
        members = _read_members(data)
        if tuple(members) not in {REQUIRED, (*REQUIRED, ENVELOPE)}:
            shown = ", ".join(repr(name[:80]) for name in members)
            raise ArchiveError(f"holds {shown or 'nothing'}; a bundle holds {', '.join(REQUIRED)}")
    if pack(members) != data:
        raise ArchiveError(
            "does not have the bytes of a bundle: it was packed by another program, or changed"
        )
    return members


def _read_members(data: bytes) -> dict[str, bytes]:
    """The members by the headers before each, in their order; ends after one that no bundle holds."""
    members: dict[str, bytes] = {}
    offset = 0
    while data[offset : offset + 4] == b"PK\x03\x04":
        if len(data) < offset + _HEADER.size:
            raise ArchiveError("is not a zip, or is damaged (a header is cut off)")
        _, _, _, method, _, _, _, packed, _, name_bytes, extra_bytes = _HEADER.unpack_from(data, offset)
        start = offset + _HEADER.size + name_bytes + extra_bytes
        name = data[offset + _HEADER.size : start - extra_bytes].decode("utf-8", "replace")
        limit = MAX_MEMBER_BYTES.get(name)
        if limit is None or name in members:
            return {**members, f"{name} (again)" if name in members else name: b""}
        if method != zipfile.ZIP_STORED:
            raise ArchiveError("is compressed, which a bundle never is")
        if packed > limit:
            raise ArchiveError(f"holds {packed} bytes in {name}; at most {limit} are allowed")
        if start + packed > len(data):
            raise ArchiveError(f"is not a zip, or is damaged ({name} is cut off)")
        members[name] = data[start : start + packed]
        offset = start + packed
    return members


def parse_member(model: type[M], content: bytes) -> M:
    """A JSON member as a model.

    Raises:
        ArchiveError: It has too many values, or does not match the model.
    """
    if content.count(b",") > MAX_VALUES:
        raise ArchiveError(f"has more than {MAX_VALUES} values, the limit for a bundle")
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise ArchiveError(f"is not valid ({first_error(error)})") from None


def first_error(error: ValidationError) -> str:
    """The first error of a document: the field and the reason; only their number if there are many."""
    if error.error_count() > MAX_ERRORS:
        return f"{error.error_count()} errors"
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(for_terminal(str(part))[:80] for part in first["loc"])
    return f"{place or 'the file'}: {for_terminal(first['msg'])[:200]}"


def read_bundle(path: Path) -> bytes:
    """The bytes of a file, within the size cap.

    Raises:
        UsageError: There is no such file, or it can't be read.
        ArchiveError: It is too large.
    """
    try:
        if not path.is_file():
            raise FileNotFoundError(2, "there is no such file")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path} can't be read: {error.strerror}.",
            hint="Give the path of a bundle that `cad1 export` wrote.",
        ) from error
    if len(data) > MAX_BYTES:
        raise ArchiveError(f"is larger than {MAX_BYTES} bytes, the limit for a bundle")
    return data
