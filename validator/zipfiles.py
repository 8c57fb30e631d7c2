"""The directory of a zip file, read and checked before any member is opened (APPNOTE 6.3.10).

Own code rather than `zipfile`, whose strictness differs from one Python to the next, which cuts names at
NUL and keeps the last of two equal names.
"""

from __future__ import annotations

import io
import itertools
import stat
import struct
import zlib
from collections import Counter
from dataclasses import dataclass

from validator.codes import rule
from validator.limits import RATIO_FLOOR, Limits
from validator.members import (
    CHUNK,
    DamagedMemberError,
    Index,
    Member,
    RandomFile,
    UnreadableArchiveError,
    folded,
    shown,
    unsafe,
)

_EOCD = struct.Struct("<4s4H2LH")
_EOCD64_LOCATOR = struct.Struct("<4sLQL")
_EOCD64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")

COMMENT_BYTES = 0xFFFF
"""Longest comment a zip can have; the end record is looked for so far back."""

ENTRY_BYTES = 400
"""Bytes of directory an entry may take on average: names of a submission have about 110, extra fields 40."""

TRAILING_BYTES = 1 << 12
"""Bytes after the end record that an upload or a signing tool may leave."""

_FLAG_ENCRYPTED = 0x1 | 0x40 | 0x2000
_FLAG_DESCRIPTOR = 0x8
_FLAG_PATCH = 0x20
_FLAG_UTF8 = 0x800
_MAX32 = 0xFFFF_FFFF
_MAX16 = 0xFFFF
_UNIX, _DARWIN = 3, 19
_RATIO_MESSAGE = "shrinks more than audio can"


@dataclass(frozen=True, slots=True)
class _End:
    entries: int
    offset: int
    size: int


def _find_end(file: RandomFile) -> _End:
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
        raise UnreadableArchiveError("it has no end record: the file is cut off, or is not a zip")
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
            "its directory does not lie directly before its end record (bytes were put before the zip, "
            "or a tool without zip64 wrote more than 4 GB)"
        )
    return _End(entries, offset, size)


@dataclass(frozen=True, slots=True)
class _Record:
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
            raise ValueError("an extra field runs over its end")
        fields.setdefault(kind, extra[at + 4 : at + 4 + length])
        at += 4 + length
    return fields


def _name(raw: bytes, flags: int, fields: dict[int, bytes]) -> str:
    unicode_path = fields.get(0x7075, b"")
    if len(unicode_path) > 5 and unicode_path[0] == 1:
        crc = struct.unpack_from("<L", unicode_path, 1)[0]
        if crc == zlib.crc32(raw):
            return unicode_path[5:].decode("utf-8", "replace")
    if flags & _FLAG_UTF8 or raw.isascii():
        return raw.decode("utf-8", "replace")
    try:
        return raw.decode("utf-8")  # macOS writes UTF-8 without saying so
    except UnicodeDecodeError:
        return raw.decode("cp437")


def _zip64(fields: dict[int, bytes], values: tuple[int, int, int]) -> tuple[int, int, int]:
    """Size, packed size and offset, each replaced from the zip64 field where it is all ones."""
    data, at, out = fields.get(1, b""), 0, list(values)
    for place, value in enumerate(values):
        if value == _MAX32:
            if at + 8 > len(data):
                raise ValueError("a zip64 field is too short")
            out[place] = int.from_bytes(data[at : at + 8], "little")
            at += 8
    return out[0], out[1], out[2]


def _records(directory: bytes, count: int) -> list[_Record]:
    records: list[_Record] = []
    at = 0
    while at < len(directory):
        if at + _CENTRAL.size > len(directory) or directory[at : at + 4] != b"PK\x01\x02":
            raise UnreadableArchiveError(f"entry {len(records) + 1} of its directory is damaged")
        (_, made_by, _, flags, method, _, _, crc, packed, size, n_name, n_extra, n_comment, disk, _, mode,
         offset) = _CENTRAL.unpack_from(directory, at)  # fmt: skip
        at += _CENTRAL.size
        raw = directory[at : at + n_name]
        extra = directory[at + n_name : at + n_name + n_extra]
        at += n_name + n_extra + n_comment
        if at > len(directory):
            raise UnreadableArchiveError(f"entry {len(records) + 1} of its directory runs over the end")
        try:
            fields = _extra_fields(extra)
            size, packed, offset = _zip64(fields, (size, packed, offset))
        except ValueError as error:
            raise UnreadableArchiveError(f"entry {len(records) + 1} of its directory: {error}") from error
        if disk not in (0, _MAX16):
            raise UnreadableArchiveError("it is one part of a zip in several volumes")
        unix = (mode >> 16) if made_by >> 8 in (_UNIX, _DARWIN) else 0
        path = _name(raw, flags, fields)
        records.append(_Record(raw, path, flags, method, crc, packed, size, offset, unix))
    if len(records) != count:
        raise UnreadableArchiveError(
            f"its directory has {len(records)} entries and its end record says {count}"
        )
    return records


