"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """`1 file`, `1,297 files`: a count and a noun whose plural takes an s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
