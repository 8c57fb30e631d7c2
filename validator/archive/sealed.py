"""A file that is opened once: after it was hashed, only the bytes that were hashed are read from it."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from typing import TYPE_CHECKING

from validator.archive.members import SubmissionChangedError

if TYPE_CHECKING:
    from hashlib import _Hash

BLOCK_BYTES = 1 << 20
"""Bytes that are checked together: about two stems of 30 s, so little is read that is not needed."""

BLOCKS_KEPT = 4
"""Checked blocks that are kept in memory, since a member is read in parts."""


class SealedFile:
    """A regular file that several threads may read at any offset.

    `seal` hashes it. From then on every read is checked against that hash, block by block: the state of SHA-256 at
    the beginning of each block and the digest of everything up to its end are kept, 0.5 kB for 1 MiB. Until
    `indexed` is called, what is read is remembered by its hash, so that `seal` also notices if an archive's
    directory was read from other bytes.

    Args:
        descriptor: The open file; `close` closes it.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        self._seals: list[tuple[_Hash, bytes]] | None = None
        self._remembered: dict[int, list[tuple[int, int, bytes]]] = {}
        self._remembering = True
        self._checked = lru_cache(maxsize=BLOCKS_KEPT)(self._check)

    def read_at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`; fewer only at the end of the file.

        Raises:
            SubmissionChangedError: the bytes are not those that were hashed.
        """
        count = min(count, self.size - offset)
        if offset < 0 or count <= 0:
            return b""
        if self._seals is None:
            data = self._read(offset, count)
            if self._remembering:
                self._remember(offset, data)
            return data
        parts = []
        while count > 0:
            number, start = divmod(offset, BLOCK_BYTES)
            part = self._checked(number)[start : start + count]
            parts.append(part)
            offset, count = offset + len(part), count - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def indexed(self) -> None:
        """Remember no more of what is read: the directory is known, and members follow."""
        self._remembering = False

    def seal(self) -> str:
        """SHA-256 of the file in hex; later reads are checked against it.

        Raises:
            SubmissionChangedError: it is changing, or its directory was read from other bytes.
        """
        whole = hashlib.sha256()
        seals: list[tuple[_Hash, bytes]] = []
        for number in range(-(-self.size // BLOCK_BYTES)):
            block = self._block(number)
            self._compare(block, self._remembered.get(number, []))
            before = whole.copy()
            whole.update(block)
            seals.append((before, whole.digest()))
        if os.fstat(self.descriptor).st_size != self.size:
            raise SubmissionChangedError("it has another size than at the start")
        self._seals = seals
        self._remembered = {}
        return whole.hexdigest()

    def close(self) -> None:
        """Close the file."""
        self._checked.cache_clear()
        os.close(self.descriptor)

    def _read(self, offset: int, count: int) -> bytes:
        """The bytes themselves, unchecked; fewer only where the file ends."""
        data = os.pread(self.descriptor, count, offset)
        while 0 < len(data) < count and (
            more := os.pread(self.descriptor, count - len(data), offset + len(data))
        ):
            data += more
        return data

    def _block(self, number: int) -> bytes:
        start = number * BLOCK_BYTES
        block = self._read(start, min(BLOCK_BYTES, self.size - start))
        if len(block) != min(BLOCK_BYTES, self.size - start):
            raise SubmissionChangedError(f"it ends at byte {start + len(block)} instead of {self.size}")
        return block

    def _check(self, number: int) -> bytes:
        assert self._seals is not None
        before, expected = self._seals[number]
        block = self._block(number)
        prefix = before.copy()
        prefix.update(block)
        if prefix.digest() != expected:
            raise SubmissionChangedError(
                f"the bytes from {number * BLOCK_BYTES} on are not those of its hash"
            )
        return block

    def _remember(self, offset: int, data: bytes) -> None:
        view, at = memoryview(data), 0
        while at < len(data):
            number, start = divmod(offset + at, BLOCK_BYTES)
            part = view[at : at + BLOCK_BYTES - start]
            self._remembered.setdefault(number, []).append((start, len(part), hashlib.sha256(part).digest()))
            at += len(part)

    def _compare(self, block: bytes, remembered: list[tuple[int, int, bytes]]) -> None:
        view = memoryview(block)
        for start, count, expected in remembered:
            if hashlib.sha256(view[start : start + count]).digest() != expected:
                raise SubmissionChangedError("its directory is not the one that was read at the start")
