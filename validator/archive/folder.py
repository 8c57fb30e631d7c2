"""A folder as a submission, walked without following links."""

from __future__ import annotations

import io
import os
import stat
from typing import TYPE_CHECKING

from validator.archive.members import DamagedMemberError, Index, Member, fold_name, printable, unsafe_reason
from validator.findings.codes import new_finding

if TYPE_CHECKING:
    from pathlib import Path

    from validator.archive.sizes import SizeLimits


def read_folder(root: Path, limits: SizeLimits) -> tuple[Index, int]:
    """Every regular file below `root`, and their total size in bytes."""
    index, total, count = Index(), 0, 0
    seen: dict[str, str] = {}
    pending = [(str(root), "")]
    while pending:
        folder, prefix = pending.pop()
        with os.scandir(folder) as found:
            items = sorted(found, key=lambda item: item.name)
        for item in items:
            path = prefix + item.name
            count += 1
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
            reason = unsafe_reason(path)
            if reason:
                index.refuse("member-name", path, f"The name is unsafe: {reason}.", found=printable(path))
                continue
            key = fold_name(path)
            if key in seen:
                index.refuse(
                    "member-duplicate",
                    path,
                    "Another file has a name that is the same on some file systems.",
                    found=printable(seen[key]),
                )
                continue
            seen[key] = path
            status = item.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                pending.append((item.path, path + "/"))
            elif not stat.S_ISREG(status.st_mode):
                kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "not a regular file"
                index.refuse("member-special", path, f"This is {kind}.", found=kind)
            else:
                total += status.st_size
                _add(index, path, status.st_size, limits)
    return index, total


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


# does not follow a link, and does not wait for the other end of a pipe
_FLAGS = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
)


class FolderReader:
    """Reads the files of a folder; refuses a file that was replaced by a link in the meantime."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self, member: Member) -> io.RawIOBase:
        """The contents of a file."""
        try:
            descriptor = os.open(f"{self._root}/{member.path}", _FLAGS)
        except OSError as error:
            raise DamagedMemberError(f"it cannot be read ({error.strerror or error})") from error
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != member.size:
            os.close(descriptor)
            raise DamagedMemberError("it changed while it was being checked")
        return io.FileIO(descriptor, "rb")

    def read(self, member: Member) -> bytes:
        """All contents of a file."""
        with self.open(member) as stream:
            try:
                data = stream.read(member.size + 1) or b""
            except OSError as error:
                raise DamagedMemberError(f"it cannot be read ({error.strerror or error})") from error
        if len(data) != member.size:
            raise DamagedMemberError(f"it does not contain the {member.size} bytes declared")
        return data

    def close(self) -> None:
        """Does nothing: no file is kept open."""
