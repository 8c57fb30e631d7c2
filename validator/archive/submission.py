"""A submission in any supported form, as safe, read-only members.

    with open_submission(path) as submission:
        for name, member in submission.members.items():
            head = submission.head(name, 42)

Nothing is ever extracted by name, and every check that does not need a member's contents comes first.
Standard library only: the sandbox uses this module too.
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
from validator.archive.members import (
    CHUNK,
    ArchiveReader,
    Container,
    Index,
    Member,
    RandomFile,
    UnreadableArchiveError,
    find_wrapper,
    is_junk,
    printable,
)
from validator.archive.sizes import GZIP_FLOOR, GZIP_RATIO, SizeLimits
from validator.archive.tarfiles import BLOCK, GzipFile, TarStream, read_tar
from validator.archive.zipfiles import ZipStream, read_directory
from validator.findings.codes import new_finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from validator.findings.finding import Finding


class SubmissionNotFound(FileNotFoundError):  # noqa: N818 - the name is part of the interface
    """There is nothing at the given path (exit code 2 of the command)."""


class Submission:
    """A zip, a tar or a folder, opened.

    Attributes:
        members: Regular files by their path below the wrapper folder, without leftovers of operating systems.
        refused: Paths, below the wrapper folder, of members that may not be opened; see `problems`.
        problems: Findings about the archive itself.
        readable: Whether the archive has a usable directory; if not, names cannot be checked.
        size: Bytes of the file, or of all files of a folder.
    """

    def __init__(self, container: Container | None, index: Index, *, readable: bool, size: int) -> None:
        self._container = container
        self.readable = readable
        self.size = size
        wanted = {path: member for path, member in index.members.items() if not is_junk(path)}
        above = find_wrapper(wanted)
        prefix = "/".join(above) + "/" if above else ""
        self.problems: list[Finding] = list(index.problems)
        if len(above) > 1:
            self.problems.append(
                new_finding(
                    "nested-folders",
                    printable(prefix),
                    f"The listeners' folders are inside {len(above)} nested folders.",
                    expected="<listener>/… at the top level, or in one wrapper folder",
                    found=f"{printable(prefix)}<listener>/…",
                )
            )
        members: dict[str, Member] = {}
        for path, member in wanted.items():
            inner = path.removeprefix(prefix)
            if inner in members:
                self.problems.append(
                    new_finding(
                        "member-duplicate",
                        printable(path),
                        "This file is both inside and outside the wrapper folder.",
                    )
                )
            if inner not in members or path != inner:
                members[inner] = member
        self.members: Mapping[str, Member] = MappingProxyType(members)
        self.refused = frozenset(path.removeprefix(prefix) for path in index.refused if not is_junk(path))

    def open(self, name: str) -> io.BufferedIOBase:
        """A member's contents as a binary stream, checked against the declared size and CRC.

        Raises:
            KeyError: there is no such member.
            DamagedMemberError: raised while reading, if the contents do not match the directory.
        """
        member = self.members[name]
        if self._container is None:
            raise KeyError(name)
        return io.BufferedReader(self._container.open(member), CHUNK)

    def read(self, name: str, *, limit: int) -> bytes:
        """A whole member of at most `limit` bytes, fully checked.

        Raises:
            KeyError: there is no such member.
            DamagedMemberError: the contents do not match the directory.
            ValueError: its declared size is above `limit`.
        """
        member = self.members[name]
        if member.size > limit:
            raise ValueError(f"{printable(name)} has {member.size} bytes; at most {limit} are allowed")
        if self._container is None:
            raise KeyError(name)
        return self._container.read(member)

    def head(self, name: str, count: int) -> bytes:
        """The first `count` bytes of a member (fewer if it is shorter); its checksum is not verified.

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
        """Close the file."""
        if self._container is not None:
            self._container.close()


@contextmanager
def open_submission(path: Path | str, *, limits: SizeLimits | None = None) -> Iterator[Submission]:
    """Open a submission: a zip, a tar, a tar.gz or a folder.

    Args:
        path: Where it is.
        limits: How large it may be; see `validator.challenge.manifest.archive_limits`.

    Raises:
        SubmissionNotFound: there is nothing at `path`.
    """
    submission = _open(Path(path), limits or SizeLimits())
    try:
        yield submission
    finally:
        submission.close()


def _unreadable(reason: str, *, code: str = "archive-unreadable", size: int = 0) -> Submission:
    index = Index()
    index.problems.append(new_finding(code, "", f"The archive cannot be read: {reason}.", found=reason))
    return Submission(None, index, readable=False, size=size)


def _open(path: Path, limits: SizeLimits) -> Submission:
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
            f"it has {status.st_size} bytes; at most {limits.archive_bytes} are allowed",
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


_UNSUPPORTED = (
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\xfd7zXZ", "an xz file"),
    (b"BZh", "a bzip2 file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
)


def _read(file: RandomFile, limits: SizeLimits) -> tuple[Container, Index]:
    """Choose the format by the contents; the suffix of the name does not matter."""
    head = file.read_at(0, 512)
    for magic, noun in _UNSUPPORTED:
        if head.startswith(magic):
            raise UnreadableArchiveError(f"it is {noun}; expected a zip, a tar, a tar.gz or a folder")
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
    """SHA-256 in hex: of a file's bytes, or of the sorted `sha256sum` lines of a folder's files.

    None for anything else: reading a pipe or a device might never end.

    Raises:
        SubmissionNotFound: there is nothing at `path`.
    """
    path = Path(path)
    if not path.exists():
        raise SubmissionNotFound(f"There is no submission at {path}.")
    if not path.is_dir():
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    lines = []
    for folder, _, names in os.walk(path):
        for name in names:
            file = Path(folder, name)
            relative = file.relative_to(path).as_posix()
            if file.is_symlink() or not file.is_file() or is_junk(relative):
                continue
            with file.open("rb") as stream:
                lines.append(f"{hashlib.file_digest(stream, 'sha256').hexdigest()}  {relative}\n")
    return hashlib.sha256("".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()
