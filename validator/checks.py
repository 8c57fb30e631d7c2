"""Pure functions: contents in, findings out."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from validator.audio import AudioError, check_format
from validator.codes import rule
from validator.streaminfo import HEADER_BYTES, StreamInfo, StreamInfoError, parse

if TYPE_CHECKING:
    from validator.finding import Finding
    from validator.manifest import Entry, Length

SCALE_BYTES = 64
"""A scale file is one number; 64 bytes hold any that float() can tell apart."""

SCALE_MOST = 10_000.0
"""Largest factor: 80 dB over full scale, more than any amplification of a hearing loss gives."""

_NUMBER = re.compile(rb"\+?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?:\r?\n)?")


class ScaleError(Exception):
    """A scale file that does not hold one usable number.

    Attributes:
        code: `scale-value`.
        message: One sentence.
        found: What is there.
    """

    def __init__(self, message: str, *, found: str) -> None:
        super().__init__(message)
        self.code = "scale-value"
        self.message = message
        self.found = found


def parse_scale(data: bytes) -> float:
    """The factor in a scale file: over 0 and at most 10,000.

    Plain decimal or exponent notation, one newline at the end allowed, under 64 bytes.

    Raises:
        ScaleError: it is anything else.
    """
    shown = repr(data[:SCALE_BYTES].decode("ascii", "backslashreplace"))
    if len(data) >= SCALE_BYTES:
        raise ScaleError("The scale file is too long for one number.", found=f"{len(data)} bytes or more")
    if not data.strip():
        raise ScaleError("The scale file is empty.", found=f"{len(data)} bytes")
    if not _NUMBER.fullmatch(data):
        raise ScaleError("The scale file does not hold one plain positive decimal number.", found=shown)
    value = float(data)
    if value == 0.0:
        raise ScaleError("The scale factor is 0, which would silence the stem.", found=shown)
    if not math.isfinite(value) or value > SCALE_MOST:
        raise ScaleError(f"The scale factor is over {SCALE_MOST:g}.", found=shown)
    return value


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
    wrong = check_format(info, rate=entry.rate, channels=entry.channels)
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
