"""Commands about a submission before it is sent."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli.console import emit, log, stderr, use_color
from harness.cli.options import (
    DataRoot,
    OptionalData,
    Output,
    ReportFormat,
    SplitOption,
    Submission,
    TeamOption,
)
from harness.protocol.errors import UsageError
from harness.protocol.teams import checked_team

if TYPE_CHECKING:
    from validator.formats.flac import DecoderFactory


def validate_command(
    submission: Submission,
    data: OptionalData = None,
    split: SplitOption = "valid",
    quick: Annotated[
        bool, typer.Option("--quick", help="Read headers only, without decoding audio.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail, too.")] = False,
    format_: Annotated[
        ReportFormat, typer.Option("--format", help="The format of the report.", show_default=False)
    ] = "text",
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="List every file of every finding.")] = False,
    output: Output = None,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes that decode.")] = os.cpu_count()
    or 1,
    sandbox: Annotated[
        Literal["docker", "bubblewrap", "process"] | None,
        typer.Option(
            help="Decode in this sandbox, as `cad1 score` does: for submissions of others.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Validate a submission

    Reports every problem at once; exits with 1 if the submission is invalid.
    """
    if as_json and format_ not in ("text", "json"):
        raise UsageError(f"--json and --format {format_} exclude each other.", hint="Give one of them.")
    from harness.cli.progress import ProgressBar
    from validator import Challenge, Severity, validate
    from validator.findings.wording import counted

    challenge = Challenge.load(data, split=split)
    with ProgressBar("Validating", stderr()) as progress:
        report = validate(
            submission,
            challenge,
            quick=quick,
            workers=workers,
            progress=progress,
            decoder=None if sandbox is None else _decoder(sandbox),
        )
    color = output is None and use_color()
    chosen: ReportFormat = "json" if as_json else format_
    emit(report.render(chosen, strict=strict, color=color, all_=all_), output)
    warnings = report.count(Severity.WARNING)
    if strict and report.valid and warnings:
        log(f"Invalid with --strict: {counted(warnings, 'warning')}.")
    raise typer.Exit(0 if report.valid and not (strict and warnings) else 1)


def _decoder(sandbox: Literal["docker", "bubblewrap", "process"]) -> DecoderFactory:
    from harness.sandbox.choice import sandboxed_decoder

    return sandboxed_decoder(sandbox)


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
    workers: Annotated[
        int, typer.Option(min=1, help="Number of threads that amplify and encode.")
    ] = os.cpu_count() or 1,
    gain: Annotated[
        Literal["nalr", "match"],
        typer.Option(
            help="nalr: NAL-R as in the challenge's recipe. match: NAL-R, then scaled to the level at which the "
            "scorer hears the reference (or the mixture, if the data root has no stems)."
        ),
    ] = "nalr",
    compress: Annotated[
        bool, typer.Option("--compress", help="Apply the recipe's compressor after NAL-R.")
    ] = False,
    weights: Annotated[
        Path | None, typer.Option(help="The file of a model's weights.", show_default=False)
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="The device of a model: cpu, cuda.", show_default=False)
    ] = None,
) -> None:
    """Make a submission from songs

    Separates the songs, amplifies the stems for each listener, and packs submission_TEAM.zip.
    """
    from harness.cli.progress import ProgressBar
    from harness.enhance import enhance, needs_stems
    from validator import Challenge

    challenge = Challenge.load(data, split=split, stems=needs_stems(separator))
    with ProgressBar("Enhancing", stderr()) as progress:
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
            progress=progress,
        )
    sys.stdout.write(f"{path}\n")
