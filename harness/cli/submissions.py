"""Commands about a submission before it is sent."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.cli.console import emit, err, out
from harness.cli.options import DataRoot, OptionalData, Output, SplitOption, Submission, TeamOption
from harness.cli.progress import Reporter
from harness.protocol.teams import checked_team
from validator import Challenge, validate


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
            help="NAL-R as the recipe has it, or scaled to the level the scorer hears the reference at "
            "(the mixture, where the data root has no stems)."
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
    from harness.enhance import enhance, needs_stems

    challenge = Challenge.load(data, split=split, stems=needs_stems(separator))
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
