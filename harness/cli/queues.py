"""Many submissions as the command shows them: a line for each result, a summary, and notifications."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.console import log, print_error, show, stdout
from harness.cli.presentation import log_findings
from validator.findings.text import for_terminal

if TYPE_CHECKING:
    from harness.score.changes import ChangeCallback
    from harness.score.queue import Result


@contextmanager
def notifying(command: str | None) -> Iterator[ChangeCallback | None]:
    """What runs an organiser's command at each change of a state; None without one."""
    if command is None:
        yield None
        return
    from harness.score.notification import Notifier

    with Notifier(command, log=log) as notifier:
        yield notifier


def report_others(others: Sequence[Path]) -> list[Path]:
    """Logs what lies in a folder of submissions and is none by its name; returns the archives among it."""
    from harness.score.arrivals import EXPECTED, looks_like_archive

    for path in others:
        if path.is_symlink():
            log(f"{path.name} is a link, and links in a folder of submissions are left alone.")
        elif looks_like_archive(path):
            log(f"{path.name} is not scored: its name gives no team. Rename it to {EXPECTED}.")
        else:
            log(f"{path.name} is not a submission and is left alone.")
    return [path for path in others if looks_like_archive(path)]


def report_result(result: Result) -> None:
    """Logs what became of one submission: the files that can't be scored, and the errors with their hints."""
    request = result.request
    faults = result.outcome.faults if result.outcome is not None else []
    errors = faults or ([result.error] if result.error is not None else [])
    log(f"{request.team}: {request.called} {result.state if errors else outcome_of(result)}")
    for error in errors:
        print_error(error, request.store)
    if result.outcome is not None:
        log_findings(result.outcome)


def outcome_of(result: Result) -> str:
    """The state of a result with its average or its cause."""
    if result.average is not None:
        before = " before" if result.scored_before else ""
        cause = f"; {result.cause}" if result.cause else ""
        return f"{result.state}{before}, average {result.average:.4f}{cause}"
    return f"{result.state}: {result.cause}" if result.cause else str(result.state)


def print_results(results: Sequence[Result], *, unnamed: Sequence[Path] = ()) -> None:
    """Prints a table with a row for each submission of a queue, in the order of the queue, and what it leaves out.

    Args:
        results: What became of each.
        unnamed: Archives that were not scored because their names give no team.
    """
    from rich.table import Table
    from rich.text import Text

    from harness.score.queue import summary

    if not results:
        return
    often = Counter(result.request.team for result in results)
    console = stdout()
    with console.capture() as capture:
        table = Table()
        table.add_column("Team", overflow="fold", min_width=4)
        table.add_column("Verdict", no_wrap=True)
        table.add_column("Average", no_wrap=True, justify="right")
        table.add_column("Cause", overflow="fold", ratio=1)
        for result in results:
            cause = result.cause
            if often[result.request.team] > 1:  # which of the team's
                cause = f"{result.request.called}{f': {cause}' if cause else ''}"
            average = "" if result.average is None else f"{result.average:.4f}"
            cells = (result.request.team, str(result.state), average, cause)
            table.add_row(*(Text(for_terminal(cell)) for cell in cells))
        console.print(table)
        console.print(Text(summary(results)))
        if any(result.state == "invalid" for result in results):
            console.print(Text("`cad1 validate FILE` shows what is wrong with an invalid submission."))
        for path in unnamed:
            console.print(Text(for_terminal(f"{path.name} was not scored: its name gives no team.")))
    show(capture.get())
