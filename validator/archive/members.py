"""What all archive formats have in common: members, their names, and how they are read."""

from __future__ import annotations

import io
import os
import re
import threading
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from validator.findings.codes import new_finding
from validator.findings.text import for_terminal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from validator.findings.finding import Finding

CHUNK = 1 << 16
"""Bytes unpacked at a time; limits what one read can allocate."""

NAME_BYTES = 1024
"""Longest path in UTF-8; file systems allow 4096 bytes."""

PART_BYTES = 255
"""Longest part of a path between slashes in UTF-8: the limit of every common file system."""

_DRIVE = re.compile(r"^[A-Za-z]:")
_JUNK_NAMES = frozenset({".ds_store", "thumbs.db", "desktop.ini"})


class DamagedMemberError(Exception):
    """A member's contents do not match the archive's directory."""


class UnreadableArchiveError(Exception):
    """The archive as a whole cannot be read."""


@dataclass(frozen=True, slots=True)
class Member:
    """One regular file of a submission.

    Attributes:
        path: Relative POSIX path in the archive, including the wrapper folder.
        size: Declared unpacked size in bytes.
        packed: Stored size in bytes.
        offset: Byte at which its contents begin.
        method: 0 stored, 8 deflated.
        crc: CRC-32 of the contents; None if the format has none.
    """

    path: str
    size: int
    packed: int = 0
    offset: int = 0
    method: int = 0
    crc: int | None = None


class Container(Protocol):
    """A zip, a tar or a folder."""

    def open(self, member: Member) -> io.RawIOBase:
        """The contents of a member as a stream; reading raises `DamagedMemberError` if they are damaged."""
        ...

    def read(self, member: Member) -> bytes:
        """The whole contents of a member, fully checked; raises `DamagedMemberError` if they are damaged."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


@dataclass
class Index:
    """What the parser of a format found: usable members, refused members, and findings."""

    members: dict[str, Member] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    problems: list[Finding] = field(default_factory=list)

    def refuse(self, code: str, path: str, message: str, *, expected: str = "", found: str = "") -> None:
        """Record a finding about a member, which is then never opened."""
        self.refused.add(path)
        self.members.pop(path, None)
        self.problems.append(new_finding(code, printable(path), message, expected=expected, found=found))


class RandomFile:
    """A regular file that several threads may read at any offset."""

    def __init__(self, path: Path) -> None:
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
        self._fd = os.open(path, flags)
        self._lock = threading.Lock()
        self.size = os.fstat(self._fd).st_size

    def read_at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`; fewer only at the end of the file."""
        if offset < 0 or count <= 0:
            return b""
        if hasattr(os, "pread"):
            return os.pread(self._fd, count, offset)
        with self._lock:  # pragma: no cover - Windows
            os.lseek(self._fd, offset, os.SEEK_SET)
            return os.read(self._fd, count)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


class Source(Protocol):
    """Bytes that can be read at any offset: a file, or an unpacked file."""

    size: int

    def read_at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`; fewer only at the end."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class MemberStream(io.RawIOBase):
    """The contents of a member of an archive, part by part; each format implements `part`."""

    def __init__(self, source: Source, member: Member) -> None:
        self._source, self._member = source, member

    def part(self, count: int) -> bytes:
        """The next bytes, at most `count`; empty at the end, where the contents are checked as a whole.

        Raises:
            DamagedMemberError: the contents do not match the directory.
        """
        raise NotImplementedError

    def readable(self) -> bool:
        """Always true."""
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Read into a buffer, as `io.RawIOBase` does."""
        data = self.part(min(len(buffer), CHUNK)) if len(buffer) else b""
        buffer[: len(data)] = data
        return len(data)


class ArchiveReader:
    """Reads the members of an archive as streams.

    Args:
        source: The archive.
        stream: Stream class of its format.
    """

    def __init__(self, source: Source, stream: type[MemberStream]) -> None:
        self._source, self._stream = source, stream

    def open(self, member: Member) -> io.RawIOBase:
        """The contents of a member as a stream."""
        return self._stream(self._source, member)

    def read(self, member: Member) -> bytes:
        """The whole contents of a member."""
        with io.BufferedReader(self.open(member), CHUNK) as stream:
            data = stream.read(member.size)
            if stream.read(1) or len(data) < member.size:  # reading the end makes the stream check itself
                raise DamagedMemberError(f"it does not contain the {member.size} bytes declared")
            return data

    def close(self) -> None:
        """Close the archive."""
        self._source.close()


def printable(path: str) -> str:
    """A path for a report: control characters escaped, and shortened to at most 300 characters."""
    text = for_terminal(path)
    return text if len(text) <= 300 else text[:140] + " … " + text[-140:]


def is_junk(path: str) -> bool:
    """Whether a file is a harmless leftover of an operating system, such as `.DS_Store`."""
    parts = path.split("/")
    return "__MACOSX" in parts or parts[-1].startswith("._") or parts[-1].lower() in _JUNK_NAMES


def unsafe_reason(path: str) -> str:  # noqa: PLR0911 - one return for each reason
    """Why a path is unsafe, or an empty string if it is safe; a folder may end in `/`."""
    if not path or path == "/":
        return "it is empty"
    if path.startswith("/"):
        return "it is absolute"
    if _DRIVE.match(path):
        return "it starts with a drive letter"
    if "\\" in path:
        return "it contains a backslash"
    if path.isascii():
        if not path.isprintable():
            return "it contains a control character"
    elif any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in path) or "\ufffd" in path:
        return "it contains a control character or an invalid character"
    elif any(unicodedata.bidirectional(c) in ("RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI") for c in path):
        return "it contains a character that changes the writing direction"
    parts = path.removesuffix("/").split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "it contains '..', '.' or an empty part"
    if len(path.encode("utf-8")) > NAME_BYTES:
        return f"it is longer than {NAME_BYTES} bytes"
    if any(len(part.encode("utf-8")) > PART_BYTES for part in parts):
        return f"a part of it is longer than {PART_BYTES} bytes"
    return ""


def fold_name(path: str) -> str:
    """The path without differences of case and Unicode form, which some file systems ignore."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", path).casefold())


def find_wrapper(paths: Iterable[str]) -> tuple[str, ...]:
    """The folders around the listeners' folders: none, one (the wrapper) or, wrongly, several.

    A listener's files are three levels deep (listener, song, file); the folders that most files have above
    that are the wrapper.
    """
    counts: dict[tuple[str, ...], int] = {}
    for path in paths:
        if path.lower().endswith((".flac", ".wav", ".txt")) and path.count("/") >= 2:
            above = tuple(path.split("/")[:-3])
            counts[above] = counts.get(above, 0) + 1
    return max(counts, key=lambda above: (counts[above], above)) if counts else ()
