"""A submission, whatever its form, as safe read-only members.

    with open_submission(path) as submission:
        for name, member in submission.members.items():
            head = submission.head(name, 42)

Nothing is ever extracted by name; every check that can be made without opening a member is made before.
Standard library only, for the sandbox uses this module too.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from validator.archive.folder import FolderReader, read_folder
from validator.archive.limits import GZIP_FLOOR, GZIP_RATIO, Limits
from validator.archive.members import (
    CHUNK,
    ArchiveReader,
    Container,
    DamagedMemberError,
    Index,
    Member,
    RandomFile,
    UnreadableArchiveError,
    find_wrapper,
    is_junk,
    shown,
)
from validator.archive.tarfiles import BLOCK, GzipFile, TarStream, read_tar
from validator.archive.zipfiles import ZipStream, read_directory
from validator.findings.codes import rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from validator.findings.finding import Finding

__all__ = [
    "DamagedMemberError",
    "Limits",
    "Member",
    "Submission",
    "SubmissionNotFound",
    "digest",
    "open_submission",
]


class SubmissionNotFound(FileNotFoundError):  # noqa: N818 - the name is part of the interface
    """There is nothing at the path that was given (exit 2 of the command)."""


class Submission:
    """A zip, a tar or a folder, opened.

    Attributes:
        members: Regular files by their path below the wrapper folder; harmless left-overs of operating
            systems are not among them.
        refused: Paths, below the wrapper folder, of members that may not be opened; `problems` says why.
        problems: What is wrong with the archive as such.
        wrapper: The wrapper folder, or an empty string.
        readable: Whether there is a directory at all; where not, nothing can be said about names.
        size: Bytes of the file, or of all files of a folder.
    """

    def __init__(self, container: Container | None, index: Index, *, readable: bool, size: int) -> None:
        self._container = container
        self.readable = readable
        self.size = size
        wanted = {path: member for path, member in index.members.items() if not is_junk(path)}
        above = find_wrapper(wanted)
        prefix = "/".join(above) + "/" if above else ""
        self.wrapper = prefix.rstrip("/")
        self.problems: list[Finding] = list(index.problems)
        if len(above) > 1:
            self.problems.append(
                rule("nested-folders").at(
                    shown(prefix),
                    f"The listeners' folders lie {len(above)} folders deep.",
                    expected="<listener>/… directly in the archive, or in one wrapper folder",
                    found=f"{shown(prefix)}<listener>/…",
                )
            )
        members: dict[str, Member] = {}
        for path, member in wanted.items():
            inner = path.removeprefix(prefix)
            if inner in members:
                self.problems.append(
                    rule("member-duplicate").at(
                        shown(path), "This file stands both inside and outside the wrapper folder."
                    )
                )
            if inner not in members or path != inner:
                members[inner] = member
        self.members: Mapping[str, Member] = MappingProxyType(members)
        self.refused = frozenset(path.removeprefix(prefix) for path in index.refused if not is_junk(path))

    def open(self, name: str) -> io.BufferedIOBase:
        """A member's contents as a binary stream, counted against its declared size and CRC.

        Raises:
            KeyError: there is no such member.
            DamagedMemberError: while reading, where the contents are not what the directory says.
        """
        member = self.members[name]
        if self._container is None:
            raise KeyError(name)
        return io.BufferedReader(self._container.open(member), CHUNK)

    def read(self, name: str, *, limit: int) -> bytes:
        """A whole member of at most `limit` bytes, checked to its end.

        Raises:
            KeyError: there is no such member.
            DamagedMemberError: the contents are not what the directory says.
            ValueError: it is declared larger than `limit`.
        """
        member = self.members[name]
        if member.size > limit:
            raise ValueError(f"{shown(name)} has {member.size} bytes; at most {limit} were wanted")
        if self._container is None:
            raise KeyError(name)
        return self._container.read(member)

    def head(self, name: str, count: int) -> bytes:
        """The first bytes of a member (fewer where it is shorter); its checksum is not looked at.

        Raises:
            KeyError: there is no such member.
            DamagedMemberError: the contents are damaged from the start.
        """
        member = self.members[name]
        if self._container is None:
            raise KeyError(name)
        data = b""
        with self._container.open(member) as stream:
            while len(data) < count and (part := stream.read(count - len(data))):
                data += part
        return data

    def close(self) -> None:
        """Give back the file."""
        if self._container is not None:
            self._container.close()


@contextmanager
def open_submission(path: Path | str, *, limits: Limits | None = None) -> Iterator[Submission]:
    """Open a submission: a zip, a tar, a tar.gz or a folder.

    Args:
        path: Where it is.
        limits: How large it may be; `validator.challenge.manifest.limits(challenge)` derives them.

    Raises:
        SubmissionNotFound: there is nothing at `path`.
    """
    submission = _open(Path(path), limits or Limits())
    try:
        yield submission
    finally:
        submission.close()


def _unreadable(reason: str, *, code: str = "archive-unreadable", size: int = 0) -> Submission:
    index = Index()
    index.problems.append(rule(code).at("", f"The archive cannot be read: {reason}.", found=reason))
    return Submission(None, index, readable=False, size=size)


def _open(path: Path, limits: Limits) -> Submission:
    try:
        status = path.stat()
    except OSError as error:
        raise SubmissionNotFound(f"There is no submission at {path}: {error.strerror or error}.") from error
    if stat.S_ISDIR(status.st_mode):
        index, size = read_folder(path, limits)
        return Submission(FolderReader(path), index, readable=not _fatal(index), size=size)
    if not stat.S_ISREG(status.st_mode):
        return _unreadable("it is neither a regular file nor a folder")
    if status.st_size > limits.archive_bytes:
        return _unreadable(
            f"it has {status.st_size} bytes; a submission needs at most {limits.archive_bytes}",
            code="archive-too-large",
            size=status.st_size,
        )
    file = RandomFile(path)
    try:
        container, index = _read(file, limits)
    except UnreadableArchiveError as error:
        file.close()
        return _unreadable(str(error), size=status.st_size)
    return Submission(container, index, readable=not _fatal(index), size=status.st_size)


_NOT_READ = (
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\xfd7zXZ", "an xz file"),
    (b"BZh", "a bzip2 file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
)


def _read(file: RandomFile, limits: Limits) -> tuple[Container, Index]:
    """The archive by its contents, whatever its name ends in."""
    head = file.read_at(0, 512)
    for magic, noun in _NOT_READ:
        if head.startswith(magic):
            raise UnreadableArchiveError(f"it is {noun}; a zip, a tar, a tar.gz or a folder is wanted")
    if head.startswith(b"\x1f\x8b"):
        most = min(limits.total_bytes, max(GZIP_FLOOR, GZIP_RATIO * file.size)) + limits.entries * 2 * BLOCK
        unpacked = GzipFile(file, limit=most)
        return ArchiveReader(unpacked, TarStream), read_tar(unpacked, limits)
    if head[257:262] == b"ustar":
        return ArchiveReader(file, TarStream), read_tar(file, limits)
    return ArchiveReader(file, ZipStream), read_directory(file, limits)


def _fatal(index: Index) -> bool:
    return any(finding.code == "archive-too-large" for finding in index.problems)


def digest(path: Path | str) -> str | None:
    """SHA-256 in hex: of a file its bytes; of a folder the sorted lines of `sha256sum` of its files.

    None for what is neither (reading a pipe or a device might never end).

    Raises:
        SubmissionNotFound: there is nothing at `path`.
    """
    place = Path(path)
    if not place.exists():
        raise SubmissionNotFound(f"There is no submission at {path}.")
    if not place.is_dir():
        if not place.is_file():
            return None
        with place.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    lines = []
    for folder, _, names in os.walk(place):
        for name in names:
            one = Path(folder, name)
            relative = one.relative_to(place).as_posix()
            if one.is_symlink() or not one.is_file() or is_junk(relative):
                continue
            with one.open("rb") as stream:
                lines.append(f"{hashlib.file_digest(stream, 'sha256').hexdigest()}  {relative}\n")
    return hashlib.sha256("".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()
