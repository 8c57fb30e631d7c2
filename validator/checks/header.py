"""Is a file what its name says? Its first bytes, its length and its scale file, judged without decoding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from validator.challenge.rules import CAD1
from validator.findings.codes import rule
from validator.formats.flac import AudioError, check_format
from validator.formats.scale import ScaleError
from validator.formats.streaminfo import HEADER_BYTES, StreamInfo, StreamInfoError, parse

if TYPE_CHECKING:
    from validator.challenge.manifest import Entry, Length
    from validator.findings.finding import Finding


def scale_finding(path: str, error: ScaleError) -> Finding:
    """A scale file's error as a finding."""
    return rule(error.code).at(
        path, error.message, expected="one number over 0 and at most 10000", found=error.found
    )


def seconds(frames: int, rate: int) -> str:
    """A number of frames for a reader, such as "720000 frames (30.00 s)"."""
    return f"{frames} frames ({frames / rate:.2f} s)"


def expected_length(length: Length, rate: int) -> str:
    """A length for a reader."""
    if length.nominal is None:
        return f"at most {seconds(length.most, rate)}"
    return f"{length.nominal} frames ({length.nominal / rate:.2f} s), {length.least} to {length.most} allowed"


def check_header(
    path: str, head: bytes, entry: Entry, length: Length
) -> tuple[StreamInfo | None, list[Finding]]:
    """Judge the first 42 bytes of an audio file: every difference at once.

    Returns:
        The header (None where it could not be parsed) and the findings.
    """
    try:
        info = parse(head[:HEADER_BYTES])
    except StreamInfoError as error:
        return None, [rule(error.code).at(path, error.message, expected="a FLAC file", found=error.found)]
    findings = []
    wrong = check_format(info, rate=entry.rate, channels=entry.channels, bits=CAD1.bits)
    if wrong is not None:
        findings.append(from_error(path, wrong))
    if info.total_samples == 0:
        findings.append(
            rule("flac-unknown-length").at(path, "The FLAC header does not say how long the audio is.")
        )
    elif info.sample_rate == entry.rate and info.total_samples not in length:
        findings.append(check_length(path, info.total_samples, entry, length))
    return info, findings


def check_length(path: str, frames: int, entry: Entry, length: Length) -> Finding:
    """The finding of a length out of bounds."""
    word = "short" if frames < length.least else "long"
    return rule("length").at(
        path,
        f"The audio is too {word}.",
        expected=expected_length(length, entry.rate),
        found=seconds(frames, entry.rate),
    )


def from_error(path: str, error: AudioError) -> Finding:
    """A decoding error as a finding."""
    return rule(error.code).at(path, error.message, expected=error.expected, found=error.found)
