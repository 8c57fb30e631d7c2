"""Outcomes, statuses, checks and rankings as the command prints them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.cli.console import emit, log, print_error, show, show_line, stdout, use_color
from harness.protocol.errors import SubmissionError
from validator.findings.text import for_terminal
from validator.findings.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from harness.cli.options import RankingFormat
    from harness.machine.abilities import Ability
    from harness.machine.doctor import Check
    from harness.score.request import Outcome
    from harness.score.status import SubmissionStatus

WATCH_SECONDS = 2.0
"""Between two looks of `cad1 status --watch`."""

WIDE = 100
"""Columns from which a terminal has room for the wide form of a table."""


def print_ranking(
    store: Path,
    *,
    split: str | None = None,
    format_: RankingFormat = "table",
    output: Path | None = None,
    notes: bool = False,
    paged: bool = False,
) -> None:
    """Prints the ranking of a store, or writes it to a file.

    Args:
        store: The folder of the ledger.
        split: Only this split.
        format_: How to write it.
        output: A file instead of standard output.
        notes: Print the notes on a terminal too; elsewhere they are always there.
        paged: On a terminal, show what does not fit on it in the pager, one table a screen.
    """
    import pydoc
    from datetime import UTC, datetime

    from rich.text import Text

    from harness.ranking.render import RENDERERS, terminal, titles
    from harness.ranking.store import read_ranking

    tables, head = read_ranking(store, split=split)
    if format_ != "table":
        emit(RENDERERS[format_](tables), output)
        return
    console = stdout()
    brief = output is None and console.is_terminal and not notes
    named = list(zip(tables, titles(tables), strict=True))
    screens = [terminal([table], console, title=title, with_notes=not brief) for table, title in named]
    screens = screens or [terminal([], console)]
    screens[-1] += f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, head of the log:\n{head}\n" if tables else ""
    text = "".join(screens)
    if output is not None:
        emit(text, output)
    elif paged and console.is_terminal and text.count("\n") >= console.height:
        pages = "".join(_filled(screen, console.height - 1) for screen in screens)
        pydoc.pager(Text.from_ansi(pages, end="").plain)
    else:
        show(text)


def _filled(screen: str, height: int) -> str:
    """Text with empty lines up to a multiple of the height, so that the next text starts on a new screen."""
    return screen + "\n" * (-screen.count("\n") % height)


def print_outcome(outcome: Outcome, *, submission: Path, team: str, store: Path) -> None:
    """Prints the outcome of a scoring run.

    Raises:
        HarnessError: The first failure that the submission did not cause; the others are printed.
        SubmissionError: The submission is invalid, or some of its files cannot be scored.
    """
    if not outcome.report.valid:
        show(outcome.report.to_text(color=use_color()))
    else:
        log_outcome(outcome, team=team)
    raise_failure(outcome, submission=submission, store=store)


def log_outcome(outcome: Outcome, *, team: str) -> None:
    """Logs what was scored of a valid submission, and what was found in it."""
    log_findings(outcome)
    scored = counted(outcome.scored, "example")
    log(f"{scored} scored now, {outcome.stored} of {outcome.total} stored.")
    if outcome.audits:
        greatest = max(audit.difference for audit in outcome.audits)
        stems = counted(len(outcome.audits), "stem")
        log(f"{stems} spot-checked with pyclarity: greatest difference {greatest:.1e}.")
    if not outcome.faults and not outcome.findings:
        if outcome.average is None:
            log(f"{team} is not ranked until every example is scored.")
        else:
            log(f"{team}: average score {outcome.average:.4f}")


def raise_failure(outcome: Outcome, *, submission: Path, store: Path) -> None:
    """Raises the error with which the command ends, if there is one.

    Raises:
        HarnessError: The first failure that the submission did not cause; the others are printed.
        SubmissionError: The submission is invalid, or some of its files cannot be scored.
    """
    if not outcome.report.valid:
        raise SubmissionError(f"{submission.name} is invalid and was not scored.")
    for fault in outcome.faults[1:]:
        print_error(fault, store)
    for fault in outcome.faults[:1]:
        raise fault
    if outcome.findings:
        raise SubmissionError(
            f"{counted(len(outcome.findings), 'file')} of {submission.name} cannot be scored.",
            hint="`cad1 validate` lists them all; the scores of the other examples are stored.",
        )


def log_findings(outcome: Outcome) -> None:
    """Logs what was found in the audio, as `cad1 validate --data` would print it, and where the whole report is."""
    from validator.report.text import render_findings

    findings = outcome.whole_report.findings
    for line in render_findings(findings, rest=f"see {outcome.report_path}").splitlines():
        log(line)
    if findings:
        log(f"The report is in {outcome.report_path}.")
    if outcome.unseen:
        log(
            f"{counted(outcome.unseen, 'example')} scored before its audio was looked at; "
            "`cad1 validate --data` looks at all."
        )


def print_checks(checks: Sequence[Check]) -> None:
    """Prints what `cad1 doctor` found."""
    from rich.text import Text

    console = stdout()
    said = set()
    with console.capture() as capture:
        for check in checks:
            mark = "[green]✓[/]" if check.good else "[red]✗[/]"
            console.print(mark, f"{check.name}:", style=None, end=" ")
            console.print(Text(for_terminal(check.found)), soft_wrap=True)
            if check.hint and check.hint not in said:
                said.add(check.hint)
                console.print(Text(f"    {for_terminal(check.hint)}"), soft_wrap=True)
    show(capture.get())


def print_abilities(found: Sequence[Ability]) -> None:
    """Prints which commands work on this machine, and what the others lack."""
    from harness.cli.console import EXTRAS
    from harness.cli.installation import install_hint

    lines = ["", "Commands:"]
    for one in found:
        missing = ", ".join([*one.checks, *one.libraries])
        lines.append(f"{'✓' if one.works else '✗'} {one.commands}{f': missing {missing}' if missing else ''}")
        extras = sorted({EXTRAS[library] for library in one.libraries}, key=list(EXTRAS.values()).index)
        lines += [f"    {install_hint(extras[-1])}"] if extras else []
    for line in lines:
        show_line(line)


def status_json(statuses: Sequence[SubmissionStatus]) -> str:
    """The statuses as JSON, for scripts."""
    document = {"schema_version": 1, "submissions": [asdict(one) for one in statuses]}
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def status_text(
    statuses: Sequence[SubmissionStatus],
    *,
    full: bool,
    disqualified: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The statuses as a table, followed by causes.

    Args:
        statuses: One line each; what counts is marked.
        full: Whether every failed example is listed, too.
        disqualified: The reason for each disqualified team.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    if not statuses:
        return "No submissions yet.\n"
    console = stdout()
    with console.capture() as capture:
        wide = console.width >= WIDE
        table = Table() if wide else Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        for heading in (
            "Team",
            "Split",
            "Submission" if wide else "SHA-256",
            "State",
            "Since (UTC)",
            "Examples",
        ):
            # the others are folded before a team's name would be cut off
            table.add_column(heading, no_wrap=wide or heading == "Team", overflow="fold")
        marked = any(one.counts for one in statuses)
        if marked:
            table.add_column("Counts", justify="center")
        for one in statuses:
            cells = (
                one.team,
                one.split,
                one.submission[: 12 if wide else 8],
                f"{one.state} ({one.fault})" if one.fault else one.state,
                one.since[0 if wide else len("2026-") : len("2026-11-24T12:00")].replace("T", " "),
                f"{one.stored} of {one.total}",
                *(["✓" if one.counts else ""] if marked else []),
            )
            table.add_row(*(Text(for_terminal(cell)) for cell in cells))
        console.print(table)
        for one in statuses:
            _print_causes(one, console, full=full)
        for team in sorted({one.team for one in statuses} & disqualified.keys()):
            console.print(
                Text(f"{for_terminal(team)} is disqualified: {for_terminal(disqualified[team])}"),
                soft_wrap=True,
            )
    return capture.get()


def watch_statuses(read: Callable[[], str]) -> None:
    """Shows the statuses again every two seconds, in one place, until the command is interrupted."""
    from rich.live import Live
    from rich.text import Text

    with Live(console=stdout(), auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            live.update(Text.from_ansi(read()), refresh=True)
            time.sleep(WATCH_SECONDS)


def _progress(one: SubmissionStatus) -> str:
    if one.rate is None or one.left is None:
        return "started"
    hours, minutes = divmod(round(one.left / 60), 60)
    return f"{one.rate:.0f} per hour, {hours} h {minutes:02d} min left"


def _print_causes(one: SubmissionStatus, console: Console, *, full: bool) -> None:
    from rich.text import Text

    def line(text: str) -> None:
        console.print(Text(for_terminal(text)), soft_wrap=True)

    if one.runner:
        line(f"{one.team}: {_progress(one)}, by {one.runner}")
    if one.cause:
        line(f"{one.team}: {one.cause}")
    if one.failures and not full:
        line(f"{one.team}: {counted(len(one.failures), 'example')} failed; see `cad1 status {one.team}`.")
    for failure in one.failures if full else ():
        place = f"{failure.song} for {failure.listener}" + (f", {failure.path}" if failure.path else "")
        line(f"  {place}: {failure.message} ({failure.fault}, {failure.code})")
