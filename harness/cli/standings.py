"""Commands about what the store holds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.cli.console import STORE, emit, out, say
from harness.cli.options import AnySplit, OptionalData, Output, SplitOption, Store
from harness.protocol.errors import UsageError
from harness.protocol.teams import checked_team
from validator import Challenge

Team = Annotated[str, typer.Argument(help="The team.", show_default=False)]


def ranking_command(
    split: AnySplit = None,
    format_: Annotated[
        Literal["table", "markdown", "csv", "json", "html"],
        typer.Option("--format", help="How it is written."),
    ] = "table",
    output: Output = None,
    store: Store = STORE,
) -> None:
    """Prints the ranking table."""
    from harness.ranking.render import RENDERERS, terminal
    from harness.ranking.store import read_tables

    found = read_tables(store, split=split)
    emit(terminal(found, out) if format_ == "table" else RENDERERS[format_](found), output)


def scores_command(
    team: Team,
    split: AnySplit = None,
    output: Output = None,
    store: Store = STORE,
) -> None:
    """Prints a team's scores.csv, of its latest submission."""
    from harness.ranking.store import read_team_scores

    scores = read_team_scores(store, team, split=split)
    if scores.stored < scores.total:
        say(f"Not complete: {scores.stored} of {scores.total} examples are scored.")
    emit(scores.text, output)


def add_scores_command(
    team: Team,
    scores: Annotated[Path, typer.Argument(help="Its scores.csv.", show_default=False)],
    data: OptionalData = None,
    split: SplitOption = "valid",
    store: Store = STORE,
) -> None:
    """Enters a scores.csv that a team computed itself, marked as self-reported."""
    from harness.ranking.selfreport import add_self_reported

    average = add_self_reported(
        checked_team(team), scores, challenge=Challenge.load(data, split=split), store=store
    )
    say(f"{team}: self-reported average score {average:.4f}")


def status_command(
    team: Annotated[str | None, typer.Argument(help="Only this team, with every failure.")] = None,
    split: AnySplit = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    store: Store = STORE,
) -> None:
    """Says where every submission is: its state, how far, how fast, what failed and whose fault it is."""
    from harness.ledger.ledger import Ledger
    from harness.score import status

    with Ledger(store, read_only=True) as ledger:
        found = status.look(ledger, team=team, split=split)
    if team is not None and not found:
        raise UsageError(
            f"{team} has sent nothing to {store}.", hint="`cad1 status` names the teams that have."
        )
    sys.stdout.write(status.as_json(found) if as_json else status.as_text(found, out, full=team is not None))


def disqualify_command(
    team: Team,
    why: Annotated[str, typer.Option(help="The reason; it stands in the ranking.", show_default=False)],
    revoke: Annotated[bool, typer.Option("--revoke", help="Takes a disqualification back.")] = False,
    store: Store = STORE,
) -> None:
    """Takes a team out of the ranking; its scores, and the reason, are kept."""
    from harness.ranking.store import disqualify, reinstate

    (reinstate if revoke else disqualify)(store, team, reason=why)
    say(f"{team} is {'ranked again' if revoke else 'no longer ranked'}: {why}")


def verify_command(
    bundle: Annotated[
        Path | None, typer.Argument(help="A bundle of `cad1 export`; the store without it.")
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(help="The public key (PEM, ed25519) that has signed it.", show_default=False),
    ] = None,
    head: Annotated[
        str, typer.Option(help="A hash that the log's chain must hold, as published.", show_default=False)
    ] = "",
    store: Store = STORE,
) -> None:
    """Recomputes the log's chain, every average and the ranking, or checks a bundle (exit 1 if it does not fit)."""
    if bundle is not None:
        from harness import provenance

        problems = provenance.verify_bundle(bundle, key=key)
        signature = f"signed by the holder of {key}" if key else "signature not checked (no --key)"
        answer = f"{bundle} verified; {signature}."
    else:
        from harness.provenance import verify_store

        if key is not None:
            raise UsageError("--key goes with a bundle.", hint="`cad1 verify BUNDLE --key KEY` checks one.")
        found = verify_store(store, head=head or None)
        problems = found.problems
        answer = (
            f"{store} verified: {found.examples} examples, {found.entries} entries in the log, "
            f"head {found.head}"
        )
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    if not problems:
        sys.stdout.write(f"{answer}\n")
    raise typer.Exit(1 if problems else 0)


def export_command(
    team: Team,
    output: Annotated[Path, typer.Option(help="The folder for the bundle.", show_default=False)],
    split: AnySplit = None,
    sign: Annotated[
        Path | None, typer.Option(help="A private key (PEM, ed25519) to sign with.", show_default=False)
    ] = None,
    store: Store = STORE,
) -> None:
    """Writes a team's scores with their provenance as one bundle, signed on request."""
    from harness import provenance

    path = provenance.export(store, checked_team(team), split=split, output=output, key=sign)
    sys.stdout.write(f"{path}\n")