def _local_problem(  # noqa: PLR0911 - one return for each way to differ
    file: RandomFile, record: _Record, end: int
) -> tuple[str, str] | int:
    """Where the contents begin, or (what differs, how) between the local header and the directory."""
    header = file.read_at(record.offset, _LOCAL.size + len(record.raw_name))
    if len(header) < _LOCAL.size or header[:4] != b"PK\x03\x04":
        return "header", "no local header where the directory points"
    _, _, flags, method, _, _, crc, packed, size, n_name, n_extra = _LOCAL.unpack_from(header)
    begin: int = record.offset + _LOCAL.size + n_name + n_extra
    if header[_LOCAL.size :] != record.raw_name or n_name != len(record.raw_name):
        name = file.read_at(record.offset + _LOCAL.size, min(n_name, 300))
        return "name", shown(name.decode("utf-8", "replace"))
    if flags & ~0x6 != record.flags & ~0x6:
        return "flags", f"{flags:#06x} instead of {record.flags:#06x}"
    if method != record.method:
        return "method", f"{method} instead of {record.method}"
    if _MAX32 in (packed, size):
        extra = file.read_at(begin - n_extra, n_extra)
        try:
            size, packed, _ = _zip64(_extra_fields(extra), (size, packed, 0))
        except ValueError as error:
            return "zip64 field", str(error)
    declared = (crc, packed, size)
    if declared != (record.crc, record.packed, record.size) and not (
        flags & _FLAG_DESCRIPTOR and declared == (0, 0, 0)
    ):
        return "size or checksum", f"{packed} bytes packed, {size} unpacked, CRC {crc:08x}"
    if begin + record.packed > end:
        return "extent", "it runs into the next member or the directory"
    return begin


def _kind_problem(record: _Record) -> tuple[str, str, str] | None:  # noqa: PLR0911
    """(code, message, found) for a member that may not be opened whatever its place."""
    if record.flags & _FLAG_ENCRYPTED:
        return "member-encrypted", "This member is encrypted.", ""
    if record.flags & _FLAG_PATCH:
        return "member-compression", "This member is patched data.", "flag bit 5"
    kind = stat.S_IFMT(record.mode)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or (
        kind == stat.S_IFDIR and not record.path.endswith("/") and record.size
    ):
        what = {stat.S_IFLNK: "a symbolic link"}.get(kind, f"a special file (mode {record.mode:o})")
        return "member-special", f"This member is {what}.", what
    if record.method not in (0, 8):
        return "member-compression", "This member is neither stored nor deflated.", f"method {record.method}"
    if record.method == 0 and record.packed != record.size:
        return (
            "member-mismatch",
            "This member is stored, but its packed and unpacked sizes differ.",
            f"{record.packed} and {record.size} bytes",
        )
    if record.path.endswith("/") and record.size:
        return "archive-structure", "This folder has contents of its own.", f"{record.size} bytes"
    return None


def read_directory(file: RandomFile, limits: Limits) -> Index:
    """Read and check the directory, and every member's local header.

    Raises:
        UnreadableArchiveError: there is no directory that could be trusted.
    """
    end = _find_end(file)
    index = Index()
    least = end.entries * _CENTRAL.size
    if end.entries > limits.entries or end.size > limits.entries * ENTRY_BYTES:
        index.problems.append(
            rule("archive-too-large").at(
                "",
                "The archive has more members than a submission can need.",
                expected=f"at most {limits.entries}",
                found=f"{end.entries} ({end.size} bytes of directory)",
            )
        )
        return index
    if end.size < least:
        raise UnreadableArchiveError(f"its directory of {end.size} bytes cannot hold {end.entries} entries")
    directory = file.read_at(end.offset, end.size)
    if len(directory) < end.size:
        raise UnreadableArchiveError("its directory lies outside the file")
    records = _records(directory, end.entries)
    total = sum(record.size for record in records)
    if total > limits.total_bytes:
        index.problems.append(
            rule("archive-too-large").at(
                "",
                "The archive unpacks to more than a submission can need.",
                expected=f"at most {limits.total_bytes} bytes",
                found=f"{total} bytes",
            )
        )
        return index
    _judge(file, records, end.offset, index, limits)
    return index


