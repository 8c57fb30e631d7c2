"""What was looked at, and what it was held against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subject:
    """The submission that was looked at.

    Attributes:
        name: File or folder name, without the way to it.
        sha256: Digest of the file; None for a folder, which has no bytes of its own (for one,
            `validator.archive.submission.digest` defines a digest of its files).
        size: Bytes of the file, or of all files of the folder.
    """

    name: str
    sha256: str | None
    size: int


@dataclass(frozen=True, slots=True)
class Scope:
    """What the submission was held against: the split and its numbers of songs, listeners, examples."""

    split: str
    songs: int
    listeners: int
    examples: int
