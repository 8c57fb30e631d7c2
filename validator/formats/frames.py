"""Finds FLAC frame headers (RFC 9639, section 9.1), to tell a truncated file from a damaged one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CANDIDATES = 4096
"""Most positions to try before a file counts as damaged. Two such bytes occur by chance once in 32 kB of audio,
so the last frame of an ordinary file is found quickly; a hostile file may consist of nothing else."""

_LONGEST = 16  # bytes of the longest frame header
_SYNC = re.compile(rb"\xff[\xf8\xf9]")  # fixed and variable block size
_STRETCH = 1 << 16  # bytes searched at a time


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (0x07 if crc & 0x80 else 0)) & 0xFF
    return crc


def _number(data: bytes) -> tuple[int, int] | None:
    """The coded number at the start (as in UTF-8, up to 36 bits) and its length in bytes; None if malformed."""
    if not data:
        return None
    first = data[0]
    if first < 0x80:
        return first, 1
    length = 8 - (first ^ 0xFF).bit_length()
    if not 2 <= length <= 7 or len(data) < length:
        return None
    value = first & (0x7F >> length)
    for byte in data[1:length]:
        if byte & 0xC0 != 0x80:
            return None
        value = value << 6 | byte & 0x3F
    return value, length


def _header(data: bytes) -> int | None:
    """The frame or sample number of the frame header at the start of `data`; None if there is no valid header."""
    if len(data) < 6 or not _SYNC.match(data):
        return None
    size, rate = data[2] >> 4, data[2] & 0xF
    if size == 0 or rate == 0xF or data[3] & 1 or data[3] >> 4 > 10:
        return None
    number = _number(data[4:])
    if number is None:
        return None
    end = 4 + number[1] + {6: 1, 7: 2}.get(size, 0) + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if len(data) <= end or _crc8(data[:end]) != data[end]:
        return None
    return number[0]


def has_later_frame(data: bytes, *, done: int, declared: int, block: int) -> bool:
    """Whether there are frames after the point that the decoder reached.

    Args:
        data: The FLAC file.
        done: Frames (samples per channel) that were decoded.
        declared: Frames that its header declares.
        block: Greatest block size, in frames.

    Returns:
        True for a file that is damaged in the middle, False for one that is truncated.
    """
    for count, at in enumerate(_from_the_end(data)):
        if count == CANDIDATES:
            return True
        number = _header(data[at : at + _LONGEST])
        if number is not None:
            position = number if data[at + 1] & 1 else number * block
            if position < declared:
                return position >= done + 2 * block
    return False


def _from_the_end(data: bytes) -> Iterator[int]:
    """Offsets of the two bytes with which a frame starts, from the end of the file to its beginning."""
    end = len(data)
    while end > 0:
        start = max(0, end - _STRETCH)
        found = [match.start() for match in _SYNC.finditer(data, start, min(end + 1, len(data)))]
        yield from reversed(found)
        end = start
