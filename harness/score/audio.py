"""What is scored, as the evaluator gets it: a song's references, and the decoded stems of an example."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.protocol.errors import SetupError
from harness.sandbox.feed import ExampleAudio
from validator import Finding
from validator.archive.members import DamagedMemberError
from validator.archive.submission import Submission
from validator.challenge.challenge import Challenge
from validator.challenge.fingerprints import audio_digest, references_digest, silent_values
from validator.challenge.manifest import Kind, length_of
from validator.challenge.metadata import ChallengeError
from validator.challenge.references import read_reference
from validator.challenge.rules import CAD1, side_and_stem
from validator.challenge.songs import Song
from validator.checks.groups import REMIX, FileKey
from validator.checks.header import audio_finding, scale_finding
from validator.checks.matching import SongReferences
from validator.checks.measurement import summarise
from validator.checks.summary import AudioSummary
from validator.findings.codes import new_finding
from validator.formats.flac import AudioError, FlacDecoder, audio_bytes, too_many_bytes
from validator.formats.scale import SCALE_BYTES, ScaleError, parse_scale
from validator.formats.streaminfo import HEADER_BYTES, parse

Pcm = NDArray[np.int16]


@dataclass(frozen=True)
class ReferenceAudio:
    """The references of a song.

    Attributes:
        song: The song's name.
        stems: For each of `CAD1.stems` the samples that are scored, (frames, 2) at 44.1 kHz.
    """

    song: str
    stems: dict[str, Pcm]

    @cached_property
    def sha256(self) -> str:
        """Identifies the samples."""
        return references_digest(self.stems)

    @cached_property
    def silent(self) -> frozenset[str]:
        """The values that have no HAAQI, because their reference channel is all zeros."""
        return silent_values(self.stems)


def read_references(song: Song) -> ReferenceAudio:
    """Reads the references of a song.

    Raises:
        SetupError: If one can't be read.
    """
    try:
        return ReferenceAudio(song.name, {stem: read_reference(song, stem) for stem in CAD1.stems})
    except ChallengeError as error:
        raise SetupError(str(error), hint=error.hint) from error


class UnscorableError(Exception):
    """An example that can't be scored because of a file of the submission.

    Attributes:
        finding: The file and what is wrong with it.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


@dataclass(frozen=True)
class SubmittedAudio:
    """An example of a submission.

    Attributes:
        audio: What is scored.
        sha256: SHA-256 of what is scored: samples and scale factors.
        files: What is kept of each stem and of the remix; empty unless it was asked for.
    """

    audio: ExampleAudio
    sha256: str
    files: tuple[AudioSummary, ...] = ()


class AudioReader:
    """Reads the examples of an open submission.

    Args:
        submission: The submission.
        challenge: The challenge.
    """

    def __init__(self, submission: Submission, challenge: Challenge) -> None:
        self._submission = submission
        self._challenge = challenge

    def read(
        self, song: str, listener: str, decoder: FlacDecoder, *, compared_with: SongReferences | None = None
    ) -> SubmittedAudio:
        """Reads and decodes an example; an example with a broken remix is broken, too.

        Args:
            song: The song.
            listener: The listener.
            decoder: Decodes the files.
            compared_with: The references of the song, to summarise each file; None not to.

        Raises:
            UnscorableError: If a file is missing, damaged, or not what it must be.
        """
        remix, md5 = self._decode(CAD1.remix_name(listener, song), song, Kind.REMIX, decoder)
        stems: dict[str, Pcm] = {}
        scales: dict[str, float] = {}
        files: list[AudioSummary] = []
        if compared_with is not None:
            files.append(summarise(FileKey(listener, song, "", REMIX), remix, md5=md5))
        for name in CAD1.scoring_order:
            side, stem = side_and_stem(name)
            path = CAD1.stem_name(listener, song, side, stem)
            stems[name], md5 = self._decode(path, song, Kind.STEM, decoder)
            scale_path = CAD1.scale_name(listener, song, side, stem)
            scales[name] = self._scale(scale_path)
            if compared_with is not None:
                files.append(
                    summarise(
                        FileKey(listener, song, side, stem),
                        stems[name],
                        md5=md5,
                        scaled=scale_path in self._submission.members,
                        scale=scales[name],
                        references=compared_with,
                    )
                )
        levels = {side: self._challenge.listener(listener).levels(side) for side in CAD1.sides}
        return SubmittedAudio(
            ExampleAudio(listener, levels, stems, scales),
            sha256=audio_digest(stems, scales),
            files=tuple(files),
        )

    def _decode(self, path: str, song: str, kind: Kind, decoder: FlacDecoder) -> tuple[Pcm, bytes]:
        """The samples of a file, and their MD5 from its header."""
        is_remix = kind is Kind.REMIX
        channels = CAD1.remix_channels if is_remix else CAD1.stem_channels
        length = length_of(self._challenge.song(song), kind)
        most = audio_bytes(channels=channels, frames=length.most)
        member = self._submission.members.get(path)
        if member is None:
            raise UnscorableError(new_finding("missing", path, "The file is missing."))
        try:
            if member.size > most:
                raise too_many_bytes(most)
            data = self._submission.read(path, limit=most)
            pcm = decoder.decode(
                data,
                rate=CAD1.remix_rate if is_remix else CAD1.stem_rate,
                channels=channels,
                bits=CAD1.bits,
                max_frames=length.most,
            )
        except AudioError as error:
            raise UnscorableError(audio_finding(path, error)) from error
        except DamagedMemberError as error:
            raise UnscorableError(
                new_finding("member-corrupt", path, f"The file is damaged: {error}.", found=str(error))
            ) from error
        if len(pcm) not in length:
            raise UnscorableError(
                new_finding("length", path, f"The audio has {len(pcm)} frames; expected {length.nominal}.")
            )
        return pcm, parse(data[:HEADER_BYTES]).md5

    def _scale(self, path: str) -> float:
        """The scale factor in a scale file; 1 if there is no such file."""
        member = self._submission.members.get(path)
        if member is None:
            return 1.0
        try:
            data = (
                self._submission.read(path, limit=SCALE_BYTES)
                if member.size < SCALE_BYTES
                else self._submission.head(path, SCALE_BYTES)
            )
            return parse_scale(data)
        except ScaleError as error:
            raise UnscorableError(scale_finding(path, error)) from error
        except DamagedMemberError as error:
            raise UnscorableError(
                new_finding("member-corrupt", path, f"The file is damaged: {error}.", found=str(error))
            ) from error
