"""Commands about this machine: the image, what it can do, what was left behind."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from harness.cli.console import STORE, out, say
from harness.cli.options import Runtime, Store
from harness.protocol.errors import SetupError


def image_build_command(
    base_image: Annotated[
        str, typer.Option(help="Another base, where no image registry is reached.", show_default=False)
    ] = "",
) -> None:
    """Builds the evaluator image, without a network during the build."""
    from harness.sandbox.docker.engine import connect
    from harness.sandbox.docker.image import IMAGE, build

    identity = build(connect(), base=base_image, log=say)
    sys.stdout.write(f"{IMAGE} {identity}\n")


def image_verify_command(runtime: Runtime = "") -> None:
    """Check the image against the lock file: its label, and every file and version inside the container."""
    from harness.baselines.synthetic import make_challenge
    from harness.sandbox.docker.container import DockerSandbox
    from harness.sandbox.selfcheck import check_sandbox
    from harness.sandbox.stamp import temporary_folder

    with temporary_folder("verify") as folder:
        folder.chmod(0o755)
        data = make_challenge(folder / "data", seconds=2.0, scored_seconds=0.5)
        environment, hello = check_sandbox(DockerSandbox(runtime=runtime), data=data)
    sys.stdout.write(f"{environment.image} matches scorer.lock {environment.scorer_digest}\n")
    for package, version in sorted(hello.versions.items()):
        say(f"  {package} {version}")


def doctor_command(store: Store = STORE) -> None:
    """Says what this machine can do, and how to mend what it cannot (exit 3 if it can't score at all)."""
    from harness.machine.doctor import can_score, examine

    checks = examine(store)
    for check in checks:
        mark = "[green]✓[/]" if check.good else "[red]✗[/]"
        out.print(mark, f"{check.name}:", style=None, end=" ")
        out.print(check.found, markup=False, highlight=False, soft_wrap=True)
        if check.hint:
            out.print(f"    {check.hint}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(0 if can_score(checks) else SetupError.exit_code)


def clean_command(
    store: Store = STORE,
    images: Annotated[
        bool, typer.Option("--images", help="Also evaluator images and environments of other locks.")
    ] = False,
) -> None:
    """Removes what runs that no longer live have left: containers, processes, temporary files, leases."""
    from harness.machine.cleanup import clean

    for line in clean(store, images=images):
        sys.stdout.write(f"{line}\n")
