"""Reads and checks the files of one example after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from validator.archive.members import DamagedMemberError
from validator.challenge.audio import audio_finding, scale_finding
from validator.challenge.manifest import Kind, length_of
from validator.challenge.rules import CAD1
from validator.checks.groups import key_of
from validator.checks.header import check_header
from validator.checks.matching import ReferenceSpectra
from validator.checks.measurement import summarise
from validator.checks.suggestions import is_other_audio
from validator.checks.summary import AudioSummary, Examination
from validator.findings.codes import new_finding
from validator.formats.flac import AudioError, audio_bytes, too_many_bytes
from validator.formats.scale import SCALE_BYTES, ScaleError, parse_scale
from validator.formats.streaminfo import HEADER_BYTES, MAGIC

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from validator.archive.submission import Submission
    from validator.challenge.challenge import Challenge
    from validator.challenge.manifest import ExpectedFile
    from validator.findings.finding import Finding
    from validator.formats.flac import FlacDecoder


class Examiner:
    """Checks the files of one submission, example by example.

    Args:
        submission: The open submission.
        challenge: The challenge that it is checked against.
        decoder: Decodes the audio; None to read only the first 42 bytes of each file.
        compare_references: Whether to compare decoded audio with the references, if there is a data root.
    """

    def __init__(
        self,
        submission: Submission,
        challenge: Challenge,
        *,
        decoder: FlacDecoder | None,
        compare_references: bool,
    ) -> None:
        self._submission, self._challenge, self._decoder = submission, challenge, decoder
        compare = decoder is not None and compare_references and challenge.root is not None
        self._references = ReferenceSpectra(challenge) if compare else None

    def examine(self, files: Sequence[ExpectedFile]) -> Examination:
        """Check files of one song that are in the submission.

        Raises:
            ChallengeError: a reference cannot be read.
        """
        result = Examination()
        scales: dict[str, float | None] = {
            _scale_path(file): None for file in files if file.kind is Kind.SCALE
        }
        for file in files:
            try:
                if file.kind is Kind.SCALE:
                    scales[_scale_path(file)] = self._scale(file.path)
            except ScaleError as error:
                result.findings.append(scale_finding(file.path, error))
            except DamagedMemberError as error:
                result.findings.append(_damaged(file.path, error))
        for file in files:
            try:
                if file.kind is not Kind.SCALE:
                    self._audio(file, scales, result)
            except AudioError as error:
                result.findings.append(audio_finding(file.path, error))
            except DamagedMemberError as error:
                result.findings.append(_damaged(file.path, error))
        return result

    def _scale(self, path: str) -> float:
        if self._submission.members[path].size < SCALE_BYTES:
            return parse_scale(self._submission.read(path, limit=SCALE_BYTES))
        return parse_scale(self._submission.head(path, SCALE_BYTES))

    def _audio(self, file: ExpectedFile, scales: Mapping[str, float | None], result: Examination) -> None:
        length = length_of(self._challenge.song(file.song), file.kind)
        if self._decoder is not None:
            most = audio_bytes(channels=file.channels, frames=length.most)
            if self._submission.members[file.path].size > most:
                raise too_many_bytes(most)
            data = self._submission.read(file.path, limit=most)
        else:
            data = self._submission.head(file.path, HEADER_BYTES)
        if is_other_audio(file.path) and not data.startswith(MAGIC):
            return  # a .wav in place of a .flac: the finding about its name says so
        info, findings = check_header(file, data[:HEADER_BYTES], length)
        result.findings += findings
        if info is None:
            return
        if self._decoder is None or findings:
            if info.sample_rate == file.rate and info.total_samples:
                result.summaries.append(AudioSummary(key_of(file), info.total_samples))
            return
        pcm = self._decoder.decode(
            data, rate=file.rate, channels=file.channels, bits=CAD1.bits, max_frames=length.most
        )
        scale_path = _scale_path(file)
        references = None if self._references is None else self._references.of_song(file.song)
        result.summaries.append(
            summarise(
                key_of(file),
                pcm,
                md5=info.md5,
                scaled=scale_path in scales or scale_path in self._submission.members,
                scale=scales.get(scale_path, 1.0),
                references=references,
            )
        )


def _scale_path(file: ExpectedFile) -> str:
    """The path of the scale file of a stem, as it should be."""
    return CAD1.scale_name(file.listener, file.song, file.side, file.stem)


def _damaged(path: str, error: DamagedMemberError) -> Finding:
    return new_finding("member-corrupt", path, f"The file is damaged: {error}.", found=str(error))
