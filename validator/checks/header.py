"""Is a file what its name says, judged without decoding it?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from validator.challenge.audio import audio_finding
from validator.challenge.rules import CAD1
from validator.findings.codes import new_finding
from validator.formats.flac import check_completeness, check_format
from validator.formats.streaminfo import HEADER_BYTES, StreamInfo, StreamInfoError, parse

if TYPE_CHECKING:
    from validator.challenge.manifest import ExpectedFile, Length
    from validator.findings.finding import Finding


def duration(frames: int, rate: int) -> str:
    """A number of frames as text, such as "720000 frames (30.00 s)"."""
    return f"{frames} frames ({frames / rate:.2f} s)"


def check_header(file: ExpectedFile, head: bytes, length: Length) -> tuple[StreamInfo | None, list[Finding]]:
    """Check the header of an audio file; every difference is reported.

    Args:
        file: Which file it is.
        head: Its first `HEADER_BYTES`.
        length: Its allowed length.

    Returns:
        The header (None if it cannot be parsed) and the findings.
    """
    try:
        info = parse(head[:HEADER_BYTES])
    except StreamInfoError as error:
        finding = new_finding(error.code, file.path, error.message, expected="a FLAC file", found=error.found)
        return None, [finding]
    findings = []
    difference = check_format(info, rate=file.rate, channels=file.channels, bits=CAD1.bits)
    if difference is not None:
        findings.append(audio_finding(file.path, difference))
    incomplete = check_completeness(info)
    if incomplete is not None:
        findings.append(audio_finding(file.path, incomplete))
    if info.total_samples and info.sample_rate == file.rate and info.total_samples not in length:
        findings.append(_length_finding(file, info.total_samples, length))
    return info, findings


def _length_finding(file: ExpectedFile, frames: int, length: Length) -> Finding:
    return new_finding(
        "length",
        file.path,
        f"The audio is too {'short' if frames < length.least else 'long'}.",
        expected=_expected_length(length, file.rate),
        found=duration(frames, file.rate),
    )


def _expected_length(length: Length, rate: int) -> str:
    if length.nominal is None:
        return f"at most {duration(length.most, rate)}"
    return f"{duration(length.nominal, rate)}, {length.least} to {length.most} allowed"
