"""What a report is about: a submission and a challenge."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SubmissionInfo:
    """The submission that was checked.

    Attributes:
        name: Name of the file or folder, without its path.
        sha256: SHA-256 in hex, as `validator.archive.submission.Submission.digest` defines it; None for what is too
            large, and for a folder of which only headers were read.
        size: Bytes of the file, or of all files of the folder.
    """

    name: str
    sha256: str | None
    size: int


@dataclass(frozen=True, slots=True)
class ChallengeInfo:
    """The challenge that it was checked against.

    Attributes:
        split: "valid" or "test".
        songs: Number of songs.
        listeners: Number of listeners.
        examples: Number of examples.
    """

    split: str
    songs: int
    listeners: int
    examples: int
