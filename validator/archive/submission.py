"""A submission in any supported form, as safe, read-only members.

    with open_submission(path) as submission:
        for name, member in submission.members.items():
            head = submission.head(name, 42)

Nothing is ever extracted by name, and every check that does not need a member's contents comes first. The path is
opened once; after `digest`, only what was hashed is read.
"""

from __future__ import annotations

import io
import os
import stat
import threading
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from validator.archive.folder import FolderReader
from validator.archive.members import (
    CHUNK,
    ArchiveReader,
    Container,
    Index,
    Member,
    UnreadableArchiveError,
    find_wrapper,
    is_junk,
)
from validator.archive.sealed import SealedFile
from validator.archive.sizes import GZIP_FLOOR, GZIP_RATIO, SizeLimits
from validator.archive.tarfiles import BLOCK, GzipFile, TarStream, read_tar
from validator.archive.zipfiles import ZipStream, read_directory
from validator.findings.codes import new_finding
from validator.findings.wording import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

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

    def __init__(
        self,
        container: Container | None,
        index: Index,
        *,
        readable: bool,
        size: int,
        source: SealedFile | FolderReader | None = None,
    ) -> None:
        self._container = container
        self._source = source
        self._lock = threading.Lock()
        self._digest: str | None = None
        self._hashed = False
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

    def digest(self) -> str | None:
        """SHA-256 in hex: of a file's bytes, or of the sorted `sha256sum` lines of a folder's files.

        The first call reads everything. From its end on, each read through this submission is checked against what
        was hashed, so that a submission that is overwritten cannot be scored under this digest.

        Returns:
            None for what is larger than a submission can be, is no file or folder, or cannot be read; reads of
            that are not checked.

        Raises:
            SubmissionChangedError: the submission is changing.
        """
        with self._lock:
            if not self._hashed:
                oversize = any(problem.code == "archive-too-large" for problem in self.problems)
                self._digest = None if self._source is None or oversize else self._source.seal()
                self._hashed = True
            return self._digest

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, not a file."""
        return isinstance(self._source, FolderReader)

    def handle(self) -> Handle:
        """What a worker process opens instead of the path, to read the same file or folder.

        Raises:
            ValueError: the submission is neither a file nor a folder.
        """
        if self._source is None:
            raise ValueError("there is nothing to open")
        return Handle(self._source.descriptor)

    def open(self, name: str) -> io.BufferedIOBase:
        """A member's contents as a binary stream, checked against the declared size and CRC.

        Raises:
            KeyError: there is no such member.
            DamagedMemberError: raised while reading, if the contents do not match the directory.
            SubmissionChangedError: raised while reading, if the contents are not those of the `digest`.
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
            SubmissionChangedError: the contents are not those of the `digest`.
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
            SubmissionChangedError: the contents are not those of the `digest`.
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
        """Close the file or the folder."""
        if self._source is not None:
            self._source.close()


class Handle:
    """An open submission on its way to a worker process, which then reads the same file and not the path.

    Args:
        descriptor: The open file or folder; a handle does not close it.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __reduce__(self) -> tuple[Callable[[Any], Handle], tuple[Any]]:
        from multiprocessing.reduction import DupFd  # noqa: PLC0415 - needed by worker processes only

        return _received, (DupFd(self.descriptor),)


def _received(duplicate: Any) -> Handle:
    return Handle(duplicate.detach())


@contextmanager
def open_submission(path: Path | str | Handle, *, limits: SizeLimits | None = None) -> Iterator[Submission]:
    """Open a submission: a zip, a tar, a tar.gz or a folder.

    Args:
        path: Where it is, or what another process has open.
        limits: How large it may be; see `validator.challenge.manifest.archive_limits`.

    Raises:
        SubmissionNotFound: there is nothing at `path`.
    """
    submission = _open(path if isinstance(path, Handle) else Path(path), limits or SizeLimits())
    try:
        yield submission
    finally:
        submission.close()


def _unreadable(
    reason: str, *, code: str = "archive-unreadable", size: int = 0, source: SealedFile | None = None
) -> Submission:
    index = Index()
    index.problems.append(new_finding(code, "", f"The archive cannot be read: {reason}.", found=reason))
    return Submission(None, index, readable=False, size=size, source=source)


# does not wait for the other end of a pipe that was put there in the meantime
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


def _open(path: Path | Handle, limits: SizeLimits) -> Submission:
    shared = isinstance(path, Handle)
    descriptor = os.dup(path.descriptor) if isinstance(path, Handle) else _descriptor(path)
    if descriptor is None:
        return _unreadable("it is neither a regular file nor a folder")
    try:
        return _opened(descriptor, limits, shared=shared)
    except BaseException:
        os.close(descriptor)
        raise


def _opened(descriptor: int, limits: SizeLimits, *, shared: bool) -> Submission:
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        folder = FolderReader(descriptor)
        index, size = folder.walk(limits)
        return Submission(folder, index, readable=not _fatal(index), size=size, source=folder)
    file = SealedFile(descriptor)
    if shared:  # the process that opened the path hashes it
        file.indexed()
    if file.size > limits.archive_bytes:
        return _unreadable(
            f"it has {file.size} bytes; at most {limits.archive_bytes} are allowed",
            code="archive-too-large",
            size=file.size,
            source=file,
        )
    try:
        container, index = _read(file, limits)
    except UnreadableArchiveError as error:
        return _unreadable(str(error), size=file.size, source=file)
    finally:
        file.indexed()
    return Submission(container, index, readable=not _fatal(index), size=file.size, source=file)


def _descriptor(path: Path) -> int | None:
    """The file or folder at a path, opened; None if it is something else, which is not opened."""
    try:
        status = path.stat()
    except OSError as error:
        place = printable(str(path), limit=None)
        raise SubmissionNotFound(f"There is no submission at {place}: {error.strerror or error}.") from error
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        return None
    descriptor = os.open(path, _FLAGS)
    if stat.S_IFMT(os.fstat(descriptor).st_mode) != stat.S_IFMT(status.st_mode):
        os.close(descriptor)
        return None
    return descriptor


_UNSUPPORTED = (
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\xfd7zXZ", "an xz file"),
    (b"BZh", "a bzip2 file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
)


def _read(file: SealedFile, limits: SizeLimits) -> tuple[Container, Index]:
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


def digest(path: Path | str, *, limits: SizeLimits | None = None) -> str | None:
    """`Submission.digest` of what is at a path.

    Raises:
        SubmissionNotFound: there is nothing at `path`.
        SubmissionChangedError: the submission is changing.
    """
    with open_submission(path, limits=limits) as submission:
        return submission.digest()
