"""What is kept of each audio file, for the checks that compare files with each other."""

from __future__ import annotations

from dataclasses import dataclass, field

from validator.checks.groups import REMIX, FileKey
from validator.checks.matching import Match
from validator.findings.finding import Finding


@dataclass(frozen=True, slots=True)
class AudioSummary:
    """Properties of one audio file, small enough to keep for every file of a submission.

    Attributes:
        key: Which file it is.
        frames: Decoded length, or declared length if only the header was read.
        digest: MD5 of the audio (16 bytes); empty if only the header was read.
        peak: Largest magnitude, 0 to 32768; -1 if only the header was read.
        clipped: Runs of clipped samples (see `validator.checks.clipping`); remix only.
        level: RMS of both channels in dB re full scale, -inf for silence; remix only.
        sides_equal: Whether both channels are identical; remix only.
        unscaled: Whether a stem reaches full scale and has no scale file.
        match: How a stem compares with the references; None without a data root.
    """

    key: FileKey
    frames: int
    digest: bytes = b""
    peak: int = -1
    clipped: int = 0
    level: float = 0.0
    sides_equal: bool = False
    unscaled: bool = False
    match: Match | None = None

    @property
    def is_remix(self) -> bool:
        """Whether it is a remix, and not a stem."""
        return self.key.stem == REMIX


@dataclass(slots=True)
class Examination:
    """The result of examining some files: findings, and a summary of each readable audio file."""

    findings: list[Finding] = field(default_factory=list)
    summaries: list[AudioSummary] = field(default_factory=list)

    def __iadd__(self, other: Examination) -> Examination:
        self.findings += other.findings
        self.summaries += other.summaries
        return self
