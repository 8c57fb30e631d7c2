"""Commands that score."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.cli.console import STORE, complain, err, out, say
from harness.cli.options import (
    DataRoot,
    Runtime,
    SplitOption,
    Store,
    Submission,
    TeamOption,
    Where,
    names,
    sandbox_of,
)
from harness.cli.progress import Reporter
from harness.cli.standings import ranking_command
from harness.protocol.errors import SubmissionError, UsageError
from harness.protocol.teams import checked_team
from harness.sandbox.stamp import temporary_folder
from validator import Challenge


def score_command(
    submission: Submission,
    data: DataRoot,
    team: TeamOption,
    split: SplitOption = "valid",
    sandbox: Annotated[
        Literal["docker", "bubblewrap", "process"],
        typer.Option(help="Where it is scored; nothing weaker is ever chosen."),
    ] = "docker",
    runtime: Runtime = "",
    engine: Annotated[Literal["fast", "pyclarity"], typer.Option(help="Which HAAQI scores.")] = "fast",
    workers: Annotated[int, typer.Option(min=1, help="Sandboxes at a time.")] = 1,
    audit: Annotated[
        int | None,
        typer.Option(
            min=0, help="Stems that pyclarity scores again (default: one of 200 examples, at least 3)."
        ),
    ] = None,
    songs: Annotated[str | None, typer.Option(help="Only these songs: A,B.", show_default=False)] = None,
    listeners: Annotated[
        str | None, typer.Option(help="Only these listeners: X,Y.", show_default=False)
    ] = None,
    store: Store = STORE,
) -> None:
    """Validates, scores in the sandbox, stores, and updates the ranking; run again, it goes on."""
    from harness.score.conductor import Request, score

    challenge = Challenge.load(data, split=split)
    try:
        selected = challenge.select(songs=names(songs), listeners=names(listeners))
    except ValueError as error:
        raise UsageError(str(error)) from error
    request = Request(
        submission=submission,
        challenge=challenge,
        selected=challenge if selected == challenge else selected,
        team=checked_team(team),
        store=store,
        engine=engine,
        workers=workers,
        audits=audit,
    )
    with Reporter("Scoring", err) as reporter:
        outcome = score(request, sandbox_of(sandbox, runtime=runtime), progress=reporter, say=say)
    if not outcome.report.valid:
        sys.stdout.write(outcome.report.to_text(color=out.is_terminal and "NO_COLOR" not in os.environ))
        raise typer.Exit(1)
    for finding in outcome.findings:
        say(f"{finding.path}: {finding.message} ({finding.code})")
    say(f"{outcome.scored} examples scored now, {outcome.stored} of {outcome.total} stored.")
    if outcome.audits:
        greatest = max(audit.difference for audit in outcome.audits)
        say(f"{len(outcome.audits)} stems scored again by pyclarity: greatest difference {greatest:.1e}.")
    for fault in outcome.faults[1:]:
        complain(fault, store)
    for fault in outcome.faults[:1]:
        raise fault
    if outcome.findings:
        raise SubmissionError(
            f"{len(outcome.findings)} files of {submission.name} can't be scored.",
            hint="`cad1 validate` names every one of them; what could be scored is stored.",
        )
    if outcome.average is None:
        say(f"{team} is not ranked until every example is scored.")
    else:
        say(f"{team}: average score {outcome.average:.4f}")
        ranking_command(split=split, store=store)


def regress_command(
    data: Annotated[
        Path | None,
        typer.Option(
            help="The real MUSDB18-HQ: also runs demucs and openunmix against their published figures "
            "(days of CPU time).",
            show_default=False,
        ),
    ] = None,
    sandbox: Where = "strongest",
    workers: Annotated[int, typer.Option(min=1, help="Sandboxes at a time.")] = 2,
    keep: Annotated[
        Path | None,
        typer.Option(
            help="With --data: keep that part's submissions and scores in this folder, and go on from there.",
            show_default=False,
        ),
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Store what pyclarity scores now as the baselines' scores.")
    ] = False,
) -> None:
    """Scores the baselines and compares them with their stored scores (exit 1 if any value moved)."""
    from harness.baselines import regression

    if (update or data is None) and keep is not None:
        raise UsageError("--keep goes with --data, and not with --update.")
    if update and data is not None:
        raise UsageError("--update stores the demo's scores: it does not go with --data.")
    chosen = sandbox_of(sandbox)
    with (
        temporary_folder("regress") as temporary,
        Reporter("Scoring", err) as reporter,
    ):
        work = temporary
        if update:
            sys.stdout.write(f"{regression.update(work, chosen, workers=workers, progress=reporter)}\n")
            return
        found = regression.regress(work, chosen, workers=workers, say=say, progress=reporter)
        for one in found:
            sys.stdout.write("\n".join([*one.lines(), ""]))
        sys.stdout.flush()
        steady = all(one.steady for one in found)
        if data is not None:
            published = regression.published(
                data, keep or work / "real", chosen, workers=workers, say=say, progress=reporter
            )
            for name, differences in published.items():
                sys.stdout.write("\n".join([f"{name}, published figures:", *map(str, differences), ""]))
                steady = steady and all(one.expected for one in differences)
    raise typer.Exit(0 if steady else 1)


def demo_command(
    keep: Annotated[
        Path | None, typer.Option(help="Keep songs, zips and scores in this folder.", show_default=False)
    ] = None,
    sandbox: Where = "strongest",
    engine: Annotated[Literal["fast", "pyclarity"], typer.Option(help="Which HAAQI scores.")] = "fast",
    workers: Annotated[int, typer.Option(min=1, help="Sandboxes at a time.")] = 2,
) -> None:
    """The whole line on a small synthetic challenge: three submissions, from songs to ranking."""
    from harness.baselines import demo

    with temporary_folder("demo") as temporary, Reporter("Scoring", err) as reporter:
        folder = keep or temporary
        demo.run(
            folder,
            sandbox=sandbox_of(sandbox),
            engine=engine,
            workers=workers,
            say=say,
            progress=reporter,
        )
        ranking_command(split=None, format_="table", output=None, store=folder / "store")
