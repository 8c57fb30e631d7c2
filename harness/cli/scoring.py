"""Commands that score."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.cli.console import STORE, log, remember_store, show, stderr
from harness.cli.options import (
    AnySandbox,
    DataRoot,
    EngineOption,
    Image,
    Listeners,
    Runtime,
    Songs,
    SplitOption,
    Store,
    Submission,
    TeamOption,
    Workers,
)
from harness.protocol.errors import UsageError
from harness.protocol.teams import checked_team


def score_command(
    submission: Submission,
    data: DataRoot,
    team: TeamOption,
    split: SplitOption = "valid",
    sandbox: Annotated[
        Literal["docker", "bubblewrap", "process"],
        typer.Option(help="The sandbox to score in; a weaker one is never used instead."),
    ] = "docker",
    image: Image = "",
    runtime: Runtime = "",
    engine: EngineOption = "fast",
    workers: Workers = 1,
    audit: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Number of stems to spot-check with pyclarity (default: one per 200 examples, at least 3).",
        ),
    ] = None,
    songs: Songs = None,
    listeners: Listeners = None,
    store: Store = STORE,
) -> None:
    """Validate and score a submission, and update the ranking

    Run the same command again after an interruption to continue.
    """
    from harness.cli.presentation import print_outcome, print_ranking
    from harness.cli.progress import ProgressBar
    from harness.sandbox.choice import choose_sandbox
    from harness.score.conductor import score
    from harness.score.request import Request
    from validator import Challenge

    challenge = Challenge.load(data, split=split)
    try:
        selected = challenge.select(songs=songs or None, listeners=listeners or None)
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
    with ProgressBar("Scoring", stderr()) as progress:
        chosen = choose_sandbox(sandbox, runtime=runtime, image=image, log=log)
        outcome = score(request, chosen, progress=progress, log=log)
    print_outcome(outcome, submission=submission, team=team, store=store)
    if outcome.average is not None:
        print_ranking(store, split=split)


def regress_command(
    data: Annotated[
        Path | None,
        typer.Option(
            help="The data root with the real MUSDB18-HQ: also run demucs and openunmix, and compare with their "
            "published scores (takes days of CPU time).",
            show_default=False,
        ),
    ] = None,
    sandbox: AnySandbox = "strongest",
    image: Image = "",
    workers: Workers = 2,
    keep: Annotated[
        Path | None,
        typer.Option(
            help="With --data: keep its submissions and scores in this folder, and continue from there.",
            show_default=False,
        ),
    ] = None,
    update: Annotated[
        bool,
        typer.Option("--update", help="Score with pyclarity and store the result for later comparisons."),
    ] = False,
) -> None:
    """Compare the baselines' scores with their stored scores

    Makes the baselines' submissions, scores them, and exits with 1 if any value changed.
    """
    from harness.baselines import regression
    from harness.cli.installation import install_hint
    from harness.cli.progress import ProgressBar
    from harness.sandbox.choice import choose_sandbox
    from harness.sandbox.stamp import temporary_folder

    if (update or data is None) and keep is not None:
        raise UsageError("--keep can only be used with --data, and not with --update.")
    if update and data is not None:
        raise UsageError("--update stores the demo's scores; it cannot be used with --data.")
    chosen = choose_sandbox(sandbox, image=image, log=log)
    with temporary_folder("regress") as work, ProgressBar("Baselines", stderr()) as progress:
        if update:
            sys.stdout.write(f"{regression.update(work, chosen, workers=workers, progress=progress)}\n")
            return
        results = regression.regress(work, chosen, workers=workers, log=log, progress=progress)
        for result in results:
            show("\n".join([*result.lines(), ""]))
        sys.stdout.flush()
        if any(result.skipped for result in results):
            log(install_hint("baselines"))
        steady = all(result.steady for result in results)
        if data is not None:
            published = regression.regress_published(
                data, keep or work / "real", chosen, workers=workers, log=log, progress=progress
            )
            for name, differences in published.items():
                show("\n".join([f"{name}, published scores:", *map(str, differences), ""]))
                steady = steady and all(one.expected for one in differences)
    raise typer.Exit(0 if steady else 1)


def demo_command(
    keep: Annotated[
        Path | None, typer.Option(help="Keep songs, zips and scores in this folder.", show_default=False)
    ] = None,
    sandbox: AnySandbox = "strongest",
    image: Image = "",
    engine: EngineOption = "fast",
    workers: Workers = 2,
) -> None:
    """Run the full pipeline on a synthetic challenge

    Makes songs, listeners and three submissions; validates, scores and ranks them.
    """
    from harness.baselines import demo
    from harness.cli.presentation import print_ranking
    from harness.cli.progress import ProgressBar
    from harness.sandbox.choice import choose_sandbox
    from harness.sandbox.stamp import temporary_folder

    with temporary_folder("demo") as temporary:
        if keep is not None:
            remember_store(keep / "store")
        with ProgressBar("Scoring", stderr()) as progress:
            store = demo.run(
                keep or temporary,
                sandbox=choose_sandbox(sandbox, image=image, log=log),
                engine=engine,
                workers=workers,
                log=log,
                progress=progress,
            )
        print_ranking(store)
