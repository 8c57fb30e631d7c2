"""What an archive is made of, whatever its format: members, their names, and how they are read."""

from __future__ import annotations

import io
import os
import re
import threading
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from validator.findings.codes import rule

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from validator.findings.finding import Finding

CHUNK = 1 << 16
"""Bytes unpacked at a time: bounds what one read can allocate."""

NAME_BYTES = 1024
"""Longest name in UTF-8; file systems stop at 4096 for the whole path."""

PART_BYTES = 255
"""Longest part of a name between slashes in UTF-8: the limit of every common file system."""

_DRIVE = re.compile(r"^[A-Za-z]:")
_JUNK_NAMES = frozenset({".ds_store", "thumbs.db", "desktop.ini"})


class DamagedMemberError(Exception):
    """A member's contents are not what the archive's directory says."""


class UnreadableArchiveError(Exception):
    """The archive as a whole cannot be read."""


@dataclass(frozen=True, slots=True)
class Member:
    """One regular file of a submission.

    Attributes:
        path: Relative POSIX path as the archive has it, wrapper folder and all.
        size: Bytes, unpacked, as declared.
        packed: Bytes as stored.
        offset: Where its header begins (zip) or its contents begin (tar).
        method: 0 stored, 8 deflated.
        crc: CRC-32 of the contents, or None where the format has none.
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
        """The contents of a member as a stream that raises `DamagedMemberError` where they are damaged."""
        ...

    def read(self, member: Member) -> bytes:
        """All contents of a member, checked to its end; `DamagedMemberError` where they are damaged."""
        ...

    def close(self) -> None:
        """Give back the file."""
        ...


@dataclass
class Index:
    """What a format's parser found: the usable members, those refused, and why."""

    members: dict[str, Member] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    problems: list[Finding] = field(default_factory=list)

    def refuse(self, code: str, path: str, message: str, *, expected: str = "", found: str = "") -> None:
        """Note a problem with a member, which is then never opened."""
        self.refused.add(path)
        self.members.pop(path, None)
        self.problems.append(rule(code).at(shown(path), message, expected=expected, found=found))


class RandomFile:
    """A regular file, read at any place, by several threads at once."""

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
    """Bytes that are read at any place: a file, or what a file unpacks to."""

    size: int

    def read_at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`; fewer only at the end."""
        ...

    def close(self) -> None:
        """Give back the file."""
        ...


class MemberStream(io.RawIOBase):
    """The contents of a member of an archive, part by part; a format says what the next part is."""

    def __init__(self, source: Source, member: Member) -> None:
        self._source, self._member = source, member

    def part(self, count: int) -> bytes:
        """The next bytes, at most `count`; none at the end, where the contents are checked as a whole.

        Raises:
            DamagedMemberError: the contents are not what the directory says.
        """
        raise NotImplementedError

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """As of any raw stream."""
        data = self.part(min(len(buffer), CHUNK)) if len(buffer) else b""
        buffer[: len(data)] = data
        return len(data)


class ArchiveReader:
    """The members of an archive, streamed.

    Args:
        source: The archive.
        stream: How its format stores a member.
    """

    def __init__(self, source: Source, stream: type[MemberStream]) -> None:
        self._source, self._stream = source, stream

    def open(self, member: Member) -> io.RawIOBase:
        """The contents of a member."""
        return self._stream(self._source, member)

    def read(self, member: Member) -> bytes:
        """All contents of a member."""
        with io.BufferedReader(self.open(member), CHUNK) as stream:
            data = stream.read(member.size)
            if stream.read(1) or len(data) < member.size:  # a stream checks itself when its end is read
                raise DamagedMemberError(f"it does not hold the {member.size} bytes declared")
            return data

    def close(self) -> None:
        """Close the archive."""
        self._source.close()


def shown(path: str) -> str:
    """A name as it may stand in a report: printable, and not endless."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in path)
    return text if len(text) <= 300 else text[:140] + " … " + text[-140:]


def is_junk(path: str) -> bool:
    """Whether a file is one of those that operating systems leave behind."""
    parts = path.split("/")
    return "__MACOSX" in parts or parts[-1].startswith("._") or parts[-1].lower() in _JUNK_NAMES


def unsafe(path: str) -> str:  # noqa: PLR0911 - one return for each reason
    """Why a name must not be used, or an empty string for a safe one; a folder may end in `/`."""
    if not path or path == "/":
        return "it is empty"
    if path.startswith("/"):
        return "it is absolute"
    if _DRIVE.match(path):
        return "it begins with a drive letter"
    if "\\" in path:
        return "it holds a backslash"
    if path.isascii():
        if not path.isprintable():
            return "it holds a control character"
    elif any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in path) or "\ufffd" in path:
        return "it holds a control character or an invalid one"
    elif any(unicodedata.bidirectional(c) in ("RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI") for c in path):
        return "it holds a character that reverses the writing direction"
    parts = path.removesuffix("/").split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "it holds '..', '.' or an empty part"
    if len(path.encode("utf-8")) > NAME_BYTES:
        return f"it is longer than {NAME_BYTES} bytes"
    if any(len(part.encode("utf-8")) > PART_BYTES for part in parts):
        return f"a part of it is longer than {PART_BYTES} bytes"
    return ""


def folded(path: str) -> str:
    """The form in which two names are the same to some file system."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", path).casefold())


def find_wrapper(paths: Iterable[str]) -> tuple[str, ...]:
    """The folders around the listeners' folders: none, one, or (an error) more.

    Listeners' files lie three deep (listener, song, file); what most FLAC files have above that, in
    common, is the wrapper.
    """
    counts: dict[tuple[str, ...], int] = {}
    for path in paths:
        if path.lower().endswith((".flac", ".wav", ".txt")) and path.count("/") >= 2:
            above = tuple(path.split("/")[:-3])
            counts[above] = counts.get(above, 0) + 1
    return max(counts, key=lambda above: (counts[above], above)) if counts else ()
