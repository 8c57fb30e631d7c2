"""How large a submission may be. Standard library only: every archive format needs it."""

from __future__ import annotations

from dataclasses import dataclass

RATIO = 200
"""Highest compression ratio of a member. Deflate reaches 1032:1 on zeros, while FLAC is hardly compressible.
Silence with padding reaches about 100:1 but is small, so the ratio is only checked from `RATIO_FLOOR` on."""

RATIO_FLOOR = 1 << 18
"""Unpacked bytes below which the compression ratio of a member is not checked."""

GZIP_RATIO = 20
"""Highest compression ratio of a whole tar.gz, which must be unpacked to find its end. FLAC shrinks by a few per
cent."""

GZIP_FLOOR = 64 << 20
"""Bytes to which a tar.gz may unpack whatever its compression ratio."""


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """How large a submission may be.

    Attributes:
        archive_bytes: Size of the archive file.
        entries: Number of members, folders and system files included.
        member_bytes: Unpacked size of one member.
        total_bytes: Unpacked size of all members.
        ratio: Compression ratio (unpacked over packed size) of a member of at least `RATIO_FLOOR` bytes.
    """

    archive_bytes: int = 64 << 30
    entries: int = 200_000
    member_bytes: int = 192 << 20
    total_bytes: int = 64 << 30
    ratio: int = RATIO
