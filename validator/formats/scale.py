"""The scale file: one positive number, by which the scorer multiplies the stem beside it."""

from __future__ import annotations

import math
import re

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
