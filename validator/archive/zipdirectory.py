"""Parses the directory of a zip file and the local headers of its members (APPNOTE 6.3.10).

The standard library's `zipfile` is not used: its strictness depends on the Python version, it cuts names at NUL
and it keeps the last of two equal names.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from validator.archive.members import Source, UnreadableArchiveError
from validator.findings.wording import printable

_EOCD = struct.Struct("<4s4H2LH")
_EOCD64_LOCATOR = struct.Struct("<4sLQL")
_EOCD64 = struct.Struct("<4sQ2H2L4Q")
CENTRAL = struct.Struct("<4s6H3L5H2L")
"""An entry of the directory without its name, extra fields and comment."""

_LOCAL = struct.Struct("<4s5H3L2H")

COMMENT_BYTES = 0xFFFF
"""Longest comment of a zip: how far from the end the end record can be."""

TRAILING_BYTES = 1 << 12
"""Bytes that an upload or a signing tool may append after the end record."""

_FLAG_DESCRIPTOR = 0x8
_FLAG_UTF8 = 0x800
_MAX32 = 0xFFFF_FFFF
_MAX16 = 0xFFFF
_UNIX, _DARWIN = 3, 19


@dataclass(frozen=True, slots=True)
class End:
    """What the end record declares: number of entries, offset and size in bytes of the directory."""

    entries: int
    offset: int
    size: int


def find_end(file: Source) -> End:
    """Find the end record, with zip64 resolved.

    Raises:
        UnreadableArchiveError: there is none, or it is invalid.
    """
    tail_bytes = min(file.size, _EOCD.size + COMMENT_BYTES + TRAILING_BYTES)
    start = file.size - tail_bytes
    tail = file.read_at(start, tail_bytes)
    at = tail.rfind(b"PK\x05\x06")
    while at >= 0:
        if len(tail) - at >= _EOCD.size:
            _, disk, first_disk, here, entries, size, offset, comment = _EOCD.unpack_from(tail, at)
            left = len(tail) - at - _EOCD.size - comment
            if left >= 0:
                break
        at = tail.rfind(b"PK\x05\x06", 0, at)
    if at < 0:
        raise UnreadableArchiveError("it has no end record: the file is truncated or not a zip")
    position = start + at
    if position >= _EOCD64_LOCATOR.size:
        locator = file.read_at(position - _EOCD64_LOCATOR.size, _EOCD64_LOCATOR.size)
        if locator[:4] == b"PK\x06\x07":
            _, disk64, where, disks = _EOCD64_LOCATOR.unpack(locator)
            record = file.read_at(where, _EOCD64.size)
            if disk64 != 0 or disks > 1 or len(record) < _EOCD64.size or record[:4] != b"PK\x06\x06":
                raise UnreadableArchiveError("its zip64 end record is damaged or on another volume")
            _, length, _, _, disk, first_disk, here, entries, size, offset = _EOCD64.unpack(record)
            if where + 12 + length != position - _EOCD64_LOCATOR.size:
                raise UnreadableArchiveError("its zip64 end record is not where it should be")
            position = where
    if disk != 0 or first_disk != 0 or here != entries:
        raise UnreadableArchiveError("it is one part of a zip in several volumes")
    if offset + size != position:
        raise UnreadableArchiveError(
            "its directory is not directly before its end record (there are extra bytes before the zip, "
            "or a tool without zip64 wrote more than 4 GB)"
        )
    return End(entries, offset, size)


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of the central directory, with zip64 sizes resolved."""

    raw_name: bytes
    path: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    mode: int


def _extra_fields(extra: bytes) -> dict[int, bytes]:
    fields: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if at + 4 + length > len(extra):
            raise ValueError("an extra field extends past its end")
        fields.setdefault(kind, extra[at + 4 : at + 4 + length])
        at += 4 + length
    return fields


def _name(raw: bytes, flags: int, fields: dict[int, bytes]) -> str:
    unicode_path = fields.get(0x7075, b"")
    if len(unicode_path) > 5 and unicode_path[0] == 1:
        crc = struct.unpack_from("<L", unicode_path, 1)[0]
        if crc == zlib.crc32(raw):
            return unicode_path[5:].decode("utf-8", "surrogateescape")
    if flags & _FLAG_UTF8 or raw.isascii():
        return raw.decode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")  # macOS writes UTF-8 without setting the flag
    except UnicodeDecodeError:
        return raw.decode("cp437")


