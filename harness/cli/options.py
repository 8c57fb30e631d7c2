"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.cli.console import remember_store
from harness.protocol.errors import UsageError
from validator.challenge.rules import CAD1, Split

ReportFormat = Literal["text", "json", "junit", "sarif", "github"]
RankingFormat = Literal["table", "markdown", "csv", "json", "html"]


def splits_of(root: Path) -> list[Split]:
    """The splits whose metadata a data root has."""
    metadata = root / "metadata"
    return [split for split in CAD1.splits if (metadata / f"listeners.{split}.json").is_file()]


def choose_split(context: typer.Context, value: Split) -> Split:
    """The split of the command line, environment or cad1.toml; else the only one that the data root has.

    Raises:
        UsageError: The data root does not have it, or none was given and the data root does not have exactly one.
    """
    root = context.params.get("data")
    found = splits_of(root) if isinstance(root, Path) else []
    source = context.get_parameter_source("split")
    if source is not None and source.name != "DEFAULT":
        if found and value not in found:
            raise UsageError(
                f"{root} has no split {value}: found {' and '.join(found)}.",
                hint=f"Add `--split {found[0]}`.",
            )
        return value
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"{root} has the splits {' and '.join(found)}.",
            hint=f"Add {' or '.join(f'`--split {split}`' for split in found)}.",
        )
    if root is not None:
        return value  # not a data root: loading it says what is missing
    raise UsageError(
        "The split is not given, and without a data root it can't be found.",
        hint=f"Add {' or '.join(f'`--split {split}`' for split in CAD1.splits)}.",
    )


Songs = Annotated[
    list[str] | None,
    typer.Option("--song", help="Only this song; may be repeated.", metavar="NAME", show_default=False),
]
Listeners = Annotated[
    list[str] | None,
    typer.Option("--listener", help="Only this listener; may be repeated.", metavar="ID", show_default=False),
]
Submission = Annotated[Path, typer.Argument(help="A zip or a folder.", show_default=False)]
Submissions = Annotated[
    list[Path], typer.Argument(help="Zips or folders, or a folder of them.", show_default=False)
]
Team = Annotated[str, typer.Argument(help="The team, such as E001.", show_default=False)]
TeamOption = Annotated[str, typer.Option(help="The team, such as E001.", show_default=False)]
OptionalTeam = Annotated[
    str | None,
    typer.Option(
        help="The team, such as E001, of one submission; without it, the NAME in submission_NAME.zip.",
        show_default=False,
    ),
]
Audits = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Number of stems to spot-check with pyclarity (default: one per 200 examples, at least 3).",
    ),
]
ScoringSandbox = Annotated[
    Literal["docker", "bubblewrap", "process"],
    typer.Option(help="The sandbox to score in; a weaker one is never used instead."),
]
Notify = Annotated[
    str | None,
    typer.Option(
        help="Run this command at each change of a submission's state, with JSON on standard input.",
        show_default=False,
    ),
]
Keep = Annotated[
    Path | None,
    typer.Option(
        help="Keep a copy of each submission in this folder, by its SHA-256, for `cad1 rescore`.",
        show_default=False,
    ),
]
Reason = Annotated[str, typer.Option(help="The reason; the ranking shows it.", show_default=False)]
DataRoot = Annotated[
    Path,
    typer.Option(
        "--data", help="The challenge's data root.", envvar="CAD1_DATA", is_eager=True, show_default=False
    ),
]
OptionalData = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="The challenge's data root; without it, the official list of songs and listeners is used.",
        envvar="CAD1_DATA",
        is_eager=True,  # the split may follow from it
        show_default=False,
    ),
]
SplitOption = Annotated[
    Split,
    typer.Option(
        help="The challenge's split; not needed if the data root has only one.",
        callback=choose_split,
        show_default=False,
    ),
]
"""A command's own default for it is never used: `choose_split` finds the split, or asks for it."""
AnySplit = Annotated[Split | None, typer.Option(help="Only this split.", show_default=False)]
Store = Annotated[
    Path,
    typer.Option(
        help="The folder of the ledger and the ranking.", envvar="CAD1_STORE", callback=remember_store
    ),
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
