"""The members of a tar or tar.gz, checked like those of a zip.

The standard library's `tarfile` is not used: it reads extended headers of any size into memory and repairs names.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from validator.archive.members import (
    CHUNK,
    DamagedMemberError,
    Index,
    Member,
    MemberStream,
    Source,
    UnreadableArchiveError,
    fold_name,
    unsafe_reason,
)
from validator.findings.codes import new_finding
from validator.findings.wording import printable

if TYPE_CHECKING:
    from validator.archive.sizes import SizeLimits

BLOCK = 512
"""Bytes of a block; every header and every file of a tar fills whole blocks."""

EXTENSIONS = frozenset((b"x", b"g", b"L", b"K"))
"""Types of extended headers, which describe the member after them and are not members themselves."""

EXTENSION_BYTES = 1 << 16
"""Largest extended header; one with a path and times takes a few hundred bytes."""

EXTENSIONS_IN_A_ROW = 8
"""Most extended headers before one member; tools write a global one, its own, a long name and a long link."""

CHECKPOINTS = 512
"""Decompressor states kept of a tar.gz, 48 kB each, so that a member is reached without starting over."""

SPACING = 4 << 20
"""Least distance between two checkpoints in unpacked bytes."""

_NAME, _SIZE, _CHECKSUM, _MAGIC, _PREFIX = (
    slice(0, 100),
    slice(124, 136),
    slice(148, 156),
    slice(257, 263),
    slice(345, 500),
)


class GzipFile:
    """The unpacked bytes of a gzip file at any offset, without a temporary file.

    One pass stores the state of the decompressor at checkpoints; a read continues from the nearest one before it.
    """

    def __init__(self, file: Source, *, limit: int) -> None:
        self._file = file
        self._points: list[tuple[int, int, bytes, zlib._Decompress]] = []
        self._cursor: tuple[int, int, bytes, zlib._Decompress] | None = None
        self.size = self._scan(limit)

    def _scan(self, limit: int) -> int:
        spacing = max(SPACING, self._file.size // CHECKPOINTS)
        inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
        at = done = 0
        pending = b""
        following = 0
        while not inflate.eof:
            if done >= following:
                if len(self._points) >= 4 * CHECKPOINTS:
                    spacing *= 2
                    del self._points[1::2]
                self._points.append((done, at, pending, inflate.copy()))
                following = done + spacing
            if not pending:
                pending = self._file.read_at(at, CHUNK)
                at += len(pending)
                if not pending:
                    raise UnreadableArchiveError("its gzip data end early: the file is truncated")
            try:
                done += len(inflate.decompress(pending, CHUNK))
            except zlib.error as error:
                raise UnreadableArchiveError(f"its gzip data are damaged ({error})") from error
            pending = inflate.unconsumed_tail
            if done > limit:
                raise UnreadableArchiveError(f"it unpacks to more than {limit} bytes")
        rest = inflate.unused_data + self._file.read_at(at, CHUNK)
        if rest.strip(b"\0"):
            raise UnreadableArchiveError("there are extra bytes after its gzip data")
        return done

    def read_at(self, offset: int, count: int) -> bytes:
        """Up to `count` unpacked bytes from `offset`."""
        count = min(count, self.size - offset)
        if offset < 0 or count <= 0:
            return b""
        state = self._cursor
        nearest = max((point for point in self._points if point[0] <= offset), key=lambda point: point[0])
        if state is None or not nearest[0] <= state[0] <= offset:
            done, at, pending, frozen = nearest
            state = (done, at, pending, frozen.copy())
        done, at, pending, inflate = state
        parts: list[bytes] = []
        wanted = offset + count
        while done < wanted and not inflate.eof:
            if not pending:
                pending = self._file.read_at(at, CHUNK)
                at += len(pending)
                if not pending:
                    raise DamagedMemberError("the archive ends within it")
            room = offset - done if done < offset else wanted - done
            data = inflate.decompress(pending, min(room, CHUNK))
            pending = inflate.unconsumed_tail
            if done >= offset:
                parts.append(data)
            done += len(data)
        self._cursor = (done, at, pending, inflate)
        return b"".join(parts)


def _number(field: bytes, noun: str) -> int:
    if field[0] & 0x80:  # GNU base-256, for sizes above 8 GiB
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    text = field.strip(b" \0")
    if not text:
        return 0
    if not all(48 <= digit <= 55 for digit in text):
        raise UnreadableArchiveError(f"a {noun} in one of its headers is not an octal number")
    return int(text, 8)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _pax(data: bytes) -> dict[str, str]:
    """The records `path`, `size` and `sparse` (any GNU.sparse key) of an extended header.

    A record is a length, a key, a value and a newline. Others are dropped: keeping them could fill the memory.
    """
    records: dict[str, str] = {}
    at = 0
    while at < len(data) and data[at] != 0:
        space = data.find(b" ", at, at + 10)
        if space < 0 or not data[at:space].isdigit():
            raise UnreadableArchiveError("one of its extended headers is damaged")
        length = int(data[at:space])
        record = data[space + 1 : at + length]
        key, equals, value = record.partition(b"=")
        if length < 5 or at + length > len(data) or not equals or not value.endswith(b"\n"):
            raise UnreadableArchiveError("one of its extended headers is damaged")
        name = "sparse" if key.startswith(b"GNU.sparse") else key.decode("utf-8", "surrogateescape")
        if name in ("path", "size", "sparse"):
            records[name] = value[:-1].decode("utf-8", "surrogateescape")
        at += length
    return records


def read_tar(file: Source, limits: SizeLimits) -> Index:  # noqa: PLR0912 - a state machine
    """Walk the headers, checking each.

    Raises:
        UnreadableArchiveError: the chain of headers is broken.
    """
    index = Index()
    seen: dict[str, str] = {}
    at = total = count = in_a_row = 0
    extended: dict[str, str] = {}
    while True:
        header = file.read_at(at, BLOCK)
        if len(header) < BLOCK:
            raise UnreadableArchiveError("it has no end marker: the file is truncated")
        if not header.strip(b"\0"):
            break
        at += BLOCK
        size = _check_header(header, at)
        if "size" in extended:
            if not extended["size"].isdecimal() or len(extended["size"]) > 15:
                raise UnreadableArchiveError("a size in one of its extended headers is not a number")
            size = int(extended["size"])
        kind = header[156:157]
        if at + size > file.size:
            raise UnreadableArchiveError("one of its members extends past the end: the file is truncated")
        following = at + -(-size // BLOCK) * BLOCK
        count += kind not in EXTENSIONS
        if count > limits.entries or total > limits.total_bytes:
            index.problems.append(
                new_finding(
                    "archive-too-large",
                    "",
                    "The archive contains more than a submission needs.",
                    expected=f"at most {limits.entries} members, {limits.total_bytes} bytes",
                    found=f"{count} members, {total} bytes so far",
                )
            )
            return index
        in_a_row = in_a_row + 1 if kind in EXTENSIONS else 0
        if in_a_row > EXTENSIONS_IN_A_ROW:
            raise UnreadableArchiveError("it has too many extended headers in a row")
        if kind in EXTENSIONS:
            if size > EXTENSION_BYTES:
                raise UnreadableArchiveError("one of its extended headers is too large")
            data = file.read_at(at, size)
            if kind == b"x":
                extended |= _pax(data)
            elif kind == b"L":
                extended["path"] = _text(data)
        else:
            path = extended.get("path") or _path(header)
            sparse = kind == b"S" or "sparse" in extended
            member = Member(path.removeprefix("./"), size, packed=size, offset=at)
            _add(index, seen, member, kind, sparse=sparse, limits=limits)
            total += size
            extended = {}
        at = following
    if count == 0:
        raise UnreadableArchiveError("it is empty or not an archive")
    return index


def _check_header(header: bytes, at: int) -> int:
    """Verify the checksum of a header, and return the size in it."""
    unsigned = sum(header) - sum(header[_CHECKSUM]) + 8 * 32
    if _number(header[_CHECKSUM], "checksum") != unsigned:
        raise UnreadableArchiveError(
            f"the header at byte {at - BLOCK} has a wrong checksum or is not a tar header"
        )
    return _number(header[_SIZE], "size")


def _path(header: bytes) -> str:
    name = _text(header[_NAME])
    if header[_MAGIC] == b"ustar\0" and header[_PREFIX].strip(b"\0"):
        return _text(header[_PREFIX]) + "/" + name
    return name


def _add(
    index: Index, seen: dict[str, str], member: Member, kind: bytes, *, sparse: bool, limits: SizeLimits
) -> None:
    path = member.path
    if kind == b"5" and not path.endswith("/"):
        path += "/"
    if kind == b"5" and path in ("/", "./"):  # `tar -C folder .` starts with the folder itself
        return
    reason = unsafe_reason(path)
    if reason:
        index.refuse("member-name", path, f"The name is unsafe: {reason}.", found=printable(path))
        return
    key = fold_name(path.removesuffix("/"))
    if key in seen:
        index.refuse(
            "member-duplicate", path, "Another member has the same name.", found=printable(seen[key])
        )
        index.refused.add(seen[key])
        index.members.pop(seen[key], None)
        return
    seen[key] = path
    if kind == b"5":
        return
    if kind not in (b"0", b"\0", b"7") or sparse:
        noun = {b"1": "a hard link", b"2": "a symbolic link"}.get(kind, "not a regular file")
        index.refuse("member-special", path, f"This member is {'a sparse file' if sparse else noun}.")
    elif member.size > limits.member_bytes:
        index.refuse(
            "member-too-large",
            path,
            "This member is larger than any expected file.",
            expected=f"at most {limits.member_bytes} bytes",
            found=f"{member.size} bytes",
        )
    else:
        index.members[path] = member


class TarStream(MemberStream):
    """The contents of a member of a tar, which has no checksum."""

    def __init__(self, source: Source, member: Member) -> None:
        super().__init__(source, member)
        self._at, self._end = member.offset, member.offset + member.size

    def part(self, count: int) -> bytes:
        """The next bytes, at most `count`."""
        data = self._source.read_at(self._at, min(count, self._end - self._at))
        if not data and self._at < self._end:
            raise DamagedMemberError("the archive ends within it")
        self._at += len(data)
        return data
