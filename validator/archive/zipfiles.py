"""The members of a zip file: all checked before any is opened, then streamed."""

from __future__ import annotations

import itertools
import stat
import zlib
from collections import Counter

from validator.archive.members import (
    DamagedMemberError,
    Index,
    Member,
    MemberStream,
    Source,
    UnreadableArchiveError,
    fold_name,
    unsafe_reason,
)
from validator.archive.sizes import RATIO_FLOOR, SizeLimits
from validator.archive.zipdirectory import CENTRAL, Record, check_local_header, find_end, parse_directory
from validator.findings.codes import new_finding
from validator.findings.wording import printable

ENTRY_BYTES = 400
"""Directory bytes allowed per entry on average; names of a submission take about 110, extra fields 40."""

_FLAG_ENCRYPTED = 0x1 | 0x40 | 0x2000
_FLAG_PATCH = 0x20


def _kind_problem(record: Record) -> tuple[str, str, str] | None:  # noqa: PLR0911
    """(code, message, found) for a member that may not be opened; None if it may."""
    if record.flags & _FLAG_ENCRYPTED:
        return "member-encrypted", "This member is encrypted.", ""
    if record.flags & _FLAG_PATCH:
        return "member-compression", "This member is compressed patch data.", "flag bit 5"
    kind = stat.S_IFMT(record.mode)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or (
        kind == stat.S_IFDIR and not record.path.endswith("/") and record.size
    ):
        noun = {stat.S_IFLNK: "a symbolic link"}.get(kind, f"a special file (mode {record.mode:o})")
        return "member-special", f"This member is {noun}.", noun
    if record.method not in (0, 8):
        return "member-compression", "This member is neither stored nor deflated.", f"method {record.method}"
    if record.method == 0 and record.packed != record.size:
        return (
            "member-mismatch",
            "This member is stored, but its packed and unpacked sizes differ.",
            f"{record.packed} and {record.size} bytes",
        )
    if record.path.endswith("/") and record.size:
        return "archive-structure", "This folder entry has contents of its own.", f"{record.size} bytes"
    return None


def read_directory(file: Source, limits: SizeLimits) -> Index:
    """Read and check the directory and every member's local header.

    Raises:
        UnreadableArchiveError: there is no valid directory.
    """
    end = find_end(file)
    index = Index()
    least = end.entries * CENTRAL.size
    if end.entries > limits.entries or end.size > limits.entries * ENTRY_BYTES:
        index.problems.append(
            new_finding(
                "archive-too-large",
                "",
                "The archive has more members than a submission needs.",
                expected=f"at most {limits.entries}",
                found=f"{end.entries} (a directory of {end.size} bytes)",
            )
        )
        return index
    if end.size < least:
        raise UnreadableArchiveError(
            f"its directory of {end.size} bytes is too small for {end.entries} entries"
        )
    directory = file.read_at(end.offset, end.size)
    if len(directory) < end.size:
        raise UnreadableArchiveError("its directory is outside the file")
    records = parse_directory(directory, end.entries)
    total = sum(record.size for record in records)
    if total > limits.total_bytes:
        index.problems.append(
            new_finding(
                "archive-too-large",
                "",
                "The archive unpacks to more than a submission needs.",
                expected=f"at most {limits.total_bytes} bytes",
                found=f"{total} bytes",
            )
        )
        return index
    _check_members(file, records, end.offset, index, limits)
    return index


def _check_members(file: Source, records: list[Record], end: int, index: Index, limits: SizeLimits) -> None:
    by_offset = sorted(record.offset for record in records)
    shared = Counter(by_offset)
    following = dict(itertools.pairwise([*by_offset, end]))
    if by_offset != [record.offset for record in records]:
        index.problems.append(
            new_finding(
                "archive-structure", "", "The directory lists the members in a different order than the file."
            )
        )
    seen: dict[str, str] = {}
    for record in records:
        path = record.path
        reason = "it contains a NUL byte" if b"\0" in record.raw_name else unsafe_reason(path)
        if reason:
            index.refuse("member-name", path, f"The name is unsafe: {reason}.", found=printable(path))
            continue
        key = fold_name(path.removesuffix("/"))
        if key in seen:
            same = "the same name" if seen[key] == path else "a name that is the same on some file systems"
            index.refuse("member-duplicate", path, f"Another member has {same}.", found=printable(seen[key]))
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
            index.refuse("archive-structure", path, "This member is outside the file.")
            continue
        # two members at the same offset: neither may have any contents
        limit = record.offset if shared[record.offset] > 1 else following[record.offset]
        begin = check_local_header(file, record, limit)
        if isinstance(begin, tuple):
            difference, details = begin
            if difference == "header":
                index.refuse("archive-structure", path, "This member has no local header.", found=details)
            elif difference == "extent":
                message = "This member overlaps the next member or the directory."
                index.refuse("archive-structure", path, message, found=details)
            else:
                message = f"The local header and the directory differ in {difference}."
                index.refuse("member-mismatch", path, message, found=details)
            continue
        if path.endswith("/"):
            continue
        if _too_large(index, record, limits):
            continue
        index.members[path] = Member(
            path, record.size, packed=record.packed, offset=begin, method=record.method, crc=record.crc
        )


def _too_large(index: Index, record: Record, limits: SizeLimits) -> bool:
    if record.size > limits.member_bytes:
        index.refuse(
            "member-too-large",
            record.path,
            "This member is larger than any expected file.",
            expected=f"at most {limits.member_bytes} bytes",
            found=f"{record.size} bytes",
        )
        return True
    if record.size >= RATIO_FLOOR and record.size > limits.ratio * max(record.packed, 1):
        index.refuse(
            "member-too-large",
            record.path,
            "This member is more compressible than audio can be.",
            expected=f"at most {limits.ratio}:1",
            found=f"{record.packed} bytes unpack to {record.size}",
        )
        return True
    return False


class ZipStream(MemberStream):
    """The contents of a member of a zip, checked against the declared size and CRC."""

    def __init__(self, source: Source, member: Member) -> None:
        super().__init__(source, member)
        self._at, self._left = member.offset, member.packed
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS) if member.method == 8 else None
        self._pending = b""
        self._count, self._crc, self._done = 0, 0, False

    def part(self, count: int) -> bytes:
        """The next bytes, at most `count`, unpacked."""
        if self._done:
            return b""
        data = self._next(count)
        self._count += len(data)
        self._crc = zlib.crc32(data, self._crc)
        if self._count > self._member.size:
            raise DamagedMemberError(f"it unpacks to more than the {self._member.size} bytes declared")
        if not data:
            self._finish()
        return data

    def _packed(self, count: int) -> bytes:
        data = self._source.read_at(self._at, min(count, self._left))
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
                raise DamagedMemberError("its packed data end early")
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
            raise DamagedMemberError(
                f"it unpacks to {self._count} bytes, but {self._member.size} are declared"
            )
        if self._inflate is not None and (self._left or self._inflate.unused_data or self._pending):
            raise DamagedMemberError("there are extra packed data after its end")
        if self._crc != self._member.crc:
            raise DamagedMemberError(
                f"its CRC is {self._crc:08x}, but {self._member.crc or 0:08x} is declared"
            )
