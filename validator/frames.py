"""Frame headers of FLAC (RFC 9639, section 9.1), for telling a file that ends early from a damaged one."""

from __future__ import annotations

_LONGEST = 16  # bytes of the longest frame header
_SYNC = (b"\xff\xf8", b"\xff\xf9")  # frames of one size, frames of several


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (0x07 if crc & 0x80 else 0)) & 0xFF
    return crc


def _number(data: bytes) -> tuple[int, int] | None:
    """The coded number at the start (as in UTF-8, up to 36 bits) and its bytes; None where malformed."""
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
    """The frame or sample number of the header at the start of `data`, or None where there is none."""
    if len(data) < 6 or data[:2] not in _SYNC:
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


def goes_on(data: bytes, *, done: int, declared: int, block: int) -> bool:
    """Whether there are frames further on than the decoder came.

    Args:
        data: The FLAC file.
        done: Frames (samples of one channel) that were decoded.
        declared: Frames that its header declares.
        block: Greatest block size, in frames.

    Returns:
        True for a file damaged on the way, False for one that simply ends.
    """
    at = len(data)
    while (at := max(data.rfind(sync, 0, at) for sync in _SYNC)) > 0:
        number = _header(data[at : at + _LONGEST])
        if number is not None:
            position = number if data[at + 1] & 1 else number * block
            if position < declared:
                return position >= done + 2 * block
    return False
