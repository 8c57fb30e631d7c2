"""Kept submissions: a folder with a copy of each one that arrived, named by its SHA-256."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from pathlib import Path

from filelock import FileLock

from harness.protocol.errors import SetupError
from validator import SubmissionChangedError
from validator.archive.submission import Submission, digest

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", "")
"""The endings of a kept submission; a folder has none."""

PART = ".part"
"""The ending of a copy that is being made."""

CHUNK = 1 << 24

# what copy_file_range reports where it can't copy between these two files
_CANT_SHARE = {errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF}


def find(folder: Path, sha256: str) -> Path | None:
    """The kept submission with this SHA-256; None if it is not there."""
    paths = (folder / f"{sha256}{suffix}" for suffix in SUFFIXES)
    return next((path for path in paths if path.exists()), None)


def keep(submission: Submission, source: Path, *, sha256: str, folder: Path) -> Path:
    """Copies an open submission to `folder`, unless it is there; returns the path of the copy.

    The copy appears complete or not at all, and holds the bytes that were hashed. It shares its blocks with the
    original on file systems that can do this; it is never a link, which would change with the original.

    Args:
        submission: The submission, open.
        source: Its path; the name gives the copy its ending.
        sha256: Its digest.
        folder: Where copies are kept; made if it is not there.

    Raises:
        SubmissionChangedError: The submission is not what was hashed any more.
        SetupError: The copy can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):  # so that a copy in the making was left by a killed process
            present = find(folder, sha256)
            if present is not None:
                return present
            part = folder / f".{sha256}{PART}"
            _remove(part)
            if submission.is_folder:
                shutil.copytree(source, part, symlinks=True)
                found = digest(part)
            else:
                found = _copy(submission.handle().descriptor, part)
            if found != sha256:
                _remove(part)
                raise SubmissionChangedError("its copy has another SHA-256")
            kept = folder / f"{sha256}{_suffix(source, is_folder=submission.is_folder)}"
            part.rename(kept)
            return kept
    except OSError as error:
        raise SetupError(
            f"{source.name} can't be kept in {folder}: {error.strerror or error}.",
            hint="Check that the folder is writable and its disk is not full, then run the same command again.",
        ) from error


def _suffix(source: Path, *, is_folder: bool) -> str:
    if is_folder:
        return ""
    return next((one for one in SUFFIXES if one and source.name.lower().endswith(one)), ".zip")


def _copy(descriptor: int, target: Path) -> str:
    """Copies an open file to `target`; returns the SHA-256 of what was written."""
    with target.open("w+b") as stream:
        offset, shared = 0, hasattr(os, "copy_file_range")
        while True:
            if shared:
                try:
                    count = os.copy_file_range(descriptor, stream.fileno(), CHUNK, offset, offset)
                except OSError as error:
                    if error.errno not in _CANT_SHARE:
                        raise
                    shared = False
                    continue
            else:
                count = os.pwrite(stream.fileno(), os.pread(descriptor, CHUNK, offset), offset)
            if count == 0:
                break
            offset += count
        os.fsync(stream.fileno())
        stream.seek(0)
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _remove(part: Path) -> None:
    """Removes the copy that a killed process has left, if there is one."""
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part)
    else:
        part.unlink(missing_ok=True)
