"""Checks the write-ahead log that a killed process leaves next to the ledger, by its own checksums.

SQLite reads such a log up to the first frame whose checksum is wrong, and takes the rest for unfinished; so one
flipped byte would silently drop later transactions. The format is described at
https://www.sqlite.org/fileformat2.html#the_write_ahead_log.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

HEADER = struct.Struct(">8I")
"""Magic number, version, page size, sequence, two salts, two checksums."""

FRAME = struct.Struct(">6I")
"""Page number, size of the database after a commit (else 0), two salts, two checksums."""

MAGIC = 0x377F0682
"""The last bit is set if checksums are over big-endian words."""

PAGE_SIZES = frozenset(2**power for power in range(9, 17))
FRAMES_AT_ONCE = 1024

_MASK = 0xFFFFFFFF
Sums = tuple[int, int]

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
    words = struct.unpack(f"{order}6I", data[:24])
    if magic & ~1 != MAGIC or size not in PAGE_SIZES or _checksum(words, (0, 0)) != (first, second):
        return 0
    step, place = FRAME.size + size, HEADER.size
    computed = _frame_checksums(data, size=size, order=order, before=(first, second))
    while place + step <= len(data):
        _, _, *found, one, other = FRAME.unpack_from(data, place)
        if found != salts or next(computed) != (one, other):
            break
        place += step
    for start in range(place, len(data) - step + 1, step):
        _, commit, *found, _, _ = FRAME.unpack_from(data, start)
        same = sum(one == other for one, other in zip(found, salts, strict=True))
        # Frames of earlier rounds have two other salts; what a killed process did not finish has no commit.
        if same == 1 or (same == 2 and commit):
            return place
    return None


def _checksum(words: Sequence[int], sums: Sums) -> Sums:
    """SQLite's running checksum over pairs of 32-bit words."""
    one, other = sums
    for even, odd in zip(words[::2], words[1::2], strict=True):
        one = (one + even + other) & _MASK
        other = (other + odd + one) & _MASK
    return one, other


def _frame_checksums(data: bytes, *, size: int, order: str, before: Sums) -> Iterator[Sums]:
    """The checksum of each frame, over all frames up to it.

    The checksum is linear modulo 2**32, so NumPy sums up what each frame adds to it: a log of 100 MB takes a
    fraction of a second instead of ten.

    Args:
        data: The whole log.
        size: Bytes of a page.
        order: `<` or `>`, the order of the bytes in a word.
        before: The checksum of the header.
    """
    import numpy as np  # noqa: PLC0415  (slow to import)

    pairs = 1 + size // 8  # two words of the frame's header, and the page
    # `_checksum` takes (one, other) and a pair (even, odd) to
    # (one + other + even, one + 2 * other + even + odd): the sums before it count by a power of [[1, 1], [1, 2]].
    power = [1, 0, 0, 1]
    weights = np.zeros((2 * pairs, 2), np.uint32)
    for pair in reversed(range(pairs)):
        one, other, third, fourth = power
        weights[2 * pair] = (one + other) & _MASK, (third + fourth) & _MASK
        weights[2 * pair + 1] = other, fourth
        power = [(one + other) & _MASK, (one + 2 * other) & _MASK]
        power += [(third + fourth) & _MASK, (third + 2 * fourth) & _MASK]
    step = FRAME.size + size
    count = (len(data) - HEADER.size) // step
    sums = before
    for start in range(0, count, FRAMES_AT_ONCE):
        some = min(FRAMES_AT_ONCE, count - start)
        words = np.frombuffer(data, f"{order}u4", some * step // 4, HEADER.size + start * step)
        frames = words.reshape(some, step // 4)
        covered = np.concatenate([frames[:, :2], frames[:, FRAME.size // 4 :]], axis=1).astype(np.uint32)
        for one, other in (covered @ weights).tolist():
            sums = (
                (power[0] * sums[0] + power[1] * sums[1] + one) & _MASK,
                (power[2] * sums[0] + power[3] * sums[1] + other) & _MASK,
            )
            yield sums
