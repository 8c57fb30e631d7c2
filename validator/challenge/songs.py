"""Songs and their segments: what a submission covers, and where the references are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from validator.challenge.metadata import ChallengeError
from validator.challenge.rules import CAD1


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a song, in seconds."""

    start: float
    end: float

    def samples(self, rate: int = CAD1.reference_rate) -> tuple[int, int]:
        """First sample and one past the last, cut as the challenge does: int(seconds * rate)."""
        return int(self.start * rate), int(self.end * rate)


@dataclass(frozen=True, slots=True)
class Song:
    """One song of a split.

    Attributes:
        name: As in the metadata.
        folder: Its folder in the data root; None for the roster.
        frames: Length of its wav files at 44.1 kHz; None for the roster.
        objective: The segment that the stems cover; None for the whole song.
        subjective: The segment that the remix covers; None for the whole song.
    """

    name: str
    folder: Path | None = None
    frames: int | None = None
    objective: Segment | None = None
    subjective: Segment | None = None

    def reference_path(self, stem: str) -> Path:
        """Path of the wav file of a stem, or of the `mixture`.

        Raises:
            ChallengeError: there is no data root.
        """
        if self.folder is None:
            raise ChallengeError(
                f"The reference {stem}.wav of '{self.name}' is needed, but there is no data root.",
                hint="Give the data root with --data.",
            )
        return self.folder / f"{stem}.wav"

    def _slice(self, segment: Segment | None) -> tuple[int, int] | None:
        if segment is None:
            return None if self.frames is None else (0, self.frames)
        start, end = segment.samples()
        return (start, end) if self.frames is None else (start, min(end, self.frames))

    @property
    def objective_slice(self) -> tuple[int, int] | None:
        """Samples at 44.1 kHz (first, one past the last) that the stems cover; None if unknown."""
        return self._slice(self.objective)

    @property
    def subjective_slice(self) -> tuple[int, int] | None:
        """Samples at 44.1 kHz (first, one past the last) that the remix covers; None if unknown."""
        return self._slice(self.subjective)

    @property
    def expected_stem_frames(self) -> int | None:
        """Frames of a stem at 24 kHz; None if unknown."""
        return _resampled(self.objective_slice, CAD1.stem_rate)

    @property
    def expected_remix_frames(self) -> int | None:
        """Frames of the remix at 32 kHz; None if unknown."""
        return _resampled(self.subjective_slice, CAD1.remix_rate)


def _resampled(span: tuple[int, int] | None, rate: int) -> int | None:
    return None if span is None else round((span[1] - span[0]) * rate / CAD1.reference_rate)
