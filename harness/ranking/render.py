"""The ranking as text: a terminal table, Markdown, CSV, JSON and an HTML page; and `ranking.md` in the store."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import pandas as pd
from jinja2 import Environment, PackageLoader
from rich.console import Console
from rich.table import Table as RichTable

from harness.ledger.ledger import Ledger
from harness.protocol.errors import Fault, SetupError
from harness.ranking.tables import Row, Table, Unranked, tables

Format = Literal["table", "markdown", "csv", "json", "html"]
RANKING_FILE = "ranking.md"
EMPTY = "Nothing has been ranked yet."

FAULTS: Mapping[str, str] = MappingProxyType(
    {
        Fault.SUBMISSION: "the submission",
        Fault.USAGE: "wrong use",
        Fault.SETUP: "the set-up",
        Fault.TIMEOUT: "a time limit",
        Fault.MEMORY: "a memory limit",
        Fault.BUG: "the harness",
    }
)
"""Whose fault it is, as a reader of the ranking is told."""


def notes(table: Table) -> list[str]:
    """What a reader must know beside the numbers, one sentence each."""
    found = []
    for row in table.rows:
        if row.undefined:
            found.append(
                f"{row.team}: {row.undefined} HAAQI values are undefined, because their reference is silent; "
                "their examples' scores are the means of the others."
            )
        if row.audited:
            found.append(
                f"{row.team}: {row.audited} stems scored again by pyclarity, "
                f"greatest difference {row.difference:.1e}."
            )
    for one in table.incomplete:
        found.append(f"{one.team}: {_why_unranked(table, one)}.")
    if not table.scorer.locked and table.kind == "scored":
        found.append("These scores were made outside of the locked environment and can't be official.")
    return found


def _why_unranked(table: Table, one: Unranked) -> str:
    if one.disqualified:
        return f"disqualified: {one.disqualified.rstrip('.')}"
    if one.failed:
        return f"not ranked, the audit failed: pyclarity scores {one.failed} stems otherwise"
    reason = f"not ranked, {one.examples} of {len(table.roster.examples)} examples scored"
    if one.faults:
        reason += "; failed: " + ", ".join(
            f"{number} by fault of {FAULTS.get(fault, fault)}" for fault, number in one.faults
        )
    return reason


def markdown(found: Sequence[Table]) -> str:
    """Each table in the form `| Ranking | Team | Average score |`, with its notes."""
    parts = ["# Ranking", *([] if found else [EMPTY])]
    for table in found:
        frame = pd.DataFrame(
            [
                ("" if row.rank is None else str(row.rank), row.team, f"{row.average:.4f}")
                for row in table.rows
            ],
            columns=["Ranking", "Team", "Average score"],
        )
        parts.append(f"## {table.title}")
        parts.append(str(frame.to_markdown(index=False, disable_numparse=True)))
        parts += ["\n".join(f"- {note}" for note in notes(table))] if notes(table) else []
    return "\n\n".join(parts) + "\n"


def _record(table: Table, row: Row) -> dict[str, object]:
    return {
        "split": table.roster.split,
        "challenge": table.roster.digest,
        "scorer": table.scorer.digest,
        "engine": table.scorer.engine,
        "locked": table.scorer.locked,
        "kind": row.kind,
        "rank": row.rank,
        "team": row.team,
        "average": row.average,
        "undefined": row.undefined,
        "audited": row.audited,
        "greatest_difference": row.difference,
        "submission": row.submission,
    }


def as_csv(found: Sequence[Table]) -> str:
    """One line a row, in full precision; the scorer stands in each."""
    records = [_record(table, row) for table in found for row in table.rows]
    frame = pd.DataFrame(records, columns=list(records[0]) if records else ["rank", "team", "average"])
    if records:
        frame["rank"] = frame["rank"].astype("Int64")
    return str(frame.to_csv(index=False, lineterminator="\n"))


def as_json(found: Sequence[Table]) -> str:
    """The tables with rows, incomplete submissions and notes."""
    document = {
        "schema_version": 1,
        "tables": [
            {
                "title": table.title,
                "rows": [_record(table, row) for row in table.rows],
                "incomplete": [
                    {
                        "team": one.team,
                        "examples": one.examples,
                        "failed": one.failed,
                        "faults": dict(one.faults),
                        "disqualified": one.disqualified or None,
                        "submission": one.submission,
                    }
                    for one in table.incomplete
                ],
                "notes": notes(table),
            }
            for table in found
        ],
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def html(found: Sequence[Table]) -> str:
    """A page that stands alone: no script, no font, nothing fetched."""
    environment = Environment(
        loader=PackageLoader("harness.ranking"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("ranking.html.jinja")
    return page.render(tables=[(table, notes(table)) for table in found], empty=EMPTY)


def terminal(found: Sequence[Table], console: Console) -> str:
    """The tables as a terminal shows them; colours and width are the console's."""
    with console.capture() as capture:
        for table in found:
            console.print(table.title, markup=False, highlight=False)
            drawn = RichTable()
            drawn.add_column("Ranking", justify="right")
            drawn.add_column("Team")
            drawn.add_column("Average score", justify="right")
            for row in table.rows:
                drawn.add_row("" if row.rank is None else str(row.rank), row.team, f"{row.average:.4f}")
            console.print(drawn)
            for note in notes(table):
                console.print(f"- {note}", markup=False, highlight=False)
        if not found:
            console.print(EMPTY)
    return capture.get()


RENDERERS: dict[Format, Callable[[Sequence[Table]], str]] = {
    "markdown": markdown,
    "csv": as_csv,
    "json": as_json,
    "html": html,
}
"""Every format but the terminal's, which takes a console."""


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file in one step: a reader sees the old one or the new one, whole.

    Raises:
        SetupError: If it can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content.encode() if isinstance(content, str) else content)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise unwritable(path, error) from error


def write_ranking(ledger: Ledger, store: Path) -> None:
    """Brings `ranking.md` up to what the ledger holds; a file that says so already is left alone.

    It is made and written while no other process can write to the ledger: of two at once, the one that is written
    last has seen everything that the other has.

    Raises:
        SetupError: If it can't be written.
    """
    path = store / RANKING_FILE
    with ledger.exclusively():
        text = markdown(tables(ledger))
        try:
            with suppress(FileNotFoundError):
                for left in store.glob(
                    f".{RANKING_FILE}.*"
                ):  # of a process that was killed: we are alone here
                    left.unlink()
                if path.read_bytes() == text.encode():
                    return
        except OSError as error:
            raise unwritable(path, error) from error
        write_atomically(path, text)


def unwritable(path: Path, error: OSError) -> SetupError:
    """What there is to say of a file that the system does not let us write."""
    return SetupError(
        f"{path} can't be written: {error.strerror or error}.",
        hint="See that the folder is writable and its disk is not full, and run the same command again.",
    )
