"""Commands about this machine: the evaluator image, its abilities, and leftovers."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from harness.cli.console import STORE, emit, log, show_line
from harness.cli.options import AsJson, Image, Runtime, Store
from harness.protocol.errors import SetupError


def image_build_command(
    base_image: Annotated[
        str, typer.Option(help="Another base image, if no registry can be reached.", show_default=False)
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Build the evaluator image

    The build itself has no network; wheels are downloaded and checked before.
    """
    from harness.cli.documents import document
    from harness.sandbox.docker.engine import connect
    from harness.sandbox.docker.image import IMAGE, build

    identity = build(connect(), base=base_image, log=log)
    emit(document(tag=IMAGE, image=identity) if as_json else f"{IMAGE} {identity}\n", None)


def image_base_command(
    tag: Annotated[str, typer.Option(help="The name of the base image.")] = "cad1-base:bookworm",
) -> None:
    """Make a base image of Debian packages

    For machines that can't reach an image registry. Needs root and mmdebstrap, and takes about a minute.
    """
    from harness.machine.base_image import make_base_image

    make_base_image(tag, log=log)
    log(f"Next: `cad1 image build --base-image {tag}`.")
    sys.stdout.write(f"{tag}\n")


def image_verify_command(image: Image = "", runtime: Runtime = "", as_json: AsJson = False) -> None:
    """Check the image against the lock file

    Compares the image's label and id on the host, and every file and version inside a container.
    """
    from harness.cli.documents import image_json
    from harness.protocol.lock import Lock
    from harness.sandbox.docker.container import DockerSandbox
    from harness.sandbox.docker.contents import check_contents
    from harness.sandbox.docker.image import IMAGE
    from harness.sandbox.selfcheck import check_sandbox

    sandbox = DockerSandbox(image=image or IMAGE, runtime=runtime)
    found = check_sandbox(sandbox)
    check_contents(sandbox.client, found.environment.image, Lock.load())
    if as_json:
        emit(image_json(found), None)
        return
    sys.stdout.write(f"{found.environment.image} matches scorer.lock {found.environment.scorer_digest}\n")
    for program, versions in (("evaluator", found.hello.versions), ("decoder", found.decoder)):
        for package, version in sorted(versions.items()):
            log(f"  {program}: {package} {version}")


def doctor_command(as_json: AsJson = False, store: Store = STORE) -> None:
    """Check what this machine can do

    Suggests a fix for each problem, and lists what each command lacks; exits with 3 if this machine cannot score at
    all.
    """
    from harness.cli.documents import checks_json
    from harness.cli.presentation import print_abilities, print_checks
    from harness.machine.abilities import abilities
    from harness.machine.doctor import can_score, examine

    checks = examine(store)
    if as_json:
        emit(checks_json(checks, can_score=can_score(checks)), None)
    else:
        print_checks(checks)
        print_abilities(abilities(checks))
    raise typer.Exit(0 if can_score(checks) else SetupError.exit_code)


def clean_command(
    store: Store = STORE,
    images: Annotated[
        bool,
        typer.Option("--images", help="Also remove evaluator images and environments of other lock files."),
    ] = False,
) -> None:
    """Remove leftovers of dead runs

    Removes their containers, processes, temporary files and leases.
    """
    from harness.machine.cleanup import clean

    for line in clean(store, images=images):
        show_line(line)
