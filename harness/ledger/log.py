"""The log: what was done to the ledger, when and by whom; each entry includes the SHA-256 of the one before.

An entry holds the SHA-256 of every row that it wrote (null for a row that it removed), so that rows can be checked
against the log. Its own SHA-256 covers all of its columns, including the SHA-256 of the entry before: whoever knows
the last one, the *head*, can detect any later change to what came before it.
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
"""The SHA-256 that the first entry has as the one before it."""

COLUMNS = ("number", "at", "who", "kind", "facts", "rows", "previous", "sha256")


@dataclass(frozen=True)
class LogEntry:
    """One entry of the log.

    Attributes:
        number: From 1, without gaps.
        at: When, in UTC.
        who: `user@host`.
        kind: What was done, such as `entered`, `scored`, `moved`, `migrated`.
        facts: Details, as canonical JSON.
        rows: The rows that it wrote, as canonical JSON: a list of `{"table", "row", "sha256"}`.
        previous: SHA-256 of the entry before.
        sha256: Its own SHA-256.
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
    def computed_sha256(self) -> str:
        """The SHA-256 that this entry must have."""
        content = (self.number, self.at, self.who, self.kind, self.facts, self.rows, self.previous)
        return json_digest(content)


def canonical_json(content: object) -> str:
    """JSON in one fixed form: sorted keys, no blanks, ASCII, floats in full precision (`repr`)."""
    return _ENCODER.encode(content)


def json_digest(content: object) -> str:
    """The SHA-256 of the canonical JSON of `content`."""
    return hashlib.sha256(canonical_json(content).encode("ascii")).hexdigest()


def row_digest(table: str, row: Iterable[Any]) -> str:
    """The SHA-256 of a row: of the table's name and all columns, in order."""
    return json_digest([table, *row])


def _encode_bytes(value: object) -> Mapping[str, str]:
    """Bytes, which no column holds: a damaged row must get a digest of its own, not raise an exception."""
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    raise TypeError(f"{type(value).__name__} has no canonical JSON")


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_encode_bytes)


def make_entry(
    *, number: int, at: str, who: str, kind: str, facts: str, rows: str, previous: str
) -> LogEntry:
    """An entry with its SHA-256."""
    entry = LogEntry(number, at, who, kind, facts, rows, previous, "")
    return LogEntry(number, at, who, kind, facts, rows, previous, entry.computed_sha256)


def current_author() -> str:
    """Who writes, as `user@host`; the numeric user id if the user has no name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return f"{user}@{socket.gethostname()}"
