"""How much a submission may hold. Standard library only, for every archive format needs it."""

from __future__ import annotations

from dataclasses import dataclass

RATIO = 200
"""Deflate reaches 1032:1 on zeros; FLAC hardly shrinks. Silence with padding reaches about 100:1, but is
small, so the cap holds only above `RATIO_FLOOR`."""

RATIO_FLOOR = 1 << 18
"""Bytes below which a member may be as compressible as it likes."""


GZIP_RATIO = 20
"""A whole tar.gz of FLAC shrinks by a few per cent; all must be unpacked before its end is known."""

GZIP_FLOOR = 64 << 20
"""Bytes to which a small tar.gz may unpack whatever its ratio."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a submission may hold.

    Attributes:
        archive_bytes: Size of the archive file.
        entries: Number of members, folders and junk among them.
        member_bytes: Size of one member, unpacked.
        total_bytes: Size of all members, unpacked.
        ratio: Unpacked over packed size of one member of at least `RATIO_FLOOR` bytes.
    """

    archive_bytes: int = 64 << 30
    entries: int = 200_000
    member_bytes: int = 192 << 20
    total_bytes: int = 64 << 30
    ratio: int = RATIO
