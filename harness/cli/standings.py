"""Commands about the contents of a store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.console import STORE, emit, log, show, show_line, stdout
from harness.cli.options import (
    AnySplit,
    AsJson,
    OptionalData,
    Output,
    RankingFormat,
    Reason,
    SplitOption,
    Store,
    Team,
)
from harness.protocol.errors import UsageError
from harness.protocol.teams import checked_team


def ranking_command(
    split: AnySplit = None,
    format_: Annotated[RankingFormat, typer.Option("--format", help="The output format.")] = "table",
    output: Output = None,
    notes: Annotated[
        bool,
        typer.Option("--notes", help="Print the notes on a terminal too: audits, who is not ranked and why."),
    ] = False,
    store: Store = STORE,
) -> None:
    """Show the ranking

    On a terminal, what does not fit on it is shown in the pager (PAGER), one table a screen.
    """
    from harness.cli.presentation import print_ranking

    print_ranking(store, split=split, format_=format_, output=output, notes=notes, paged=True)


def scores_command(
    team: Team,
    split: AnySplit = None,
    output: Output = None,
    store: Store = STORE,
) -> None:
    """Show the scores.csv of the submission that counts"""
    from harness.ranking.store import read_team_scores

    scores = read_team_scores(store, team, split=split)
    if scores.stored < scores.total:
        log(f"Incomplete: {scores.stored} of {scores.total} examples are scored.")
    emit(scores.text, output)


def add_scores_command(
    team: Team,
    scores: Annotated[
        list[Path],
        typer.Argument(help="The team's scores.csv, or all of its batch files.", show_default=False),
    ],
    data: OptionalData = None,
    split: SplitOption = "valid",
    store: Store = STORE,
) -> None:
    """Add a scores.csv that a team computed itself

    The ranking marks these scores as self-reported. The files that the challenge's recipe writes in batches
    (scores_1-8.csv, scores_2-8.csv, ...) are given at once.
    """
    from harness.ranking.selfreport import add_self_reported
    from validator import Challenge

    average = add_self_reported(
        checked_team(team), *scores, challenge=Challenge.load(data, split=split), store=store
    )
    log(f"{team}: self-reported average score {average:.4f}")


def status_command(
    team: Annotated[str | None, typer.Argument(help="Only this team, with every failed example.")] = None,
    split: AnySplit = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it again every two seconds, until Ctrl-C.")
    ] = False,
    store: Store = STORE,
) -> None:
    """Show submission status

    Lists each submission's state, progress and rate, and what failed with its cause.
    """
    from harness.cli.presentation import status_json, status_text, watch_statuses
    from harness.score.status import disqualified_teams, read_statuses

    def text() -> str:
        statuses = read_statuses(store, team=team, split=split)
        return status_text(statuses, full=team is not None, disqualified=disqualified_teams(store))

    if watch:
        if as_json or not stdout().is_terminal:
            raise UsageError(
                "--watch is for a terminal, and not for --json.", hint="Use `cad1 status --json`."
            )
        watch_statuses(text)
    statuses = read_statuses(store, team=team, split=split)
    if team is not None and not statuses:
        raise UsageError(
            f"{team} has no submission in {store}.", hint="`cad1 status` lists the teams that have."
        )
    if as_json:
        emit(status_json(statuses), None)
    else:
        show(text())


def disqualify_command(team: Team, reason: Reason, store: Store = STORE) -> None:
    """Remove a team from the ranking

    Its scores are kept, and the ranking shows the reason.
    """
    from harness.ranking.store import disqualify

    disqualify(store, team, reason=reason)
    log(f"{team} is no longer ranked: {reason}")


def reinstate_command(
    team: Team,
    reason: Reason,
    digest: Annotated[
        str,
        typer.Argument(
            help="Only the withdrawal or selection of this submission, by its SHA-256.", show_default=False
        ),
    ] = "",
    split: AnySplit = None,
    store: Store = STORE,
) -> None:
    """Take a disqualification or a withdrawal back

    With a submission's digest, its withdrawal or its selection is taken back.
    """
    from harness.ranking.store import reinstate, reinstate_submission

    if digest:
        case = reinstate_submission(store, team, digest, reason=reason, split=split)
        log(f"{team}: submission {case.submission[:12]} counts as the policy says: {reason}")
    else:
        reinstate(store, team, reason=reason)
        log(f"{team} is ranked again: {reason}")


def backup_command(
    file: Annotated[Path, typer.Argument(help="The file to make.", show_default=False)],
    store: Store = STORE,
) -> None:
    """Copy the ledger, also while a run is scoring

    Prints the copy's SHA-256 and name, as `sha256sum` does. An existing file is never overwritten.
    """
    from harness.provenance.backup import back_up

    made = back_up(store, file)
    sys.stdout.write(f"{made.sha256}  {file}\n")
    log(f"Head of its log: {made.head or 'none, it has no log'}")


def verify_command(
    bundle: Annotated[
        Path | None, typer.Argument(help="A bundle made by `cad1 export`; without it, the store is verified.")
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(help="The public key (PEM, ed25519) of the bundle's signer.", show_default=False),
    ] = None,
    head: Annotated[
        str, typer.Option(help="A published hash that the store's log must contain.", show_default=False)
    ] = "",
    as_json: AsJson = False,
    store: Store = STORE,
) -> None:
    """Verify a store or an exported bundle

    Recomputes the log's hash chain, every average and the ranking; exits with 1 on any difference.
    """
    if bundle is not None and head:
        raise UsageError(
            "--head can only be used with a store, not with a bundle: a bundle holds no log.",
            hint="`cad1 verify --head HASH` checks the store.",
        )
    if bundle is not None:
        problems, answers, content = _verify_bundle(bundle, key)
    elif key is not None:
        raise UsageError(
            "--key can only be used with a bundle.",
            hint="`cad1 verify BUNDLE --key KEY` checks its signature.",
        )
    else:
        problems, answers, content = _verify_store(store, head)
    if as_json:
        emit(content, None)
    else:
        for line in problems or answers:
            show_line(line)
    raise typer.Exit(1 if problems else 0)


def _verify_bundle(bundle: Path, key: Path | None) -> tuple[list[str], list[str], str]:
    """The problems of a bundle, the lines to print if there are none, and both as JSON."""
    from harness.cli.documents import bundle_json
    from harness.provenance.bundle import verify_bundle

    signature = f"signature matches {key}" if key else "signature not checked (no --key)"
    problems = verify_bundle(bundle, key=key)
    return problems, [f"{bundle} verified; {signature}."], bundle_json(bundle, problems, key=key)


def _verify_store(store: Path, head: str) -> tuple[list[str], list[str], str]:
    """The problems of a store, the lines to print if there are none, and both as JSON."""
    from harness.cli.documents import store_json
    from harness.provenance.verification import verify_store

    found = verify_store(store, head=head or None)
    counts = f"{found.examples} examples, {found.entries} entries in the log"
    changed = [found.since.sentence] if found.since else []
    verified = f"{store} verified: {counts}, head {found.head}"
    problems = [*found.problems, *changed] if found.problems else []
    return problems, [verified, *changed], store_json(store, found)


def export_command(
    team: Team,
    output: Annotated[Path, typer.Option(help="The folder for the bundle.", show_default=False)],
    split: AnySplit = None,
    sign: Annotated[
        Path | None,
        typer.Option(help="Sign with this private key (PEM, ed25519).", show_default=False),
    ] = None,
    store: Store = STORE,
) -> None:
    """Export a team's scores and their provenance as a bundle"""
    from harness import provenance

    path = provenance.export(store, checked_team(team), split=split, output=output, key=sign)
    sys.stdout.write(f"{path}\n")
