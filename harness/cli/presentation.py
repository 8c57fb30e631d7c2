"""Outcomes, statuses, checks and rankings as the command prints them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.console import emit, log, print_error, show, stdout, use_color
from harness.protocol.errors import SubmissionError
from validator.findings.text import for_terminal
from validator.findings.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from harness.cli.options import RankingFormat
    from harness.machine.doctor import Check
    from harness.score.request import Outcome
    from harness.score.status import SubmissionStatus


def print_ranking(
    store: Path, *, split: str | None = None, format_: RankingFormat = "table", output: Path | None = None
) -> None:
    """Prints the ranking of a store, or writes it to a file."""
    from harness.ranking.render import RENDERERS, terminal
    from harness.ranking.store import read_tables

    tables = read_tables(store, split=split)
    if format_ != "table":
        emit(RENDERERS[format_](tables), output)
    elif output is None:
        show(terminal(tables, stdout()))
    else:
        emit(terminal(tables, stdout()), output)


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
    _log_findings(outcome)
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


def _log_findings(outcome: Outcome) -> None:
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
    with console.capture() as capture:
        for check in checks:
            mark = "[green]✓[/]" if check.good else "[red]✗[/]"
            console.print(mark, f"{check.name}:", style=None, end=" ")
            console.print(Text(for_terminal(check.found)), soft_wrap=True)
            if check.hint:
                console.print(Text(f"    {for_terminal(check.hint)}"), soft_wrap=True)
    show(capture.get())


def status_json(statuses: Sequence[SubmissionStatus]) -> str:
    """The statuses as JSON, for scripts."""
    document = {"schema_version": 1, "submissions": [asdict(one) for one in statuses]}
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def status_text(statuses: Sequence[SubmissionStatus], *, full: bool) -> str:
    """The statuses as a table, followed by causes; with `full`, every failed example too."""
    from rich.table import Table
    from rich.text import Text

    if not statuses:
        return "No submissions yet.\n"
    console = stdout()
    with console.capture() as capture:
        table = Table()
        for heading in ("Team", "Split", "Submission", "State", "Since (UTC)", "Examples"):
            table.add_column(heading, no_wrap=True)
        active = any(one.runner for one in statuses)
        if active:
            table.add_column("Progress")
        for one in statuses:
            cells = (
                one.team,
                one.split,
                one.submission[:12],
                f"{one.state} ({one.fault})" if one.fault else one.state,
                one.since[:16].replace("T", " "),
                f"{one.stored} of {one.total}",
                *([_progress(one)] if active else []),
            )
            table.add_row(*(Text(for_terminal(cell)) for cell in cells))
        console.print(table)
        for one in statuses:
            _print_causes(one, console, full=full)
    return capture.get()


def _progress(one: SubmissionStatus) -> str:
    if not one.runner:
        return ""
    if one.rate is None or one.left is None:
        return "started"
    hours, minutes = divmod(round(one.left / 60), 60)
    return f"{one.rate:.0f} per hour, {hours} h {minutes:02d} min left"


def _print_causes(one: SubmissionStatus, console: Console, *, full: bool) -> None:
    from rich.text import Text

    def line(text: str) -> None:
        console.print(Text(for_terminal(text)), soft_wrap=True)

    if one.cause:
        line(f"{one.team}: {one.cause}")
    if one.failures and not full:
        line(f"{one.team}: {counted(len(one.failures), 'example')} failed; see `cad1 status {one.team}`.")
    for failure in one.failures if full else ():
        place = f"{failure.song} for {failure.listener}" + (f", {failure.path}" if failure.path else "")
        line(f"  {place}: {failure.message} ({failure.fault}, {failure.code})")
