"""Whether a store is still what its log says: the chain, every row and value, and the ranking computed again.

This alone can't detect a ledger whose last entries were cut off together with their rows, or one that was rewritten
from the first entry on. Whoever has kept the head of the log detects both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from harness.ledger.chain import check_age, check_chain, check_rows
from harness.ledger.database import FILE, AbsentError, Database
from harness.ledger.ledger import Ledger
from harness.ledger.log import GENESIS
from harness.ledger.snapshot import companion_file, last_entry_alone
from harness.ledger.versions import OLDEST_LOGGED, expected_schema
from harness.ledger.wal import check_wal
from harness.protocol.errors import SetupError, UsageError
from harness.provenance.changes import Changes, changes_since
from harness.provenance.rows import check_contents
from harness.ranking.render import markdown
from harness.ranking.store import RANKING_FILE
from harness.ranking.tables import make_tables
from harness.ranking.wording import reword

MAX_PROBLEMS = 100
"""Problems that are listed; any others are counted."""


@dataclass(frozen=True)
class Verification:
    """The result of `verify_store`.

    Attributes:
        problems: One sentence each; empty if the store is verified.
        head: SHA-256 of the log's last entry, for an organiser to publish; empty if it can't be read.
        entries: How many entries the log has.
        examples: How many scored examples were checked.
        since: What was written since the head that was asked for; None without one.
    """

    problems: list[str]
    head: str = ""
    entries: int = 0
    examples: int = 0
    since: Changes | None = None


def verify_store(store: Path, *, head: str | None = None) -> Verification:
    """Checks a store against its log.

    Args:
        store: Folder of the store; nothing is written there. A ledger of an earlier version is checked as it is.
        head: SHA-256 of an entry that the log must have, from an earlier verification.

    Raises:
        UsageError: `head` is not a SHA-256.
        SetupError: There is no ledger, or it may not be read.
    """
    if head is not None:
        head = head.strip().lower()
        if not re.fullmatch("[0-9a-f]{64}", head):
            raise UsageError(
                f"{head[:80]!r} is not a SHA-256: expected 64 hexadecimal digits.",
                hint="Give the head as `cad1 verify` printed it.",
            )
    alone = last_entry_alone(store / FILE)
    try:
        problems = [*check_wal(companion_file(store / FILE, "-wal"))]
    except OSError as error:
        problems = [f"The write-ahead log of {FILE} can't be read: {error}."]
    result = Verification(problems)
    try:
        with Database(store, read_only=True, as_stored=True) as database, database.snapshot():
            result = _verify(database, store, head, alone, problems)
    except AbsentError:
        raise
    except SetupError as error:
        return Verification([*problems, error.message])
    if len(problems) > MAX_PROBLEMS:
        rest = len(problems) - MAX_PROBLEMS
        problems = [*problems[:MAX_PROBLEMS], f"And {rest} more problems."]
    return replace(result, problems=problems)


def _verify(
    database: Database, store: Path, head: str | None, alone: int, problems: list[str]
) -> Verification:
    """Adds to `problems`."""
    damage = [*_check_file(database)]
    problems += damage
    if damage:
        return Verification(problems)
    entries = database.log()
    problems += check_age(max((entry.number for entry in entries), default=0), alone=alone)
    problems += check_chain(entries)
    if head is not None and head not in {GENESIS, *(entry.sha256 for entry in entries)}:
        problems.append(f"The log has no entry {head}: entries were removed, or the log was rewritten.")
    rows = database.contents()
    problems += check_rows(entries, rows, database.identity())
    for table, other in database.dangling_references():
        problems.append(f"The table {table} refers to rows of the table {other} that are missing.")
    with database.current() as current:
        ledger = Ledger.on(current)
        problems += check_contents(ledger, rows if current is database else current.contents())
        if problems:
            problems.append(f"{RANKING_FILE} was not checked, because of the problems above.")
        else:
            problems += _check_ranking(ledger, store)
    last = entries[-1].sha256 if entries else GENESIS
    since = None if head is None else changes_since(head, entries, rows)
    return Verification(problems, last, len(entries), len(rows["examples"]), since)


def _check_file(database: Database) -> Iterator[str]:
    """SQLite's own check, and whether tables and triggers are unchanged."""
    for problem in database.integrity_problems():
        yield f"The file {FILE} is damaged: {problem}."
    version = database.version_found
    if version < OLDEST_LOGGED:
        yield (
            f"The ledger has version {version}, which kept no log to check it against; the next command that "
            "writes to it migrates it."
        )
        return
    if database.schema() != expected_schema(version):
        yield f"The tables, indexes or triggers of {FILE} were changed."


def _check_ranking(ledger: Ledger, store: Path) -> Iterator[str]:
    path = store / RANKING_FILE
    found = make_tables(ledger)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if any(table.rows for table in found):
            yield f"There is no {RANKING_FILE} in {store}, but there are ranked submissions."
        return
    except (OSError, UnicodeDecodeError) as error:
        yield f"{path} can't be read: {error}."
        return
    computed = markdown(found)
    if computed in {text, reword(text)}:
        return
    expected_lines, lines = computed.splitlines(), text.splitlines()
    number = next(
        (n for n, (one, other) in enumerate(zip(expected_lines, lines, strict=False), 1) if one != other),
        min(len(expected_lines), len(lines)) + 1,
    )
    reason = (
        "a run is in progress and writes it at its end"
        if ledger.leases.all()
        else "any command that scores writes it again"
    )
    yield (
        f"{path}, line {number}: it does not follow from the stored examples; expected "
        f"{_line(expected_lines, number)!r}, found {_line(lines, number)!r} ({reason})."
    )


def _line(lines: list[str], number: int) -> str:
    return lines[number - 1][:200] if number <= len(lines) else ""
