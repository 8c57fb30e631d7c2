"""Commands about single submissions: which there are, which of a team's counts, and the decisions about them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli.console import STORE, emit, log, show, show_line, stdout
from harness.cli.options import AnySplit, Store, Team
from harness.protocol.errors import UsageError
from validator.challenge.rules import Split
from validator.findings.text import for_terminal

if TYPE_CHECKING:
    from harness.ranking.submissions import SubmissionLine

Digest = Annotated[
    str,
    typer.Argument(help="The submission's SHA-256, or at least its first 4 digits.", show_default=False),
]
Reason = Annotated[str, typer.Option(help="The reason; the log keeps it.", show_default=False)]

NONE = "none"
"""The value of `--deadline` that takes a deadline back."""


def submissions_command(
    team: Annotated[str | None, typer.Argument(help="Only this team.")] = None,
    split: AnySplit = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    store: Store = STORE,
) -> None:
    """List submissions and which of them count

    Shows when each was received first, its state, its average, and why it counts or does not; `cad1 policy` sets
    the rule. Notes name submissions of two teams with the same bytes or the same stems.
    """
    from harness.ranking.submissions import read_submissions

    found = read_submissions(store, team=team, split=split)
    if team is not None and not found:
        raise UsageError(
            f"{team} has no submission in {store}{f' for split {split}' if split else ''}.",
            hint="`cad1 submissions` lists the teams that have.",
        )
    if as_json:
        document = {"schema_version": 1, "submissions": [asdict(one) for one in found]}
        emit(json.dumps(document, indent=1, allow_nan=False) + "\n", None)
    else:
        show(_text(found))


def _text(found: Sequence[SubmissionLine]) -> str:
    """A table for each team and challenge, and under it why each of its submissions counts or does not."""
    from rich.table import Table
    from rich.text import Text

    if not found:
        return "No submissions yet.\n"
    console = stdout()
    with console.capture() as capture:
        for place, (name, lines) in enumerate(
            groupby(found, key=lambda one: (one.team, one.split, one.challenge))
        ):
            if place:
                console.print()
            group = list(lines)
            out = f", disqualified: {group[0].disqualified}" if group[0].disqualified else ""
            title = Text(for_terminal(f"{name[0]}, split {name[1]}{out}"), style="bold")
            console.print(title, soft_wrap=True)
            table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
            for heading in ("Received (UTC)", "File", "Digest", "State", "Average", "Counts"):
                table.add_column(heading, overflow="fold", no_wrap=heading not in {"File", "Counts"})
            for one in group:
                cells = (
                    one.received[:16].replace("T", " "),
                    one.name or "?",
                    one.submission[:8],
                    one.state,
                    "" if one.average is None else f"{one.average:.4f}",
                    "yes" if one.counts else one.decision or ("late" if one.late else "no"),
                )
                table.add_row(
                    *(Text(for_terminal(cell)) for cell in cells), style="bold" if one.counts else None
                )
            console.print(table)
            for one in group:
                verb = "counts" if one.counts else "does not count"
                lines_of_one = [f"{one.submission[:8]} {verb}: {one.reason.rstrip('.')}.", *one.notes]
                for number, line in enumerate(lines_of_one):
                    console.print(
                        Text(for_terminal(f"- {line}" if not number else f"  note: {line}")), soft_wrap=True
                    )
    return capture.get()


def policy_command(
    split: Annotated[Split, typer.Option(help="The challenge's split.", show_default=False)],
    counts: Annotated[
        Literal["latest", "best", "chosen"] | None,
        typer.Option(
            help="What counts of a team: the submission received last, the best, or the selected one.",
            show_default=False,
        ),
    ] = None,
    deadline: Annotated[
        str | None,
        typer.Option(
            help="A time such as 2026-12-01T23:59:59Z; what is received later is late and does not count. "
            "`none` takes it back.",
            show_default=False,
        ),
    ] = None,
    most: Annotated[
        int | None,
        typer.Option(
            min=0, help="How many submissions of a team may count; 0 for any number.", show_default=False
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="The reason; the log keeps it.", show_default=False)] = "",
    store: Store = STORE,
) -> None:
    """Show or set which submission of a team counts

    Without an option, prints the policy of the split. A policy holds for what was received before, too: the ranking
    is computed again.
    """
    from harness.ranking.store import change_policy, read_policy

    if counts is None and deadline is None and most is None:
        policy = read_policy(store, split)
    else:
        until = None if deadline is None else parse_deadline(deadline)
        policy = change_policy(store, split, counts=counts, deadline=until, most=most, reason=reason)
    show_line(f"Split {split}: of each team, the {policy.counts} submission counts.")
    show_line(f"Deadline: {policy.deadline or NONE}.")
    show_line(f"Submissions of a team that may count: {policy.most or 'any number'}.")


def parse_deadline(text: str) -> str:
    """A deadline as the ledger keeps it: ISO 8601 in UTC; empty for `none`.

    Raises:
        UsageError: It is not a time.
    """
    if text == NONE:
        return ""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or ":" not in text:
        raise UsageError(
            f"{text[:80]!r} is not a time with its zone: expected ISO 8601, such as 2026-12-01T23:59:59Z.",
            hint="End it with Z for UTC or with an offset such as +01:00; `none` takes a deadline back.",
        )
    return found.astimezone(UTC).isoformat(timespec="seconds")


def select_command(
    team: Team, digest: Digest, reason: Reason, split: AnySplit = None, store: Store = STORE
) -> None:
    """Select the submission of a team that counts

    It counts whatever the policy says, also if it is late. `cad1 reinstate TEAM DIGEST` takes that back.
    """
    from harness.ranking.store import select

    case = select(store, team, digest, reason=reason, split=split)
    log(f"{case.team}: submission {case.submission[:12]} counts: {reason}")


def withdraw_command(
    team: Team, digest: Digest, reason: Reason, split: AnySplit = None, store: Store = STORE
) -> None:
    """Withdraw a submission: it does not count

    Its scores are kept. `cad1 reinstate TEAM DIGEST` takes that back.
    """
    from harness.ranking.store import withdraw

    case = withdraw(store, team, digest, reason=reason, split=split)
    log(f"{case.team}: submission {case.submission[:12]} does not count: {reason}")


def rename_command(
    team: Annotated[str, typer.Argument(help="The name to correct, such as E0O1.", show_default=False)],
    new: Annotated[str, typer.Argument(help="The right name, such as E001.", show_default=False)],
    reason: Reason,
    digest: Annotated[
        str, typer.Option("--submission", help="Only this submission, by its SHA-256.", show_default=False)
    ] = "",
    store: Store = STORE,
) -> None:
    """Give the submissions of a team to another name

    For a mistyped team. To take it back, rename the other way round; `--submission` names one of several.
    """
    from harness.ranking.store import rename

    for case in rename(store, team, new, reason=reason, digest=digest):
        log(f"{case.team}: submission {case.submission[:12]} was {team}'s: {reason}")
