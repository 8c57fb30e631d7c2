"""The write-ahead log that a killed process leaves beside the ledger, held to its own check sums.

SQLite reads such a log up to the first frame whose check sum is wrong and takes the rest for what was never
finished; so a byte that was flipped there would take later transactions with it, and nobody would hear of it. The
format is described at https://www.sqlite.org/fileformat2.html#the_write_ahead_log.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from pathlib import Path

HEADER = struct.Struct(">8I")
"""Magic number, version, page size, sequence, two salts, two check sums."""

FRAME = struct.Struct(">6I")
"""Page number, size of the database after a commit (else 0), two salts, two check sums."""

MAGIC = 0x377F0682
"""The last bit says whether check sums are over big-endian words."""

ATTEMPTS = 5
PAUSE = 0.1
"""A process that is at work may be seen in the middle of a write: only what stays is damage."""


def check_wal(path: Path) -> Iterator[str]:
    """Says where a write-ahead log is damaged.

    Args:
        path: The log; it need not be there.

    Raises:
        OSError: If it can't be read.
    """
    before = b""
    for attempt in range(ATTEMPTS):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return
        place = _damage(data)
        if place is None:
            return
        if attempt and data == before:
            yield (
                f"{path.name} is damaged from byte {place} on: transactions that it held after that can't be read."
            )
            return
        before = data
        time.sleep(PAUSE)


def _damage(data: bytes) -> int | None:
    """Where a frame begins that was written whole and is not any more; None where there is none."""
    if len(data) < HEADER.size:
        return None
    magic, _, size, _, *salts, first, second = HEADER.unpack_from(data)
    order = ">" if magic & 1 else "<"
    if magic & ~1 != MAGIC or _sum(data[:24], order, (0, 0)) != (first, second):
        return 0
    step, place, sums = FRAME.size + size, HEADER.size, (first, second)
    while place + step <= len(data):
        _, _, *found, one, other = FRAME.unpack_from(data, place)
        sums = _sum(data[place : place + 8], order, sums)
        sums = _sum(data[place + FRAME.size : place + step], order, sums)
        if found != salts or sums != (one, other):
            break
        place += step
    for start in range(place, len(data) - step + 1, step):
        _, commit, *found, _, _ = FRAME.unpack_from(data, start)
        same = sum(one == other for one, other in zip(found, salts, strict=True))
        # Frames of earlier rounds have two other salts. What a killed process did not finish has no commit.
        if same == 1 or (same == 2 and commit):
            return place
    return None


def _sum(data: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    """SQLite's running check sum over pairs of 32-bit words."""
    one, other = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        one = (one + even + other) & 0xFFFFFFFF
        other = (other + odd + one) & 0xFFFFFFFF
    return one, other
