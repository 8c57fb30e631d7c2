"""The log held to itself, and the rows held to the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from harness.ledger.log import GENESIS, LogEntry, canonical, row_digest
from harness.ledger.schema import IDENTITY


class WrittenRow(BaseModel):
    """A row as an entry of the log has it: its table, what names it, and its digest; none if it was removed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    table: str
    row: tuple[str | int | float | None, ...]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None


_ROWS: TypeAdapter[tuple[WrittenRow, ...]] = TypeAdapter(tuple[WrittenRow, ...])


def check_chain(entries: Sequence[LogEntry]) -> Iterator[str]:
    """Says where the chain is broken."""
    previous, number = GENESIS, 0
    for entry in entries:
        number += 1
        if entry.number != number:
            yield f"The log goes from entry {number - 1} to {entry.number}: entries are missing or were renumbered."
            number = entry.number if isinstance(entry.number, int) else number
        if entry.previous != previous:
            yield f"The log's entry {entry.number} does not follow the entry before it: one of the two was changed."
        if entry.sha256 != entry.computed:
            yield f"The log's entry {entry.number} has not the SHA-256 of what it says: it was changed."
        previous = entry.sha256


def check_rows(
    entries: Iterable[LogEntry], contents: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Iterator[str]:
    """Says which rows are not as the log's latest entry about them has them.

    Args:
        entries: The log.
        contents: The rows of each table of `IDENTITY`, by column.
    """
    written: dict[tuple[str, str], tuple[str | None, int]] = {}
    for entry in entries:
        try:
            rows = _ROWS.validate_json(entry.rows)
        except ValidationError:
            yield f"The log's entry {entry.number} does not say which rows it wrote."
            continue
        for row in rows:
            written[row.table, canonical(row.row)] = (row.sha256, entry.number)
    for table, columns in IDENTITY.items():
        for one in contents[table]:
            identity = [one[column] for column in columns]
            sha256, number = written.pop((table, canonical(identity)), (None, 0))
            if sha256 is None:
                yield f"{_named(table, identity)} is in no entry of the log: somebody added it."
            elif sha256 != row_digest(table, one.values()):
                yield f"{_named(table, identity)} is not as the log's entry {number} has it: somebody changed it."
    for (table, name), (sha256, number) in written.items():
        if sha256 is not None:
            yield f"{_named(table, name)} is gone; the log's entry {number} has it."


def _named(table: str, identity: object) -> str:
    return f"The row {identity} of the table {table}"
