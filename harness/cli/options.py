"""Options that several commands share."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli.console import say
from harness.protocol.errors import UsageError

if TYPE_CHECKING:
    from harness.sandbox.contract import Sandbox

Split = Literal["valid", "test"]

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
Where = Annotated[
    Literal["strongest", "docker", "bubblewrap", "process"], typer.Option(help="Where it is scored.")
]
Runtime = Annotated[
    str, typer.Option(help="An OCI runtime of the engine, such as runsc (gVisor).", show_default=False)
]
TeamOption = Annotated[str, typer.Option(help="The team, such as E001.", show_default=False)]


def names(text: str | None) -> list[str] | None:
    """`A,B` as names; a name with a comma may stand in double quotes."""
    return (
        None if text is None else [name.strip() for name in next(csv.reader([text], skipinitialspace=True))]
    )


def sandbox_of(choice: str, *, runtime: str = "") -> Sandbox:
    """The sandbox that a user has chosen.

    Raises:
        UsageError: If a container's runtime is given for a sandbox without containers.
    """
    from harness.baselines.demo import strongest_sandbox
    from harness.sandbox.docker.container import DockerSandbox
    from harness.sandbox.local.bubblewrap import BubblewrapSandbox
    from harness.sandbox.local.process import ProcessSandbox

    if runtime and choice != "docker":
        raise UsageError(
            f"--runtime {runtime} goes with --sandbox docker only, not with {choice}.",
            hint="Leave one of the two away.",
        )
    if choice == "docker":
        return DockerSandbox(runtime=runtime)
    if choice == "bubblewrap":
        return BubblewrapSandbox()
    return ProcessSandbox() if choice == "process" else strongest_sandbox(say)
