"""A folder as a submission: opened once, and walked without following links."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from typing import TYPE_CHECKING

from validator.archive.members import (
    DamagedMemberError,
    Index,
    Member,
    SubmissionChangedError,
    fold_name,
    is_junk,
    unsafe_reason,
)
from validator.findings.codes import new_finding
from validator.findings.wording import printable

if TYPE_CHECKING:
    from validator.archive.sizes import SizeLimits

# does not follow a link, and does not wait for the other end of a pipe
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
_PART = 1 << 20  # bytes hashed at a time


class FolderReader:
    """The files of a folder, each opened from the open folder, so that an exchanged folder or link is not followed.

    `seal` hashes the files that `walk` found. From then on a file is read only if it has the same hash.

    Args:
        descriptor: The open folder; `close` closes it.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._files: dict[str, int] = {}
        self._seals: dict[str, bytes] | None = None

    def walk(self, limits: SizeLimits) -> tuple[Index, int]:
        """Every regular file below the folder, and their total size in bytes.

        Raises:
            OSError: a folder cannot be read.
        """
        index, total, count = Index(), 0, 0
        seen: dict[str, str] = {}
        pending = [""]
        while pending:
            prefix = pending.pop()
            for name, status in self._list(prefix):
                path = prefix + name
                count += 1
                total += status.st_size if stat.S_ISREG(status.st_mode) else 0
                if count > limits.entries or total > limits.total_bytes:
                    index.problems.append(
                        new_finding(
                            "archive-too-large",
                            "",
                            "The folder contains more than a submission needs.",
                            expected=f"at most {limits.entries} files, {limits.total_bytes} bytes",
                            found=f"{count} files, {total} bytes so far",
                        )
                    )
                    return index, total
                if stat.S_ISREG(status.st_mode):
                    self._files[path] = status.st_size
                if _refused(index, seen, path):
                    continue
                if stat.S_ISDIR(status.st_mode):
                    pending.append(path + "/")
                elif not stat.S_ISREG(status.st_mode):
                    kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "not a regular file"
                    index.refuse("member-special", path, f"This is {kind}.", found=kind)
                else:
                    _add(index, path, status.st_size, limits)
        return index, total

    def seal(self) -> str | None:
        """SHA-256 in hex of the sorted `sha256sum` lines of the files; None if one of them cannot be read.

        Later reads are checked against these lines. Leftovers of operating systems are left out.

        Raises:
            SubmissionChangedError: a file is changing.
        """
        seals = {}
        for path, size in self._files.items():
            if is_junk(path):
                continue
            hashed, count = hashlib.sha256(), 0
            try:
                with self._open(path, size) as stream:
                    while part := stream.read(_PART):
                        hashed.update(part)
                        count += len(part)
                        if count > size:
                            break
            except PermissionError:
                return None
            except (OSError, DamagedMemberError) as error:
                raise SubmissionChangedError(f"{printable(path)} cannot be read any more") from error
            if count != size:
                raise SubmissionChangedError(f"{printable(path)} has another size than at the start")
            seals[path] = hashed.digest()
        self._seals = seals
        lines = sorted(f"{digest.hex()}  {path}\n" for path, digest in seals.items())
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()

    def open(self, member: Member) -> io.RawIOBase:
        """The contents of a file."""
        if self._seals is not None:
            return _Loaded(self.read(member))
        try:
            return self._open(member.path, member.size)
        except OSError as error:
            raise DamagedMemberError(f"it cannot be read ({error.strerror or error})") from error

    def read(self, member: Member) -> bytes:
        """All contents of a file."""
        if self._seals is None:
            return self._read(member)
        try:
            data = self._read(member)
        except DamagedMemberError as error:
            raise SubmissionChangedError(f"{printable(member.path)}: {error}") from error
        if hashlib.sha256(data).digest() != self._seals.get(member.path):
            raise SubmissionChangedError(f"{printable(member.path)} does not have the bytes that were hashed")
        return data

    def close(self) -> None:
        """Close the folder."""
        os.close(self.descriptor)

    def _read(self, member: Member) -> bytes:
        try:
            with self._open(member.path, member.size) as stream:
                data = stream.read(member.size + 1) or b""
        except OSError as error:
            raise DamagedMemberError(f"it cannot be read ({error.strerror or error})") from error
        if len(data) != member.size:
            raise DamagedMemberError(f"it does not contain the {member.size} bytes declared")
        return data

    def _open(self, path: str, size: int) -> io.FileIO:
        descriptor = self._descend(path, _FILE)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            os.close(descriptor)
            raise DamagedMemberError("it changed while it was being checked")
        return io.FileIO(descriptor, "rb")

    def _descend(self, path: str, flags: int) -> int:
        """Open a path, one part after the other; a part that is a link is an OSError."""
        *folders, last = path.split("/")
        here = self.descriptor
        try:
            for part in folders:
                inner = os.open(part, _FOLDER, dir_fd=here)
                if here != self.descriptor:
                    os.close(here)
                here = inner
            return os.open(last or ".", flags, dir_fd=here)
        finally:
            if here != self.descriptor:
                os.close(here)

    def _list(self, prefix: str) -> list[tuple[str, os.stat_result]]:
        """The names in a folder, sorted, each with its status; `prefix` is empty or ends with a slash."""
        descriptor = self._descend(prefix, _FOLDER)
        try:
            with os.scandir(descriptor) as found:
                items = [(item.name, item.stat(follow_symlinks=False)) for item in found]
        finally:
            os.close(descriptor)
        return sorted(items)


class _Loaded(io.RawIOBase):
    """The contents of a file that was read as a whole."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        """Always true."""
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Read into a buffer, as `io.RawIOBase` does."""
        return self._data.readinto(buffer)


def _refused(index: Index, seen: dict[str, str], path: str) -> bool:
    reason = unsafe_reason(path)
    if reason:
        index.refuse("member-name", path, f"The name is unsafe: {reason}.", found=printable(path))
        return True
    key = fold_name(path)
    if key in seen:
        index.refuse(
            "member-duplicate",
            path,
            "Another file has a name that is the same on some file systems.",
            found=printable(seen[key]),
        )
        return True
    seen[key] = path
    return False


def _add(index: Index, path: str, size: int, limits: SizeLimits) -> None:
    if size > limits.member_bytes:
        index.refuse(
            "member-too-large",
            path,
            "This file is larger than any expected file.",
            expected=f"at most {limits.member_bytes} bytes",
            found=f"{size} bytes",
        )
    else:
        index.members[path] = Member(path, size, packed=size)
