"""Commands that score what arrives, and again what was kept."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from harness.cli.console import STORE, log, stderr, to_harness_error
from harness.cli.options import (
    Audits,
    DataRoot,
    EngineOption,
    Image,
    Keep,
    Notify,
    Runtime,
    ScoringSandbox,
    SplitOption,
    Store,
    Workers,
)
from harness.protocol.errors import SetupError, UsageError


class _Terminated(KeyboardInterrupt):
    """A service manager ends the command; what ends a run in order on Ctrl-C does so here, too."""


def _terminate(*_: object) -> NoReturn:
    raise _Terminated


def watch_command(
    inbox: Annotated[Path, typer.Argument(help="The folder that submissions arrive in.", show_default=False)],
    data: DataRoot,
    split: SplitOption = "valid",
    sandbox: ScoringSandbox = "docker",
    image: Image = "",
    runtime: Runtime = "",
    engine: EngineOption = "fast",
    workers: Workers = 1,
    audit: Audits = None,
    rest: Annotated[
        float, typer.Option(min=0.1, help="Seconds without a change after which a submission is complete.")
    ] = 5.0,
    reports: Annotated[
        Path | None,
        typer.Option(
            help="The folder of the teams' reports (default: reports in the store).", show_default=False
        ),
    ] = None,
    keep: Keep = None,
    notify: Notify = None,
    store: Store = STORE,
) -> None:
    """Score what arrives in a folder, until ended

    Each submission_NAME.zip is scored once it is complete, and a report for its team is written. Ends on SIGTERM
    and Ctrl-C after storing what it has; started again, it continues.
    """
    from harness.cli.progress import BusyBar
    from harness.cli.queues import notifying, report_others, report_result
    from harness.sandbox.choice import choose_sandbox
    from harness.score.arrivals import Arrival
    from harness.score.inbox import Inbox
    from harness.score.queue import Queue
    from harness.score.request import Request
    from harness.score.teamreports import FOLDER
    from harness.score.watching import Watcher
    from validator import Challenge
    from validator.challenge.manifest import archive_limits

    if not inbox.is_dir():
        raise UsageError(f"There is no folder {inbox}.", hint="Make it, or check the path.")
    challenge = Challenge.load(data, split=split)

    def make_request(arrival: Arrival) -> Request:
        return Request(
            submission=arrival.path,
            challenge=challenge,
            selected=challenge,
            team=arrival.team,
            store=store,
            engine=engine,
            workers=workers,
            audits=audit,
            keep=keep,
        )

    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        with BusyBar("Scoring", stderr()) as progress, notifying(notify) as on_change:
            chosen = choose_sandbox(sandbox, runtime=runtime, image=image, log=log)
            watcher = Watcher(
                Inbox(inbox, rest=rest, limits=archive_limits(challenge)),
                Queue(chosen, explain=to_harness_error, progress=progress, log=log, on_change=on_change),
                make_request=make_request,
                reports=reports or store / FOLDER,
                log=log,
                on_result=report_result,
                on_others=report_others,
            )
            log(f"Watching {inbox}.")
            watcher.run(on_idle=progress.rest)
    except _Terminated:
        log("Ended. What was stored is kept; started again, the same command continues.")
    finally:
        signal.signal(signal.SIGTERM, before)


def rescore_command(
    data: DataRoot,
    keep: Annotated[
        Path, typer.Option(help="The folder in which `--keep` has kept the submissions.", show_default=False)
    ],
    split: SplitOption = "valid",
    sandbox: ScoringSandbox = "docker",
    image: Image = "",
    runtime: Runtime = "",
    engine: EngineOption = "fast",
    workers: Workers = 1,
    audit: Audits = None,
    notify: Notify = None,
    store: Store = STORE,
) -> None:
    """Score what counts again, after a new lock

    Scores of two locks share no ranking. Each team's submission that counts is scored again from its kept copy.
    Run the same command again after an interruption to continue.
    """
    from harness.cli.presentation import print_ranking
    from harness.cli.progress import ProgressBar
    from harness.cli.queues import notifying, print_results, report_result
    from harness.sandbox.choice import choose_sandbox
    from harness.score.queue import score_all, worst_exit_code
    from harness.score.request import Request
    from harness.score.rescoring import counted, find_kept
    from validator import Challenge

    challenge = Challenge.load(data, split=split)
    submissions = counted(store, challenge)
    if not submissions:
        log(f"Nothing in {store} is ranked for split {split}, so nothing is scored again.")
        return
    present, missing = find_kept(submissions, keep, challenge)
    for one in missing:
        log(f"{one.team}: {one.name} is not in {keep}, or damaged there: {one.sha256}")
    requests = [
        Request(
            submission=path,
            challenge=challenge,
            selected=challenge,
            team=one.team,
            store=store,
            engine=engine,
            workers=workers,
            audits=audit,
            name=one.name,
        )
        for one, path in present
    ]
    with ProgressBar("Scoring", stderr()) as progress, notifying(notify) as on_change:
        chosen = choose_sandbox(sandbox, runtime=runtime, image=image, log=log)
        results = score_all(
            requests,
            chosen,
            explain=to_harness_error,
            progress=progress,
            log=log,
            on_change=on_change,
            on_result=report_result,
        )
    print_results(results)
    print_ranking(store, split=split)
    if missing:
        raise SetupError(
            f"Not scored again, since no intact copy is in {keep}: {', '.join(one.team for one in missing)}.",
            hint="Put the zips there, each named by its SHA-256 as listed above, and run the same command again.",
        )
    raise typer.Exit(worst_exit_code(results))
