"""Whether a store still is what its log says: the chain, every row, every value and the ranking, computed anew.

What this can't see by itself is a ledger whose last entries were cut off together with their rows, or one that was
written anew from the first entry on. Both are seen by whoever has kept the head of the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.ledger import schema
from harness.ledger.database import AbsentError
from harness.ledger.ledger import FILE, Ledger
from harness.ledger.log import GENESIS
from harness.ledger.snapshot import beside
from harness.protocol.errors import SetupError, UsageError
from harness.provenance.chain import check_chain, check_rows
from harness.provenance.rows import check_contents
from harness.provenance.wal import check_wal
from harness.ranking.render import RANKING_FILE, markdown
from harness.ranking.tables import tables

MAX_PROBLEMS = 100
"""Sentences before the rest is only counted."""


@dataclass(frozen=True)
class Verification:
    """What `verify` found.

    Attributes:
        problems: What does not fit, one sentence each; empty where everything does.
        head: The SHA-256 of the log's last entry, for an organiser to publish; empty if it can't be read.
        entries: How many entries the log has.
        examples: How many scored examples were held to it.
    """

    problems: list[str]
    head: str = ""
    entries: int = 0
    examples: int = 0


def verify(store: Path, *, head: str | None = None) -> Verification:
    """Holds a store to its log.

    Args:
        store: The store's folder. Nothing is written there.
        head: The SHA-256 of an entry that the log must have, as an earlier `verify` gave it.

    Raises:
        UsageError: If `head` is no SHA-256.
        SetupError: If there is no ledger, or it may not be read.
    """
    if head is not None:
        head = head.strip().lower()
        if not re.fullmatch("[0-9a-f]{64}", head):
            raise UsageError(
                f"{head[:80]!r} is no SHA-256: expected 64 hexadecimal digits.",
                hint="Give the head as `cad1 verify` printed it.",
            )
    try:
        problems = [*check_wal(beside(store / FILE, "-wal"))]
    except OSError as error:
        problems = [f"The write-ahead log of {FILE} can't be read: {error}."]
    try:
        ledger = Ledger(store, read_only=True)
    except AbsentError:
        raise
    except SetupError as error:
        return Verification([*problems, error.message])
    with ledger:
        try:
            with ledger.snapshot():
                found, entries, examples = _look(ledger, store, head, problems)
        except SetupError as error:
            return Verification([*problems, error.message])
    if len(problems) > MAX_PROBLEMS:
        rest = len(problems) - MAX_PROBLEMS
        problems = [*problems[:MAX_PROBLEMS], f"And {rest} more that don't fit."]
    return Verification(problems, found, entries, examples)


def _look(ledger: Ledger, store: Path, head: str | None, problems: list[str]) -> tuple[str, int, int]:
    """Fills `problems`; returns the head and how many entries and examples there are."""
    damages = [*_check_file(ledger)]
    problems += damages
    if damages:
        return "", 0, 0
    entries = ledger.log()
    problems += check_chain(entries)
    if head is not None and head not in {GENESIS, *(entry.sha256 for entry in entries)}:
        problems.append(
            f"The log has no entry {head}: entries that it once had are gone, or were written anew."
        )
    rows = ledger.contents()
    problems += check_rows(entries, rows)
    problems += check_contents(ledger, rows)
    if problems:
        problems.append(f"{RANKING_FILE} was not held to the examples, because of the above.")
    else:
        problems += _check_ranking(ledger, store)
    last = entries[-1].sha256 if entries else GENESIS
    return last, len(entries), len(rows["examples"])


def _check_file(ledger: Ledger) -> Iterator[str]:
    """What SQLite itself finds, and tables or triggers that are not as they were made."""
    for one in ledger.integrity():
        yield f"The file {FILE} is damaged: {one}."
    if ledger.version_found != schema.VERSION:
        yield (
            f"The ledger has version {ledger.version_found}, which kept no log to hold it to; the next command "
            "that writes to it brings it up to date."
        )
    elif ledger.schema() != schema.expected():
        yield f"The tables, indexes and triggers of {FILE} are not as they were made: somebody changed them."


def _check_ranking(ledger: Ledger, store: Path) -> Iterator[str]:
    path = store / RANKING_FILE
    found = tables(ledger)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if any(table.rows for table in found):
            yield f"There is no {RANKING_FILE} in {store}, though submissions are ranked."
        return
    except (OSError, UnicodeDecodeError) as error:
        yield f"{path} can't be read: {error}."
        return
    computed = markdown(found)
    if text == computed:
        return
    ours, theirs = computed.splitlines(), text.splitlines()
    line = next(
        (n for n, (one, other) in enumerate(zip(ours, theirs, strict=False), 1) if one != other),
        min(len(ours), len(theirs)) + 1,
    )
    busy = (
        "a run is at work and writes it at its end"
        if ledger.leases()
        else "any command that scores writes it anew"
    )
    yield (
        f"{path}, line {line}: it is not what the stored examples give; expected "
        f"{_line(ours, line)!r}, found {_line(theirs, line)!r} ({busy})."
    )


def _line(lines: list[str], number: int) -> str:
    return lines[number - 1][:200] if number <= len(lines) else ""
