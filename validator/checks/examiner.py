"""One example's files, read and judged: what the host does by headers, a worker or the sandbox by decoding."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from validator.archive.submission import DamagedMemberError
from validator.challenge.manifest import Kind, length_of
from validator.challenge.rules import CAD1
from validator.checks.filenames import place_of
from validator.checks.header import (
    check_header,
    from_error,
    scale_finding,
)
from validator.checks.matching import References
from validator.findings.codes import rule
from validator.formats import libflac
from validator.formats.flac import AudioError, audio_bytes, decode_flac, too_many_bytes
from validator.formats.scale import SCALE_BYTES, ScaleError, parse_scale
from validator.formats.streaminfo import HEADER_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from validator.archive.submission import Submission
    from validator.challenge.challenge import Challenge
    from validator.challenge.manifest import Entry
    from validator.checks.groups import Place
    from validator.checks.matching import Match
    from validator.findings.finding import Finding

FULL_SCALE = 32767
"""Peak of a stem that was divided by its own peak."""

CLIP_RUN = 8
"""Samples in a row at full scale that count as clipped; a single peak may rest there for a few."""

SHOULDER, SHOULDER_SHARE = 32440, 0.2
"""A soft limiter such as the challenge's tanh comes near full scale (0.99 of it) far more often than it
reaches it; where samples were cut off instead, the steep way up there leaves next to none in between. Measured
on two songs at four levels, amplified for mild to profound losses: 0.39 and more of tanh's remixes for each
sample at full scale, however loud, and at most 0.09 of those that were cut off."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What one audio file is like, small enough to be kept for every file of a submission.

    Attributes:
        place: Whose file it is.
        frames: Length as the header declares it, or as decoded.
        digest: Of the decoded audio (16 bytes); empty by headers only.
        peak: Greatest magnitude, 0 to 32768; -1 by headers only.
        clipped: Runs of at least `CLIP_RUN` samples cut off at full scale; only of a remix.
        level: RMS over both channels in dB re full scale, -inf for silence; only of a remix.
        sides_equal: Whether the channels are bit-equal; only of a remix.
        unscaled: Whether a stem reaches full scale and has no scale file.
        match: How a stem compares with the references; None without a data root.
    """

    place: Place
    frames: int
    digest: bytes = b""
    peak: int = -1
    clipped: int = 0
    level: float = 0.0
    sides_equal: bool = False
    unscaled: bool = False
    match: Match | None = None


@dataclass(slots=True)
class Examined:
    """The outcome for some files."""

    findings: list[Finding] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)


class Examiner:
    """Judges the files of one submission, example by example.

    Args:
        submission: Opened.
        challenge: What it is held against.
        decode: Decode the audio; else only 42 bytes of each file are read.
        sense: Compare the audio with the references, where it is decoded and there is a data root.
    """

    def __init__(self, submission: Submission, challenge: Challenge, *, decode: bool, sense: bool) -> None:
        self._submission, self._challenge, self._decode = submission, challenge, decode
        wanted = decode and sense and challenge.root is not None
        self._references = References(challenge) if wanted else None
        library = libflac.load() if decode else None
        self._quick = libflac.Decoder(library) if library else None

    def __call__(self, example: Sequence[Entry]) -> Examined:
        """Judge files of one song that are there, under the names asked for.

        Raises:
            ChallengeError: a reference cannot be read.
        """
        result = Examined()
        scales: dict[str, float] = {}
        for entry in example:
            try:
                if entry.kind is Kind.SCALE:
                    scales[entry.path] = self._scale(entry.path)
            except ScaleError as error:
                result.findings.append(scale_finding(entry.path, error))
            except DamagedMemberError as error:
                result.findings.append(_damaged(entry.path, error))
        for entry in example:
            try:
                if entry.kind is not Kind.SCALE:
                    self._audio(entry, scales, result)
            except AudioError as error:
                result.findings.append(from_error(entry.path, error))
            except DamagedMemberError as error:
                result.findings.append(_damaged(entry.path, error))
        return result

    def _scale(self, path: str) -> float:
        if self._submission.members[path].size < SCALE_BYTES:
            return parse_scale(self._submission.read(path, limit=SCALE_BYTES))
        return parse_scale(self._submission.head(path, SCALE_BYTES))

    def _audio(self, entry: Entry, scales: dict[str, float], result: Examined) -> None:
        length = length_of(self._challenge.song(entry.song), entry.kind)
        if self._decode:
            most = audio_bytes(channels=entry.channels, frames=length.most)
            if self._submission.members[entry.path].size > most:
                raise too_many_bytes(most)
            data = self._submission.read(entry.path, limit=most)
        else:
            data = self._submission.head(entry.path, HEADER_BYTES)
        info, findings = check_header(entry.path, data[:HEADER_BYTES], entry, length)
        result.findings += findings
        if info is None:
            return
        if not self._decode or findings:
            if info.sample_rate == entry.rate and info.total_samples:
                result.facts.append(Fact(place_of(entry), info.total_samples))
            return
        pcm = self._quick.decode(data, info) if self._quick else None
        if pcm is None:  # whatever is not perfectly plain, and so every verdict, is soundfile's
            pcm = decode_flac(
                data, rate=entry.rate, channels=entry.channels, bits=CAD1.bits, max_frames=length.most
            )
        fact = _fact(place_of(entry), pcm, info.md5 if info.has_md5 else b"")
        if entry.kind is Kind.STEM:
            fact = self._stem(entry, pcm, fact, scales)
        result.facts.append(fact)

    def _stem(
        self,
        entry: Entry,
        pcm: npt.NDArray[np.int16],
        fact: Fact,
        scales: dict[str, float],
    ) -> Fact:
        beside = CAD1.scale_name(entry.listener, entry.song, entry.side, entry.stem)
        scale = scales.get(beside, 1.0)
        if fact.peak >= FULL_SCALE and beside not in self._submission.members:
            fact = replace(fact, unscaled=True)
        if self._references is None:
            return fact
        song = self._references.of(entry.song)
        match = song.match(pcm, scale=scale, listener=entry.listener, side=entry.side, stem=entry.stem)
        return replace(fact, match=match)


def _damaged(path: str, error: DamagedMemberError) -> Finding:
    return rule("member-corrupt").at(path, f"The file is damaged: {error}.", found=str(error))


def _fact(place: Place, pcm: npt.NDArray[np.int16], md5: bytes) -> Fact:
    peak = max(int(pcm.max()), -int(pcm.min()))
    digest = md5 or hashlib.md5(np.ascontiguousarray(pcm).data, usedforsecurity=False).digest()
    if pcm.ndim == 1:
        return Fact(place, frames=len(pcm), digest=digest, peak=peak)
    power = float(np.mean(np.square(pcm, dtype=np.float32)))
    return Fact(
        place,
        frames=len(pcm),
        digest=digest,
        peak=peak,
        clipped=clipped_runs(pcm) if peak >= FULL_SCALE and cut_off(pcm) else 0,
        level=10 * math.log10(power) - 20 * math.log10(32768) if power > 0 else -math.inf,
        sides_equal=bool(np.array_equal(pcm[:, 0], pcm[:, 1])),
    )


def cut_off(pcm: npt.NDArray[np.int16]) -> bool:
    """Whether what reaches full scale was cut off there, and not bent by a soft limiter.

    Args:
        pcm: int16, shape (frames,) or (frames, channels).
    """
    full = np.count_nonzero((pcm >= FULL_SCALE) | (pcm <= -FULL_SCALE))
    near = np.count_nonzero((pcm >= SHOULDER) | (pcm <= -SHOULDER)) - full
    return bool(near < SHOULDER_SHARE * full)


def clipped_runs(pcm: npt.NDArray[np.int16]) -> int:
    """Runs of at least `CLIP_RUN` samples in a row at full scale, over all channels.

    Args:
        pcm: int16, shape (frames,) or (frames, channels).
    """
    runs = 0
    for channel in pcm.reshape(len(pcm), -1).T:
        full = np.flatnonzero((channel >= FULL_SCALE) | (channel <= -FULL_SCALE))
        ends = np.flatnonzero(np.diff(full, append=len(channel) + 1) > 1)
        lengths = np.diff(ends, prepend=-1)
        runs += int(np.count_nonzero(lengths >= CLIP_RUN))
    return runs
