"""Scale files: one positive number, by which the scorer multiplies the stem of the same name."""

from __future__ import annotations

import math
import re

SCALE_BYTES = 64
"""Size in bytes that a scale file must stay below; enough for any number that float() can distinguish."""

SCALE_MOST = 10_000.0
"""Largest scale factor: 80 dB re full scale, more than the amplification for any hearing loss."""

_NUMBER = re.compile(rb"\s*\+?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*")


class ScaleError(Exception):
    """A scale file that does not contain one valid number.

    Attributes:
        code: `scale-value`.
        message: One sentence.
        found: What the file contains.
    """

    def __init__(self, message: str, *, found: str) -> None:
        super().__init__(message)
        self.code = "scale-value"
        self.message = message
        self.found = found


def parse_scale(data: bytes) -> float:
    """The scale factor in a scale file, above 0 and at most `SCALE_MOST`.

    It is in decimal or exponent notation, and the file is shorter than `SCALE_BYTES`. Blanks and line breaks around
    the number are accepted, as the challenge's own `float(text)` does.

    Raises:
        ScaleError: the file contains anything else.
    """
    text = repr(data[:SCALE_BYTES].decode("ascii", "backslashreplace"))
    if len(data) >= SCALE_BYTES:
        raise ScaleError("The scale file is too long for one number.", found=f"{len(data)} bytes or more")
    if not data.strip():
        raise ScaleError("The scale file is empty.", found=f"{len(data)} bytes")
    if not _NUMBER.fullmatch(data):
        raise ScaleError("The scale file does not contain one positive decimal number.", found=text)
    value = float(data)
    if value == 0.0:
        raise ScaleError("The scale factor is 0, which makes the stem silent.", found=text)
    if not math.isfinite(value) or value > SCALE_MOST:
        raise ScaleError(f"The scale factor is above {SCALE_MOST:g}.", found=text)
    return value
