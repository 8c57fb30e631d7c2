"""Checks the log's chain, and the rows against the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from harness.ledger.log import GENESIS, LogEntry, canonical_json, row_digest
from harness.ledger.schema import IDENTITY


class WrittenRow(BaseModel):
    """A row as a log entry records it: its table, its identity, and its digest, None if it was removed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    table: str
    row: tuple[str | int | float | None, ...]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None


_ROWS: TypeAdapter[tuple[WrittenRow, ...]] = TypeAdapter(tuple[WrittenRow, ...])


def check_chain(entries: Sequence[LogEntry]) -> Iterator[str]:
    """Yields a sentence for each break of the chain."""
    previous, number = GENESIS, 0
    for entry in entries:
        number += 1
        if entry.number != number:
            yield f"The log goes from entry {number - 1} to {entry.number}: entries are missing or were renumbered."
            number = entry.number if isinstance(entry.number, int) else number
        if entry.previous != previous:
            yield f"The log's entry {entry.number} does not follow the entry before it: one of the two was changed."
        if entry.sha256 != entry.computed_sha256:
            yield f"The log's entry {entry.number} does not match its SHA-256: it was changed."
        previous = entry.sha256


def check_rows(
    entries: Iterable[LogEntry], contents: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Iterator[str]:
    """Yields a sentence for each row that differs from the log's latest entry about it.

    Args:
        entries: The log.
        contents: The rows of each table of `IDENTITY`, by column.
    """
    written: dict[tuple[str, str], tuple[str | None, int]] = {}
    for entry in entries:
        try:
            rows = _ROWS.validate_json(entry.rows)
        except ValidationError:
            yield f"The log's entry {entry.number} does not list the rows that it wrote."
            continue
        for row in rows:
            written[row.table, canonical_json(row.row)] = (row.sha256, entry.number)
    for table, columns in IDENTITY.items():
        for one in contents[table]:
            identity = [one[column] for column in columns]
            sha256, number = written.pop((table, canonical_json(identity)), (None, 0))
            row_name = _name_row(table, identity)
            if sha256 is None:
                yield f"{row_name} has no entry in the log: it was added without the harness."
            elif sha256 != row_digest(table, one.values()):
                yield f"{row_name} differs from the log's entry {number}: it was changed without the harness."
    for (table, name), (sha256, number) in written.items():
        if sha256 is not None:
            yield f"{_name_row(table, name)} is missing; the log's entry {number} wrote it."


def _name_row(table: str, identity: object) -> str:
    return f"The row {identity} of the table {table}"
