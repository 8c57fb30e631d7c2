"""Numbers in sentences, and names from outside in a text."""

from __future__ import annotations

from validator.findings.text import for_terminal

LONGEST_NAME = 300
"""Characters of a name or a path that a sentence shows."""


def counted(number: int, noun: str) -> str:
    """`1 file`, `1,297 files`: a count and a noun whose plural takes an s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def printable(text: str, *, limit: int | None = LONGEST_NAME) -> str:
    """A text from outside, on one line: control characters and bytes that are not UTF-8 are escaped.

    Args:
        text: A path, a message or a name; its surrogates U+DC80 to U+DCFF stand for single bytes.
        limit: Most characters, of which the middle is left out; None for all.
    """
    text = for_terminal(text)
    if limit is None or len(text) <= limit:
        return text
    half = limit // 2 - 10
    return f"{text[:half]} … {text[-half:]}"
