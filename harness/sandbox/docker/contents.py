"""Every installed file of an image, compared with the package that it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from harness.protocol.errors import SetupError
from harness.protocol.lock import Lock
from harness.sandbox.contract import printable
from harness.sandbox.docker.container import HARDENING, LABEL
from harness.sandbox.docker.engine import engine_failed
from harness.sandbox.docker.image import PROGRAMS
from harness.sandbox.stamp import own_stamp

if TYPE_CHECKING:
    import docker

MAX_NAMED = 8
"""Differences that the error names."""


def check_contents(client: docker.DockerClient, image: str, lock: Lock) -> None:
    """Has both environments of an image read all their files: see `harness.protocol.lock.own_differences`.

    The image checks itself, so this finds damage and mistakes; a deliberate change shows in the image's id.

    Args:
        client: The engine.
        image: The image's id.
        lock: The host's lock.

    Raises:
        SetupError: If a file differs; names it.
        MachineError: If the engine does not run a container.
    """
    from docker.errors import ContainerError, DockerException  # noqa: PLC0415  (a slow import)

    for program, (python, *_) in PROGRAMS.items():
        command = [python, "-m", "harness.protocol.lock", "--check", program, lock.digest]
        try:
            client.containers.run(image, command, remove=True, labels={LABEL: own_stamp()}, **HARDENING)
        except ContainerError as error:
            lines = printable(cast(bytes, error.stderr or b"")).splitlines()
            raise SetupError(
                f"The {program}'s environment in the image {image[:19]} is not as it was built: "
                f"{'; '.join(lines[:MAX_NAMED]) or 'the check failed without a word'}.",
                hint="Build the image again: `cad1 image build`.",
            ) from error
        except (DockerException, OSError) as error:
            raise engine_failed(f"check the {program} in the image", error) from error
