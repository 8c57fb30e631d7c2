"""A base image for the evaluator made of Debian packages, for machines that can't reach an image registry."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from harness.protocol.errors import SetupError
from harness.protocol.lock import HARNESS

SCRIPT = "debian-base.sh"


def script() -> Path:
    """The script with the steps, in a clone or in an installed package.

    Raises:
        SetupError: There is none.
    """
    for folder in (HARNESS.parent / "scripts", HARNESS):
        if (folder / SCRIPT).is_file():
            return folder / SCRIPT
    raise SetupError(
        f"{SCRIPT} is missing from this installation.",
        hint="Restore it from version control, or reinstall cad1-harness.",
    )


def make_base_image(tag: str, *, log: Callable[[str], None]) -> None:
    """Makes the base image and imports it into the Docker engine.

    Args:
        tag: Its name.
        log: Gets each line of output.

    Raises:
        SetupError: A program is missing, or a step failed.
    """
    with subprocess.Popen(
        ["sh", str(script()), tag],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip())
            log(lines[-1])
    if process.returncode:
        last = lines[-1].removeprefix("debian-base: ") if lines else f"exit code {process.returncode}"
        raise SetupError(
            f"The base image {tag} could not be made: {last.rstrip('.')}.",
            hint="It needs root, mmdebstrap, Debian's package archive and a running Docker engine.",
            detail="\n".join(lines[-20:]),
        )
