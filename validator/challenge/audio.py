"""What is scored, as the evaluator gets it: a song's references, and the decoded stems of an example."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from validator.archive.members import DamagedMemberError
from validator.archive.submission import Submission
from validator.challenge.challenge import Challenge
from validator.challenge.fingerprints import audio_digest, references_digest, silent_values
from validator.challenge.manifest import Kind, length_of
from validator.challenge.references import read_reference
from validator.challenge.rules import CAD1, side_and_stem
from validator.challenge.songs import Song
from validator.findings.codes import new_finding
from validator.findings.finding import Finding
from validator.formats.flac import AudioError, FlacDecoder, audio_bytes, too_many_bytes
from validator.formats.scale import SCALE_BYTES, SCALE_MOST, ScaleError, parse_scale
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
        ChallengeError: one can't be read.
    """
    return ReferenceAudio(song.name, {stem: read_reference(song, stem) for stem in CAD1.stems})


@dataclass(frozen=True)
class ExampleAudio:
    """What HAAQI needs of one example of a submission.

    Attributes:
        listener: The listener's id.
        audiograms: For each of `CAD1.sides` the levels in dB HL at `CAD1.frequencies`.
        stems: Samples (frames,) at 24 kHz by name, such as `left_drums`.
        scales: Scale factors by the same names.
    """

    listener: str
    audiograms: Mapping[str, tuple[float, ...]]
    stems: Mapping[str, Pcm]
    scales: Mapping[str, float]

    @cached_property
    def sha256(self) -> str:
        """Identifies what is scored: samples and scale factors."""
        return audio_digest(self.stems, self.scales)


def scale_finding(path: str, error: ScaleError) -> Finding:
    """The finding for an invalid scale file."""
    return new_finding(
        error.code,
        path,
        error.message,
        expected=f"one number above 0 and at most {SCALE_MOST:.0f}",
        found=error.found,
    )


def audio_finding(path: str, error: AudioError) -> Finding:
    """The finding for an invalid FLAC file."""
    return new_finding(error.code, path, error.message, expected=error.expected, found=error.found)


class UnscorableError(Exception):
    """An example that can't be scored because of a file of the submission.

    Attributes:
        finding: The file and what is wrong with it.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


@dataclass(frozen=True)
class DecodedFile:
    """One decoded file of an example.

    Attributes:
        name: Such as `left_drums`; empty for the remix.
        pcm: Samples, (frames,) of a stem or (frames, 2) of a remix.
        md5: Their MD5, 16 bytes, from the header of the file.
        scaled: Whether a stem has a scale file.
        scale: Its scale factor.
    """

    name: str
    pcm: Pcm
    md5: bytes
    scaled: bool = True
    scale: float = 1.0


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
        self,
        song: str,
        listener: str,
        decoder: FlacDecoder,
        *,
        observe: Callable[[DecodedFile], None] = lambda _: None,
    ) -> ExampleAudio:
        """Reads and decodes an example; an example with a broken remix is broken, too.

        Args:
            song: The song.
            listener: The listener.
            decoder: Decodes the files.
            observe: Called with each decoded file; it can't change what is scored.

        Raises:
            UnscorableError: If a file is missing, damaged, or not what it must be.
        """
        observe(DecodedFile("", *self._decode(CAD1.remix_name(listener, song), song, Kind.REMIX, decoder)))
        stems: dict[str, Pcm] = {}
        scales: dict[str, float] = {}
        for name in CAD1.scoring_order:
            side, stem = side_and_stem(name)
            pcm, md5 = self._decode(CAD1.stem_name(listener, song, side, stem), song, Kind.STEM, decoder)
            pcm.flags.writeable = False
            scale_path = CAD1.scale_name(listener, song, side, stem)
            stems[name], scales[name] = pcm, self._scale(scale_path)
            scaled = scale_path in self._submission.members
            observe(DecodedFile(name, pcm, md5, scaled=scaled, scale=scales[name]))
        levels = {side: self._challenge.listener(listener).levels(side) for side in CAD1.sides}
        return ExampleAudio(listener, levels, stems, scales)

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
