"""A submission that is a folder: walked without following links."""

from __future__ import annotations

import io
import os
import stat
from typing import TYPE_CHECKING

from validator.archive.members import DamagedMemberError, Index, Member, folded, shown, unsafe
from validator.findings.codes import rule

if TYPE_CHECKING:
    from pathlib import Path

    from validator.archive.limits import Limits


def read_folder(root: Path, limits: Limits) -> tuple[Index, int]:
    """Every regular file below `root`, and their bytes together."""
    index, total, count = Index(), 0, 0
    seen: dict[str, str] = {}
    pending = [(str(root), "")]
    while pending:
        place, prefix = pending.pop()
        with os.scandir(place) as found:
            items = sorted(found, key=lambda item: item.name)
        for item in items:
            path = prefix + item.name
            count += 1
            if count > limits.entries or total > limits.total_bytes:
                index.problems.append(
                    rule("archive-too-large").at(
                        "",
                        "The folder holds more than a submission can need.",
                        expected=f"at most {limits.entries} files, {limits.total_bytes} bytes",
                        found=f"{count} files, {total} bytes so far",
                    )
                )
                return index, total
            reason = unsafe(path)
            if reason:
                index.refuse("member-name", path, f"The name is unsafe: {reason}.", found=shown(path))
                continue
            key = folded(path)
            if key in seen:
                index.refuse(
                    "member-duplicate",
                    path,
                    "Another file has a name that some file systems take for the same.",
                    found=shown(seen[key]),
                )
                continue
            seen[key] = path
            status = item.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                pending.append((item.path, path + "/"))
            elif not stat.S_ISREG(status.st_mode):
                what = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "not a regular file"
                index.refuse("member-special", path, f"This is {what}.", found=what)
            else:
                total += status.st_size
                _take(index, path, status.st_size, limits)
    return index, total


def _take(index: Index, path: str, size: int, limits: Limits) -> None:
    if size > limits.member_bytes:
        index.refuse(
            "member-too-large",
            path,
            "This file is larger than any that the challenge asks for.",
            expected=f"at most {limits.member_bytes} bytes",
            found=f"{size} bytes",
        )
    else:
        index.members[path] = Member(path, size, packed=size)


# never through a link, and never waiting for the other end of a pipe
_FLAGS = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
)


class FolderReader:
    """The files of a folder; a link put in a file's place meanwhile is refused."""

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
            raise DamagedMemberError("it changed while it was being looked at")
        return io.FileIO(descriptor, "rb")

    def read(self, member: Member) -> bytes:
        """All contents of a file."""
        with self.open(member) as stream:
            try:
                data = stream.read(member.size + 1) or b""
            except OSError as error:
                raise DamagedMemberError(f"it cannot be read ({error.strerror or error})") from error
        if len(data) != member.size:
            raise DamagedMemberError(f"it does not hold the {member.size} bytes declared")
        return data

    def close(self) -> None:
        """Nothing is held open."""
