"""The command `cad1`: parses, calls, prints; decides nothing.

Standard output carries the answer, standard error the progress and the log.
"""

from __future__ import annotations

import csv
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from harness.console import STORE, complain, emit, err, out, run, say
from harness.errors import SetupError, SubmissionError, UsageError
from harness.progress import Reporter
from harness.teams import checked_team
from validator import Challenge, validate

if TYPE_CHECKING:
    from harness.sandbox.base import Sandbox

Split = Literal["valid", "test"]

app = typer.Typer(
    name="cad1",
    help="Validates, scores and ranks submissions to the First Cadenza Challenge (CAD1), Task 1.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
image_app = typer.Typer(help="The evaluator image.", no_args_is_help=True)
app.add_typer(image_app, name="image")

Submission = Annotated[Path, typer.Argument(help="A zip or a folder.", show_default=False)]
DataRoot = Annotated[Path, typer.Option("--data", help="The challenge's data root.", show_default=False)]
OptionalData = Annotated[
    Path | None,
    typer.Option(
        "--data", help="The challenge's data root; the official roster without it.", show_default=False
    ),
]
SplitOption = Annotated[Split, typer.Option(help="Which split of the challenge.")]
AnySplit = Annotated[Split | None, typer.Option(help="Only this split.", show_default=False)]
Store = Annotated[Path, typer.Option(help="The folder of the ledger and the ranking.")]
Output = Annotated[
    Path | None, typer.Option(help="Write there instead of standard output.", show_default=False)
]
Where = Annotated[Literal["strongest", "docker", "process"], typer.Option(help="Where it is scored.")]
TeamOption = Annotated[str, typer.Option(help="The team, such as E001.", show_default=False)]


def names(text: str | None) -> list[str] | None:
    """`A,B` as names; a name with a comma may stand in double quotes."""
    return (
        None if text is None else [name.strip() for name in next(csv.reader([text], skipinitialspace=True))]
    )


def sandbox_of(choice: str) -> Sandbox:
    """The sandbox that a user has chosen."""
    from harness.demo import strongest_sandbox
    from harness.sandbox.docker import DockerSandbox
    from harness.sandbox.process import ProcessSandbox

    if choice == "docker":
        return DockerSandbox()
    return ProcessSandbox() if choice == "process" else strongest_sandbox(say)


@app.command("validate")
def validate_command(
    submission: Submission,
    data: OptionalData = None,
    split: SplitOption = "valid",
    quick: Annotated[bool, typer.Option("--quick", help="Read headers only; nothing is decoded.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="Every place of every finding.")] = False,
    output: Output = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that decode.")] = os.cpu_count() or 1,
) -> None:
    """Reports every problem of a submission at once (exit 1 if it is invalid)."""
    challenge = Challenge.load(data, split=split)
    with Reporter("Checking", err) as reporter:
        report = validate(submission, challenge, quick=quick, workers=workers, progress=reporter)
    color = output is None and out.is_terminal and "NO_COLOR" not in os.environ
    emit(report.to_json() if as_json else report.to_text(color=color, all_=all_), output)
    raise typer.Exit(0 if report.valid else 1)


@app.command("score")
def score_command(
    submission: Submission,
    data: DataRoot,
    team: TeamOption,
    split: SplitOption = "valid",
    sandbox: Annotated[
        Literal["docker", "process"], typer.Option(help="Where it is scored; nothing weaker is ever chosen.")
    ] = "docker",
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
    from harness.score import Request, score

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
        outcome = score(request, sandbox_of(sandbox), progress=reporter)
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


@app.command("ranking")
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
    from harness.ranking.ledger import Ledger
    from harness.ranking.page import RENDERERS, terminal
    from harness.ranking.table import tables

    with Ledger(store, read_only=True) as ledger:
        found = tables(ledger, split=split)
    emit(terminal(found, out) if format_ == "table" else RENDERERS[format_](found), output)


@app.command("scores")
def scores_command(
    team: Annotated[str, typer.Argument(help="The team.", show_default=False)],
    split: AnySplit = None,
    output: Output = None,
    store: Store = STORE,
) -> None:
    """Prints a team's scores.csv, of its latest submission."""
    from harness.ranking.ledger import Ledger
    from harness.ranking.scores import write_scores

    with Ledger(store, read_only=True) as ledger:
        rosters = ledger.rosters()
        entries = [
            entry
            for entry in ledger.entries()
            if entry.team == team and split in (None, rosters[entry.key.challenge].split)
        ]
        if not entries:
            raise UsageError(
                f"{team} has no scores in {store}{f' for split {split}' if split else ''}.",
                hint="`cad1 ranking` names the teams that have.",
            )
        entry = entries[-1]
        examples = ledger.examples(entry.key)
    roster = rosters[entry.key.challenge]
    if len(examples) < len(roster.examples):
        say(f"Not complete: {len(examples)} of {len(roster.examples)} examples are scored.")
    emit(write_scores(roster, examples), output)


@app.command("add-scores")
def add_scores_command(
    team: Annotated[str, typer.Argument(help="The team.", show_default=False)],
    scores: Annotated[Path, typer.Argument(help="Its scores.csv.", show_default=False)],
    data: OptionalData = None,
    split: SplitOption = "valid",
    store: Store = STORE,
) -> None:
    """Enters a scores.csv that a team computed itself, marked as self-reported."""
    from harness.ranking.selfreport import add_self_reported
    from harness.score import roster_of

    average = add_self_reported(
        checked_team(team), scores, roster=roster_of(Challenge.load(data, split=split)), store=store
    )
    say(f"{team}: self-reported average score {average:.4f}")


@app.command("enhance")
def enhance_command(
    data: DataRoot,
    separator: Annotated[
        str,
        typer.Option(
            help="demucs, openunmix, oracle, mixture, or your own package.module:name.", show_default=False
        ),
    ],
    output: Annotated[Path, typer.Option(help="The folder for submission_TEAM.zip.", show_default=False)],
    team: TeamOption,
    split: SplitOption = "valid",
    workers: Annotated[int, typer.Option(min=1, help="Threads that amplify and encode.")] = os.cpu_count()
    or 1,
    gain: Annotated[
        Literal["nalr", "match"],
        typer.Option(
            help="NAL-R as the recipe has it, or scaled to the level the scorer hears the reference at."
        ),
    ] = "nalr",
    compress: Annotated[
        bool, typer.Option("--compress", help="The recipe's compressor after NAL-R.")
    ] = False,
    weights: Annotated[
        Path | None, typer.Option(help="A model's weights in a file.", show_default=False)
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Where a model runs: cpu, cuda.", show_default=False)
    ] = None,
) -> None:
    """Makes a complete submission out of songs: separates, amplifies for each listener, packs."""
    from harness.enhance import enhance

    challenge = Challenge.load(data, split=split)
    with Reporter("Enhancing", err) as reporter:
        path = enhance(
            challenge,
            separator=separator,
            output=output,
            team=checked_team(team),
            workers=workers,
            gain=gain,
            compress=compress,
            weights=weights,
            device=device,
            progress=reporter,
        )
    sys.stdout.write(f"{path}\n")


@image_app.command("build")
def image_build_command(
    base_image: Annotated[
        str, typer.Option(help="Another base, where no image registry is reached.", show_default=False)
    ] = "",
) -> None:
    """Builds the evaluator image, without a network during the build."""
    from harness.sandbox.docker import connect
    from harness.sandbox.image import IMAGE, build

    identity = build(connect(), base=base_image, log=say)
    sys.stdout.write(f"{IMAGE} {identity}\n")


@image_app.command("verify")
def image_verify_command() -> None:
    """Holds the image to the lock: its label here, and every file and version inside the container."""
    from harness.sandbox.docker import DockerSandbox
    from harness.sandbox.verify import verify

    environment, hello = verify(DockerSandbox())
    sys.stdout.write(f"{environment.image} matches scorer.lock {environment.scorer}\n")
    for package, version in sorted(hello.versions.items()):
        say(f"  {package} {version}")


@app.command("doctor")
def doctor_command(store: Store = STORE) -> None:
    """Says what this machine can do, and how to mend what it cannot (exit 3 if it can't score at all)."""
    from harness.doctor import can_score, examine

    checks = examine(store)
    for check in checks:
        mark = "[green]✓[/]" if check.good else "[red]✗[/]"
        out.print(mark, f"{check.name}:", style=None, end=" ")
        out.print(check.found, markup=False, highlight=False, soft_wrap=True)
        if check.hint:
            out.print(f"    {check.hint}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(0 if can_score(checks) else SetupError.exit_code)


@app.command("regress")
def regress_command(
    data: Annotated[
        Path | None,
        typer.Option(
            help="The real MUSDB18-HQ: also runs demucs and openunmix against their published figures."
        ),
    ] = None,
    sandbox: Where = "strongest",
    workers: Annotated[int, typer.Option(min=1, help="Sandboxes at a time.")] = 2,
    update: Annotated[
        bool, typer.Option("--update", help="Store what pyclarity scores now as the baselines' scores.")
    ] = False,
) -> None:
    """Scores the baselines and compares them with their stored scores (exit 1 if any value moved)."""
    from harness import baselines

    chosen = sandbox_of(sandbox)
    with (
        tempfile.TemporaryDirectory(prefix="cad1-regress-") as temporary,
        Reporter("Scoring", err) as reporter,
    ):
        work = Path(temporary)
        if update:
            sys.stdout.write(f"{baselines.update(work, chosen, workers=workers, progress=reporter)}\n")
            return
        found = baselines.regress(work, chosen, workers=workers, say=say, progress=reporter)
        published = (
            baselines.published(data, work / "real", chosen, workers=workers, progress=reporter)
            if data
            else {}
        )
    for one in found:
        sys.stdout.write("\n".join([f"{one.name}, engine {one.engine}:", *one.comparison.lines(), ""]))
    for name, differences in published.items():
        sys.stdout.write("\n".join([f"{name}, published figures:", *map(str, differences), ""]))
    raise typer.Exit(0 if all(one.comparison.steady for one in found) else 1)


@app.command("demo")
def demo_command(
    keep: Annotated[
        Path | None, typer.Option(help="Keep songs, zips and scores in this folder.", show_default=False)
    ] = None,
    sandbox: Where = "strongest",
    engine: Annotated[Literal["fast", "pyclarity"], typer.Option(help="Which HAAQI scores.")] = "fast",
    workers: Annotated[int, typer.Option(min=1, help="Sandboxes at a time.")] = 2,
) -> None:
    """The whole line on a small synthetic challenge: three submissions, from songs to ranking."""
    from harness import demo

    with tempfile.TemporaryDirectory(prefix="cad1-demo-") as temporary, Reporter("Scoring", err) as reporter:
        folder = keep or Path(temporary)
        demo.run(
            folder,
            sandbox=sandbox_of(sandbox),
            engine=engine,
            workers=workers,
            say=say,
            progress=reporter,
        )
        ranking_command(split=None, format_="table", output=None, store=folder / "store")


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> NoReturn:
    """The entry point of `cad1`."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(run(lambda: app(standalone_mode=False)))
