"""The ranking as text: a terminal table, Markdown, CSV, JSON and an HTML page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from harness.protocol.errors import Fault
from harness.ranking.rows import Row, Unranked
from harness.ranking.tables import Table
from validator.findings.text import for_csv, for_markdown, for_terminal
from validator.findings.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

Format = Literal["table", "markdown", "csv", "json", "html"]
EMPTY = "Nothing has been ranked yet."

HEADINGS = ("Ranking", "Team", "Average score")

CAUSES: Mapping[str, str] = MappingProxyType(
    {
        Fault.SUBMISSION: "submission",
        Fault.USAGE: "wrong use",
        Fault.SETUP: "set-up",
        Fault.TIMEOUT: "time limit",
        Fault.MEMORY: "memory limit",
        Fault.BUG: "internal error",
    }
)
"""The causes of a failure, for a reader of the ranking."""


def titles(tables: Sequence[Table]) -> list[str]:
    """The title of each table; two with one title also name their challenges, whose audiograms or audio differ."""
    counts = Counter(table.title for table in tables)
    return [
        table.title if counts[table.title] == 1 else f"{table.title}, challenge {table.roster.digest[:12]}"
        for table in tables
    ]


def notes(table: Table) -> list[str]:
    """What a reader must know about the numbers, one sentence each."""
    sentences = []
    for row in table.rows:
        if row.undefined:
            sentences.append(f"{row.team}: {_describe_undefined(row.undefined)}.")
        if row.audited:
            sentences.append(
                f"{row.team}: {counted(row.audited, 'stem')} spot-checked with pyclarity, "
                f"greatest difference {row.greatest_difference:.1e}."
            )
    sentences += [f"{one.team}: {_reason_unranked(table, one)}." for one in table.unranked]
    if not table.scorer.locked and table.kind == "scored":
        sentences.append("These scores were made outside of the locked environment and can't be official.")
    return sentences


def _describe_undefined(number: int) -> str:
    if number == 1:
        return (
            "1 HAAQI value is undefined, because its reference is silent; "
            "its example's score is the mean of the others"
        )
    return (
        f"{number} HAAQI values are undefined, because their reference is silent; "
        "their examples' scores are the means of the others"
    )


def _reason_unranked(table: Table, unranked: Unranked) -> str:
    if unranked.disqualified:
        return f"disqualified: {unranked.disqualified.rstrip('.')}"
    if unranked.uncounted:
        return f"not ranked, {unranked.uncounted.rstrip('.')}"
    if unranked.failed_audits:
        return (
            "not ranked, the audit failed: pyclarity gives another score for "
            f"{counted(unranked.failed_audits, 'stem')}"
        )
    if unranked.audits_planned:
        return (
            f"not ranked yet, auditing: {unranked.audits_done} of "
            f"{counted(unranked.audits_planned, 'stem')} checked"
        )
    reason = f"not ranked, {unranked.examples} of {len(table.roster.examples)} examples scored"
    failed = ", ".join(
        f"{number} failed (cause: {CAUSES.get(fault, fault)})" for fault, number in unranked.faults
    )
    return f"{reason}; {failed}" if failed else reason


def _cells(row: Row) -> tuple[str, str, str]:
    return ("" if row.rank is None else str(row.rank), row.team, f"{row.average:.4f}")


def markdown(tables: Sequence[Table]) -> str:
    """Each table in the form `| Ranking | Team | Average score |`, with its notes."""
    parts = ["# Ranking", *([] if tables else [EMPTY])]
    for table, title in zip(tables, titles(tables), strict=True):
        parts.append(f"## {for_markdown(title)}")
        parts.append(_markdown_table([_cells(row) for row in table.rows]))
        parts += ["\n".join(f"- {for_markdown(note)}" for note in notes(table))] if notes(table) else []
    return "\n\n".join(parts) + "\n"


def _markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """A pipe table, padded so that the text itself reads as a table."""
    escaped = [[for_markdown(cell) for cell in row] for row in rows]
    widths = [
        max(len(heading) + 2, *(len(row[column]) for row in escaped)) if escaped else len(heading) + 2
        for column, heading in enumerate(HEADINGS)
    ]
    align = ":" if rows else "-"  # an empty table has no alignment: ranking.md was always written so
    lines = [HEADINGS, *escaped]
    drawn = [
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |"
        for line in lines
    ]
    drawn.insert(1, f"|{'|'.join(align + '-' * (width + 1) for width in widths)}|")
    return "\n".join(drawn)


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
        "greatest_difference": row.greatest_difference,
        "submission": row.submission,
    }


def as_csv(tables: Sequence[Table]) -> str:
    """One line per row, in full precision, each with its scorer."""
    import pandas as pd  # noqa: PLC0415  (slow to import)

    records = [
        {name: for_csv(cell) if isinstance(cell, str) else cell for name, cell in _record(table, row).items()}
        for table in tables
        for row in table.rows
    ]
    frame = pd.DataFrame(records, columns=list(records[0]) if records else ["rank", "team", "average"])
    if records:
        frame["rank"] = frame["rank"].astype("Int64")
    return str(frame.to_csv(index=False, lineterminator="\n"))


def as_json(tables: Sequence[Table]) -> str:
    """The tables with rows, submissions that are not ranked, and notes."""
    document = {
        "schema_version": 1,
        "tables": [
            {
                "title": title,
                "rows": [_record(table, row) for row in table.rows],
                "incomplete": [
                    {
                        "team": one.team,
                        "examples": one.examples,
                        "failed": one.failed_audits,
                        "audits_done": one.audits_done,
                        "audits_planned": one.audits_planned,
                        "faults": dict(one.faults),
                        "disqualified": one.disqualified or None,
                        "uncounted": one.uncounted or None,
                        "submission": one.submission,
                    }
                    for one in table.unranked
                ],
                "notes": notes(table),
            }
            for table, title in zip(tables, titles(tables), strict=True)
        ],
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def html(tables: Sequence[Table]) -> str:
    """A page that is complete in itself: no script, no font, nothing fetched."""
    from jinja2 import Environment, PackageLoader  # noqa: PLC0415  (slow to import)

    environment = Environment(
        loader=PackageLoader("harness.ranking"),
        autoescape=True,
        finalize=lambda value: for_terminal(value) if isinstance(value, str) else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("ranking.html.jinja")
    titled = zip(tables, titles(tables), strict=True)
    return page.render(tables=[(table, title, notes(table)) for table, title in titled], empty=EMPTY)


def terminal(
    tables: Sequence[Table], console: Console, *, title: str | None = None, with_notes: bool = True
) -> str:
    """The tables as a terminal shows them; colours and width are those of the console.

    Args:
        tables: The tables.
        console: Where they are shown.
        title: Of the only table, if its own is that of another table too.
        with_notes: Whether every note is shown; else their number is.
    """
    from rich.table import Table as RichTable  # noqa: PLC0415  (slow to import)
    from rich.text import Text  # noqa: PLC0415

    with console.capture() as capture:
        for table, name in zip(tables, titles(tables) if title is None else [title], strict=True):
            console.print(Text(for_terminal(name)))
            drawn = RichTable()
            for heading in HEADINGS:
                drawn.add_column(heading, justify="left" if heading == "Team" else "right")
            for row in table.rows:
                drawn.add_row(*(Text(for_terminal(cell)) for cell in _cells(row)))
            console.print(drawn)
            sentences = notes(table)
            for note in sentences if with_notes else ():
                console.print(Text(f"- {for_terminal(note)}"))
            if sentences and not with_notes:
                number = len(table.unranked)
                unranked = f", {counted(number, 'submission')} not ranked" if number else ""
                console.print(
                    Text(f"{counted(len(sentences), 'note')}{unranked}: see `cad1 ranking --notes`")
                )
        if not tables:
            console.print(EMPTY)
    return capture.get()


RENDERERS: dict[Format, Callable[[Sequence[Table]], str]] = {
    "markdown": markdown,
    "csv": as_csv,
    "json": as_json,
    "html": html,
}
"""Every format except the terminal's, which takes a console."""
