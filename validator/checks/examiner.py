"""Reads and checks the files of one example after the other."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from validator.archive.members import DamagedMemberError
from validator.challenge.audio import audio_finding, scale_finding
from validator.challenge.manifest import Kind, length_of
from validator.challenge.rules import CAD1
from validator.checks.clipping import FULL_SCALE, clipped_runs
from validator.checks.groups import key_of
from validator.checks.header import check_header
from validator.checks.matching import ReferenceSpectra
from validator.checks.summary import AudioSummary, Examination
from validator.findings.codes import new_finding
from validator.formats.flac import AudioError, audio_bytes, too_many_bytes
from validator.formats.scale import SCALE_BYTES, ScaleError, parse_scale
from validator.formats.streaminfo import HEADER_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from validator.archive.submission import Submission
    from validator.challenge.challenge import Challenge
    from validator.challenge.manifest import ExpectedFile
    from validator.checks.groups import FileKey
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
        scales: dict[str, float] = {}
        for file in files:
            try:
                if file.kind is Kind.SCALE:
                    scales[file.path] = self._scale(file.path)
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

    def _audio(self, file: ExpectedFile, scales: Mapping[str, float], result: Examination) -> None:
        length = length_of(self._challenge.song(file.song), file.kind)
        if self._decoder is not None:
            most = audio_bytes(channels=file.channels, frames=length.most)
            if self._submission.members[file.path].size > most:
                raise too_many_bytes(most)
            data = self._submission.read(file.path, limit=most)
        else:
            data = self._submission.head(file.path, HEADER_BYTES)
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
        summary = _summarise(key_of(file), pcm, info.md5)
        if file.kind is Kind.STEM:
            summary = self._with_references(file, pcm, summary, scales)
        result.summaries.append(summary)

    def _with_references(
        self,
        file: ExpectedFile,
        pcm: npt.NDArray[np.int16],
        summary: AudioSummary,
        scales: Mapping[str, float],
    ) -> AudioSummary:
        """The summary of a stem, with what needs its scale file and its references."""
        scale_path = CAD1.scale_name(file.listener, file.song, file.side, file.stem)
        if summary.peak >= FULL_SCALE and scale_path not in self._submission.members:
            summary = replace(summary, unscaled=True)
        if self._references is None:
            return summary
        match = self._references.of_song(file.song).match(
            pcm, scale=scales.get(scale_path, 1.0), listener=file.listener, side=file.side, stem=file.stem
        )
        return replace(summary, match=match)


def _damaged(path: str, error: DamagedMemberError) -> Finding:
    return new_finding("member-corrupt", path, f"The file is damaged: {error}.", found=str(error))


def _summarise(key: FileKey, pcm: npt.NDArray[np.int16], md5: bytes) -> AudioSummary:
    peak = max(int(pcm.max()), -int(pcm.min()))
    if pcm.ndim == 1:
        return AudioSummary(key, frames=len(pcm), digest=md5, peak=peak)
    power = float(np.mean(np.square(pcm, dtype=np.float32)))
    return AudioSummary(
        key,
        frames=len(pcm),
        digest=md5,
        peak=peak,
        clipped=clipped_runs(pcm) if peak >= FULL_SCALE else 0,
        level=10 * math.log10(power) - 20 * math.log10(CAD1.full_scale) if power > 0 else -math.inf,
        sides_equal=bool(np.array_equal(pcm[:, 0], pcm[:, 1])),
    )
