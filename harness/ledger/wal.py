"""Checks the write-ahead log that a killed process leaves next to the ledger, by its own checksums.

SQLite reads such a log up to the first frame whose checksum is wrong, and takes the rest for unfinished; so one
flipped byte would silently drop later transactions. The format is described at
https://www.sqlite.org/fileformat2.html#the_write_ahead_log.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from pathlib import Path

HEADER = struct.Struct(">8I")
"""Magic number, version, page size, sequence, two salts, two checksums."""

FRAME = struct.Struct(">6I")
"""Page number, size of the database after a commit (else 0), two salts, two checksums."""

MAGIC = 0x377F0682
"""The last bit is set if checksums are over big-endian words."""

ATTEMPTS = 5
PAUSE = 0.1
"""A running process may be seen in the middle of a write: only what does not change is damage."""


def check_wal(path: Path) -> Iterator[str]:
    """Yields a sentence if a write-ahead log is damaged.

    Args:
        path: The log; it need not exist.

    Raises:
        OSError: It can't be read.
    """
    before = b""
    for attempt in range(ATTEMPTS):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return
        place = _find_damage(data)
        if place is None:
            return
        if attempt and data == before:
            yield (f"{path.name} is damaged from byte {place} on: later transactions in it can't be read.")
            return
        before = data
        time.sleep(PAUSE)


def _find_damage(data: bytes) -> int | None:
    """Offset of the first frame that was once complete and is not any more; None if there is none."""
    if len(data) < HEADER.size:
        return None
    magic, _, size, _, *salts, first, second = HEADER.unpack_from(data)
    order = ">" if magic & 1 else "<"
    if magic & ~1 != MAGIC or _checksum(data[:24], order, (0, 0)) != (first, second):
        return 0
    step, place, sums = FRAME.size + size, HEADER.size, (first, second)
    while place + step <= len(data):
        _, _, *found, one, other = FRAME.unpack_from(data, place)
        sums = _checksum(data[place : place + 8], order, sums)
        sums = _checksum(data[place + FRAME.size : place + step], order, sums)
        if found != salts or sums != (one, other):
            break
        place += step
    for start in range(place, len(data) - step + 1, step):
        _, commit, *found, _, _ = FRAME.unpack_from(data, start)
        same = sum(one == other for one, other in zip(found, salts, strict=True))
        # Frames of earlier rounds have two other salts; what a killed process did not finish has no commit.
        if same == 1 or (same == 2 and commit):
            return place
    return None


def _checksum(data: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    """SQLite's running checksum over pairs of 32-bit words."""
    one, other = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        one = (one + even + other) & 0xFFFFFFFF
        other = (other + odd + one) & 0xFFFFFFFF
    return one, other