def _judge(file: RandomFile, records: list[_Record], end: int, index: Index, limits: Limits) -> None:
    by_offset = sorted(record.offset for record in records)
    shared = Counter(by_offset)
    following = dict(itertools.pairwise([*by_offset, end]))
    if by_offset != [record.offset for record in records]:
        index.problems.append(
            rule("archive-structure").at(
                "", "The directory lists the members in another order than they lie in the file."
            )
        )
    seen: dict[str, str] = {}
    for record in records:
        path = record.path
        reason = "it holds a NUL byte" if b"\0" in record.raw_name else unsafe(path)
        if reason:
            index.refuse("member-name", path, f"The name is unsafe: {reason}.", found=shown(path))
            continue
        key = folded(path.removesuffix("/"))
        if key in seen:
            same = "the same name" if seen[key] == path else "a name that some file systems take for the same"
            index.refuse("member-duplicate", path, f"Another member has {same}.", found=shown(seen[key]))
            index.refused.add(seen[key])
            index.members.pop(seen[key], None)
            continue
        seen[key] = path
        problem = _kind_problem(record)
        if problem:
            code, message, found = problem
            index.refuse(code, path, message, found=found)
            continue
        if record.offset >= end:
            index.refuse("archive-structure", path, "This member lies outside the file.")
            continue
        # of two members at one offset, neither may have any contents there
        limit = record.offset if shared[record.offset] > 1 else following[record.offset]
        begin = _local_problem(file, record, limit)
        if isinstance(begin, tuple):
            what, how = begin
            code = "archive-structure" if what in ("extent", "header") else "member-mismatch"
            index.refuse(
                code, path, f"The member's own header does not fit the directory: {what}.", found=how
            )
            continue
        if path.endswith("/"):
            continue
        if _too_large(index, record, limits):
            continue
        index.members[path] = Member(
            path, record.size, packed=record.packed, offset=begin, method=record.method, crc=record.crc
        )


def _too_large(index: Index, record: _Record, limits: Limits) -> bool:
    if record.size > limits.member_bytes:
        index.refuse(
            "member-too-large",
            record.path,
            "This member is larger than any file the challenge asks for.",
            expected=f"at most {limits.member_bytes} bytes",
            found=f"{record.size} bytes",
        )
        return True
    if record.size >= RATIO_FLOOR and record.size > limits.ratio * max(record.packed, 1):
        index.refuse(
            "member-too-large",
            record.path,
            f"This member {_RATIO_MESSAGE}.",
            expected=f"at most {limits.ratio}:1",
            found=f"{record.packed} bytes unpack to {record.size}",
        )
        return True
    return False


class ZipReader:
    """The members of a zip, streamed, and held to their declared size and CRC."""

    def __init__(self, file: RandomFile) -> None:
        self._file = file

    def open(self, member: Member) -> io.RawIOBase:
        """The contents of a member."""
        return _ZipStream(self._file, member)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _ZipStream(io.RawIOBase):
    def __init__(self, file: RandomFile, member: Member) -> None:
        self._file, self._member = file, member
        self._at, self._left = member.offset, member.packed
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS) if member.method == 8 else None
        self._pending = b""
        self._count, self._crc, self._done = 0, 0, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        if self._done or len(buffer) == 0:
            return 0
        data = self._next(min(len(buffer), CHUNK))
        self._count += len(data)
        self._crc = zlib.crc32(data, self._crc)
        if self._count > self._member.size:
            raise DamagedMemberError(f"it unpacks to more than the {self._member.size} bytes declared")
        if not data:
            self._finish()
        buffer[: len(data)] = data
        return len(data)

    def _packed(self, count: int) -> bytes:
        data = self._file.read_at(self._at, min(count, self._left))
        self._at += len(data)
        self._left -= len(data)
        if not data and self._left:
            raise DamagedMemberError("the archive ends within it")
        return data

    def _next(self, count: int) -> bytes:
        if self._inflate is None:
            return self._packed(count)
        while not self._inflate.eof:
            if not self._pending and not self._left:
                raise DamagedMemberError("its packed data end too early")
            source = self._pending or self._packed(max(count, 512))
            try:
                data = self._inflate.decompress(source, count)
            except zlib.error as error:
                raise DamagedMemberError(f"its packed data are damaged ({error})") from error
            self._pending = self._inflate.unconsumed_tail
            if data:
                return data
        return b""

    def _finish(self) -> None:
        self._done = True
        if self._count != self._member.size:
            raise DamagedMemberError(f"it unpacks to {self._count} bytes; {self._member.size} are declared")
        if self._inflate is not None and (self._left or self._inflate.unused_data or self._pending):
            raise DamagedMemberError("packed data are left over after its end")
        if self._crc != self._member.crc:
            raise DamagedMemberError(f"its CRC is {self._crc:08x}; {self._member.crc or 0:08x} is declared")
