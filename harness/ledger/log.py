"""The log: what was done to the ledger, when and by whom, each entry bound to the one before by its SHA-256.

An entry holds the SHA-256 of every row that it wrote, as the row stood then (null for a row that it removed), so
that rows and log can be held against each other. Its own SHA-256 is over all of its columns and the one before's:
whoever knows the last one, the *head*, can tell any later change of what came before.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

GENESIS = "0" * 64
"""What stands for the entry before the first."""

COLUMNS = ("number", "at", "who", "kind", "facts", "rows", "previous", "sha256")


@dataclass(frozen=True)
class LogEntry:
    """One line of the log.

    Attributes:
        number: From 1, without gaps.
        at: When, in UTC.
        who: `user@host`.
        kind: What was done, such as `entered`, `scored`, `moved`.
        facts: What there is to know about it, as canonical JSON.
        rows: The rows that it wrote, as canonical JSON: a list of `{"table", "row", "sha256"}`.
        previous: The SHA-256 of the entry before.
        sha256: Its own.
    """

    number: int
    at: str
    who: str
    kind: str
    facts: str
    rows: str
    previous: str
    sha256: str

    @property
    def computed(self) -> str:
        """The SHA-256 that this entry must have."""
        content = (self.number, self.at, self.who, self.kind, self.facts, self.rows, self.previous)
        return digest(content)


def canonical(content: object) -> str:
    """JSON in the one form that is hashed: sorted keys, no blanks, ASCII, floats in full precision."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), default=_damaged)


def digest(content: object) -> str:
    """The SHA-256 of `content` in its canonical form."""
    return hashlib.sha256(canonical(content).encode("ascii")).hexdigest()


def row_digest(table: str, row: Iterable[Any]) -> str:
    """The SHA-256 of a row, with its table's name before its columns."""
    return digest([table, *row])


def _damaged(value: object) -> Mapping[str, str]:
    """Bytes where no column holds any: a damaged row must have a digest of its own, not an exception."""
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    raise TypeError(f"{type(value).__name__} has no canonical form")


def chained(*, number: int, at: str, who: str, kind: str, facts: str, rows: str, previous: str) -> LogEntry:
    """An entry with its SHA-256."""
    entry = LogEntry(number, at, who, kind, facts, rows, previous, "")
    return LogEntry(number, at, who, kind, facts, rows, previous, entry.computed)


def author() -> str:
    """Who writes, as `user@host`; the user's number where it has no name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return f"{user}@{socket.gethostname()}"