def _zip64(fields: dict[int, bytes], values: tuple[int, int, int]) -> tuple[int, int, int]:
    """Size, packed size and offset; each that is all ones is replaced by its zip64 value."""
    data, at, out = fields.get(1, b""), 0, list(values)
    for place, value in enumerate(values):
        if value == _MAX32:
            if at + 8 > len(data):
                raise ValueError("a zip64 field is too short")
            out[place] = int.from_bytes(data[at : at + 8], "little")
            at += 8
    return out[0], out[1], out[2]


def parse_directory(directory: bytes, count: int) -> list[Record]:
    """Parse a directory that must have `count` entries.

    Raises:
        UnreadableArchiveError: it is damaged.
    """
    records: list[Record] = []
    at = 0
    while at < len(directory):
        if at + CENTRAL.size > len(directory) or directory[at : at + 4] != b"PK\x01\x02":
            raise UnreadableArchiveError(f"entry {len(records) + 1} of its directory is damaged")
        (_, made_by, _, flags, method, _, _, crc, packed, size, n_name, n_extra, n_comment, disk, _, mode,
         offset) = CENTRAL.unpack_from(directory, at)  # fmt: skip
        at += CENTRAL.size
        raw = directory[at : at + n_name]
        extra = directory[at + n_name : at + n_name + n_extra]
        at += n_name + n_extra + n_comment
        if at > len(directory):
            raise UnreadableArchiveError(f"entry {len(records) + 1} of its directory extends past the end")
        try:
            fields = _extra_fields(extra)
            size, packed, offset = _zip64(fields, (size, packed, offset))
        except ValueError as error:
            raise UnreadableArchiveError(f"entry {len(records) + 1} of its directory: {error}") from error
        if disk not in (0, _MAX16):
            raise UnreadableArchiveError("it is one part of a zip in several volumes")
        unix = (mode >> 16) if made_by >> 8 in (_UNIX, _DARWIN) else 0
        path = _name(raw, flags, fields)
        records.append(Record(raw, path, flags, method, crc, packed, size, offset, unix))
    if len(records) != count:
        raise UnreadableArchiveError(
            f"its directory has {len(records)} entries, but its end record declares {count}"
        )
    return records


def check_local_header(  # noqa: PLR0911 - one return for each difference
    file: Source, record: Record, end: int
) -> tuple[str, str] | int:
    """Compare a member's local header with the directory.

    Args:
        file: The zip.
        record: The member's entry in the directory.
        end: Offset at which the next member or the directory begins.

    Returns:
        The offset of the contents; or, if something differs, (what differs, what was found).
    """
    header = file.read_at(record.offset, _LOCAL.size + len(record.raw_name))
    if len(header) < _LOCAL.size or header[:4] != b"PK\x03\x04":
        return "header", "other data at the offset in the directory"
    _, _, flags, method, _, _, crc, packed, size, n_name, n_extra = _LOCAL.unpack_from(header)
    begin: int = record.offset + _LOCAL.size + n_name + n_extra
    if header[_LOCAL.size :] != record.raw_name or n_name != len(record.raw_name):
        name = file.read_at(record.offset + _LOCAL.size, min(n_name, 300))
        return "name", printable(name.decode("utf-8", "surrogateescape"))
    if flags & ~0x6 != record.flags & ~0x6:
        return "flags", f"{flags:#06x} instead of {record.flags:#06x}"
    if method != record.method:
        return "compression method", f"{method} instead of {record.method}"
    if _MAX32 in (packed, size):
        extra = file.read_at(begin - n_extra, n_extra)
        try:
            size, packed, _ = _zip64(_extra_fields(extra), (size, packed, 0))
        except ValueError as error:
            return "the zip64 field", str(error)
    declared = (crc, packed, size)
    if declared != (record.crc, record.packed, record.size) and not (
        flags & _FLAG_DESCRIPTOR and declared == (0, 0, 0)
    ):
        return "size or checksum", f"{packed} bytes packed, {size} unpacked, CRC {crc:08x}"
    if begin + record.packed > end:
        return "extent", f"an end at byte {begin + record.packed} instead of {end} or before"
    return begin
