"""Checks the log's chain, the rows against the log, and that no entry writes what it may not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from harness.ledger.kinds import MIGRATED, migrated_to, tables_of_entry, written_by
from harness.ledger.log import GENESIS, LogEntry, canonical_json, row_digest
from harness.ledger.schema import WRITTEN_ONCE


class WrittenRow(BaseModel):
    """A row as a log entry records it: its table, its identity, and its digest, None if it was removed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    table: str
    row: tuple[str | int | float | None, ...]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None


Written = dict[tuple[str, str], tuple[str | None, int]]
"""By table and identity as JSON: the latest digest of a row, and the number of the entry that gives it."""

_ROWS: TypeAdapter[tuple[WrittenRow, ...]] = TypeAdapter(tuple[WrittenRow, ...])


OLDER_WAL = "The write-ahead log is older than the ledger beside it: it hides later entries."


def check_age(last: int, *, alone: int) -> Iterator[str]:
    """Yields a sentence if the log's last entry is before entry `alone`, which the ledger's file has."""
    if alone > last:
        yield OLDER_WAL


def check_chain(entries: Sequence[LogEntry], *, partial: bool = False) -> Iterator[str]:
    """Yields a sentence for each break of the chain.

    Args:
        entries: The log, or its last entries.
        partial: Whether there may be entries before these.
    """
    previous, number = GENESIS, 0
    if partial and entries:
        previous, number = entries[0].previous, entries[0].number - 1
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
    entries: Iterable[LogEntry],
    contents: Mapping[str, Sequence[Mapping[str, Any]]],
    identity: Mapping[str, tuple[str, ...]],
) -> Iterator[str]:
    """Yields a sentence for each row that differs from the log, and for each entry that could not write its rows.

    Args:
        entries: The log.
        contents: The rows of each table of `identity`, by column.
        identity: The tables that the log covers, and the columns that identify a row.
    """
    written: Written = {}
    yield from _check_entries(entries, identity, written)
    for table, columns in identity.items():
        for one in contents[table]:
            key = [one[column] for column in columns]
            sha256, number = written.pop((table, canonical_json(key)), (None, 0))
            row_name = _name_row(table, key)
            if sha256 is None:
                yield f"{row_name} has no entry in the log: it was added without the harness."
            elif sha256 != row_digest(table, one.values()):
                yield f"{row_name} differs from the log's entry {number}: it was changed without the harness."
    for (table, text), (sha256, number) in written.items():
        if sha256 is not None:
            yield f"{_name_row(table, text)} is missing; the log's entry {number} wrote it."


def latest_rows(entries: Iterable[LogEntry]) -> list[WrittenRow]:
    """The rows that some entries wrote, each as the latest of them records it.

    Raises:
        ValueError: An entry does not list the rows that it wrote.
    """
    found = (row for entry in entries for row in _ROWS.validate_json(entry.rows))
    return list({(row.table, canonical_json(row.row)): row for row in found}.values())


def _check_entries(
    entries: Iterable[LogEntry], identity: Mapping[str, tuple[str, ...]], written: Written
) -> Iterator[str]:
    """Adds what the entries wrote to `written`."""
    migrations = _Migrations()
    for entry in entries:
        began = migrations.follow(entry)
        tables = tables_of_entry(entry)
        if entry.kind == MIGRATED and not began:
            yield f"The log's entry {entry.number} migrates the ledger to a version that it had already."
        if tables is None:
            yield f"The log's entry {entry.number} is of the unknown kind {entry.kind!r}."
        try:
            rows = _ROWS.validate_json(entry.rows)
        except ValidationError:
            yield f"The log's entry {entry.number} does not list the rows that it wrote."
            continue
        for row in rows:
            name = (row.table, canonical_json(row.row))
            if tables is not None and row.table not in tables:
                yield (
                    f"The log's entry {entry.number} is of the kind {entry.kind!r} and names a row of the table "
                    f"{row.table}, which such an entry never writes."
                )
            before = written.get(name, (None, 0))[1]
            if before and not 0 < began > before and _is_written_once(row, identity):
                yield (
                    f"The log's entry {entry.number} writes the row {list(row.row)} of the table {row.table} "
                    f"again, which entry {before} wrote: such a row is written once."
                )
            written[name] = (row.sha256, entry.number)


def _is_written_once(row: WrittenRow, identity: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether no later entry may write the row; an audit could be replaced before it was named with its attempt."""
    if row.table == "audits":
        return "attempt" in identity["audits"] and len(row.row) == len(identity["audits"])
    return row.table in WRITTEN_ONCE


class _Migrations:
    """Follows the versions of a ledger through its log: a migration happens once, in consecutive entries."""

    def __init__(self) -> None:
        self._version = self._began = self._last = 0

    def follow(self, entry: LogEntry) -> int:
        """The number of the first entry of the migration that an entry belongs to; takes the entries in order.

        It is 0 if the entry belongs to no migration that can have happened.
        """
        version = migrated_to(entry) if entry.kind == MIGRATED else 0
        if version > self._version:
            self._version, self._began, self._last = version, entry.number, entry.number
        elif version and version == self._version and self._last == entry.number - 1:
            self._last = entry.number
        else:
            self._version = max(self._version, written_by(entry))
            return 0
        return self._began


def _name_row(table: str, identity: object) -> str:
    return f"The row {identity} of the table {table}"
