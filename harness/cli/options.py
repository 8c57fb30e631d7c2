"""Arguments and options that several commands share."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.cli.console import remember_store
from validator.challenge.rules import Split

ReportFormat = Literal["text", "json", "junit", "sarif", "github"]
RankingFormat = Literal["table", "markdown", "csv", "json", "html"]

Submission = Annotated[Path, typer.Argument(help="A zip or a folder.", show_default=False)]
Team = Annotated[str, typer.Argument(help="The team, such as E001.", show_default=False)]
TeamOption = Annotated[str, typer.Option(help="The team, such as E001.", show_default=False)]
Reason = Annotated[str, typer.Option(help="The reason; the ranking shows it.", show_default=False)]
DataRoot = Annotated[Path, typer.Option("--data", help="The challenge's data root.", show_default=False)]
OptionalData = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="The challenge's data root; without it, the official list of songs and listeners is used.",
        show_default=False,
    ),
]
SplitOption = Annotated[Split, typer.Option(help="The challenge's split.")]
AnySplit = Annotated[Split | None, typer.Option(help="Only this split.", show_default=False)]
Store = Annotated[
    Path, typer.Option(help="The folder of the ledger and the ranking.", callback=remember_store)
]
Output = Annotated[
    Path | None, typer.Option(help="Write to this file instead of standard output.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AnySandbox = Annotated[
    Literal["strongest", "docker", "bubblewrap", "process"], typer.Option(help="The sandbox to score in.")
]
Runtime = Annotated[
    str, typer.Option(help="An OCI runtime of the engine, such as runsc (gVisor).", show_default=False)
]
Image = Annotated[
    str,
    typer.Option(
        help="Another image than the one that `cad1 image build` made here, by its id: sha256:….",
        show_default=False,
    ),
]
EngineOption = Annotated[
    Literal["fast", "pyclarity"], typer.Option(help="The HAAQI implementation that scores.")
]
Workers = Annotated[int, typer.Option(min=1, help="Number of sandboxes that run at the same time.")]


def split_names(text: str | None) -> list[str] | None:
    """The names in `A,B`; a name that contains a comma goes in double quotes."""
    return (
        None if text is None else [name.strip() for name in next(csv.reader([text], skipinitialspace=True))]
    )
