"""Commands that score."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.console import STORE, emit, log, remember_store, show, stderr, to_harness_error
from harness.cli.options import (
    AnySandbox,
    AsJson,
    Audits,
    DataRoot,
    EngineOption,
    Image,
    Keep,
    Listeners,
    Notify,
    OptionalTeam,
    Runtime,
    ScoringSandbox,
    Songs,
    SplitOption,
    Store,
    Submissions,
    Workers,
)
from harness.protocol.errors import UsageError


def score_command(
    submissions: Submissions,
    data: DataRoot,
    team: OptionalTeam = None,
    split: SplitOption = "valid",
    sandbox: ScoringSandbox = "docker",
    image: Image = "",
    runtime: Runtime = "",
    engine: EngineOption = "fast",
    workers: Workers = 1,
    audit: Audits = None,
    songs: Songs = None,
    listeners: Listeners = None,
    keep: Keep = None,
    notify: Notify = None,
    as_json: AsJson = False,
    store: Store = STORE,
) -> None:
    """Validate and score submissions, and update the ranking

    Several submissions, or a folder of them, are all validated first, then scored one after the other; one that
    fails stops no other. Run the same command again after an interruption to continue.
    """
    from harness.cli.documents import document, result_document, score_document
    from harness.cli.presentation import print_outcome, print_ranking, raise_failure
    from harness.cli.progress import ProgressBar
    from harness.cli.queues import notifying, print_results, report_others, report_result
    from harness.sandbox.choice import choose_sandbox
    from harness.score.arrivals import arrivals_of
    from harness.score.conductor import score
    from harness.score.queue import score_all, worst_exit_code
    from harness.score.request import Request
    from validator import Challenge

    arrivals, others = arrivals_of(submissions, team=team)
    unnamed = report_others(others)
    challenge = Challenge.load(data, split=split)
    try:
        selected = challenge.select(songs=songs or None, listeners=listeners or None)
    except ValueError as error:
        raise UsageError(str(error)) from error
    requests = [
        Request(
            submission=arrival.path,
            challenge=challenge,
            selected=challenge if selected == challenge else selected,
            team=arrival.team,
            store=store,
            engine=engine,
            workers=workers,
            audits=audit,
            keep=keep,
        )
        for arrival in arrivals
    ]
    with ProgressBar("Scoring", stderr()) as progress, notifying(notify) as on_change:
        chosen = choose_sandbox(sandbox, runtime=runtime, image=image, log=log)
        if len(requests) > 1:
            results = score_all(
                requests,
                chosen,
                explain=to_harness_error,
                progress=progress,
                log=log,
                on_change=on_change,
                on_result=report_result,
            )
        else:
            outcome = score(requests[0], chosen, progress=progress, log=log, on_change=on_change)
    if len(requests) > 1:
        if as_json:
            emit(document(submissions=[result_document(result) for result in results]), None)
            raise typer.Exit(worst_exit_code(results))
        print_results(results, unnamed=unnamed)
        if any(result.average is not None for result in results):
            print_ranking(store, split=split)
        raise typer.Exit(worst_exit_code(results))
    (request,) = requests
    if as_json:
        emit(document(submissions=[score_document(outcome, team=request.team)]), None)
        raise_failure(outcome, submission=request.submission, store=store)
        return
    print_outcome(outcome, submission=request.submission, team=request.team, store=store)
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
    junit: Annotated[
        Path | None,
        typer.Option(help="Write the result to this file as JUnit XML, too.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the baselines' scores with their stored scores

    Makes the baselines' submissions, scores them, and exits with 1 if any value changed.
    """
    from harness.baselines import regression
    from harness.cli.documents import regression_json
    from harness.cli.installation import install_hint
    from harness.cli.progress import ProgressBar
    from harness.sandbox.choice import choose_sandbox
    from harness.sandbox.stamp import temporary_folder
    from validator.report.junit import junit_xml

    if (update or data is None) and keep is not None:
        raise UsageError("--keep can only be used with --data, and not with --update.")
    if update and data is not None:
        raise UsageError("--update stores the demo's scores; it cannot be used with --data.")
    if update and (junit is not None or as_json):
        raise UsageError("--update compares nothing; it cannot be used with --junit or --json.")
    chosen = choose_sandbox(sandbox, image=image, log=log)
    with temporary_folder("regress") as work, ProgressBar("Baselines", stderr()) as progress:
        if update:
            sys.stdout.write(f"{regression.update(work, chosen, workers=workers, progress=progress)}\n")
            return
        results = regression.regress(work, chosen, workers=workers, log=log, progress=progress)
        published = {}
        if not as_json:
            show("".join("\n".join([*result.lines(), ""]) for result in results))
            sys.stdout.flush()
        if any(result.skipped for result in results):
            log(install_hint("baselines"))
        if data is not None:
            published = regression.regress_published(
                data, keep or work / "real", chosen, workers=workers, log=log, progress=progress
            )
            if not as_json:
                for name, differences in published.items():
                    show("\n".join([f"{name}, published scores:", *map(str, differences), ""]))
    comparison = regression.Comparisons(tuple(results), published)
    if as_json:
        emit(regression_json(comparison), None)
    if junit is not None:
        emit(junit_xml("cad1 regress", comparison.cases()), junit)
    raise typer.Exit(0 if comparison.steady else 1)


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
