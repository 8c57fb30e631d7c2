"""Numbers in sentences, and names from outside in a text."""

from __future__ import annotations

import re

LONGEST_NAME = 300
"""Characters of a name or a path that a sentence shows."""


CI_COMMAND = re.compile(r"(##(?:vso)?)\[", re.IGNORECASE)
"""What GitHub Actions and Azure Pipelines take for a command anywhere in a line of a log."""


def counted(number: int, noun: str) -> str:
    """`1 file`, `1,297 files`: a count and a noun whose plural takes an s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def printable(text: str, *, limit: int | None = LONGEST_NAME) -> str:
    """A text from outside, on one line: control characters and bytes that are not UTF-8 are escaped.

    Args:
        text: A path, a message or a name; its surrogates U+DC80 to U+DCFF stand for single bytes.
        limit: Most characters, of which the middle is left out; None for all.
    """
    text = text if text.isprintable() else "".join(map(_escape, text))
    if limit is None or len(text) <= limit:
        return text
    half = limit // 2 - 10
    return f"{text[:half]} … {text[-half:]}"


def _escape(char: str) -> str:
    if char.isprintable():
        return char
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")


def harmless(text: str) -> str:
    """A text from outside as a part of a line of a log: printable, and no command of a CI system.

    GitHub Actions also obeys lines that start with `::`.
    """
    text = CI_COMMAND.sub(r"\1\\x5b", printable(text, limit=None))
    return "\\x3a" + text.lstrip()[1:] if text.lstrip().startswith("::") else text
