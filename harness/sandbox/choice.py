"""The sandbox to score in: the one that a user names, or the strongest that this machine has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from harness.protocol.errors import SetupError, UsageError
from harness.protocol.lock import Lock
from harness.sandbox.contract import Sandbox
from harness.sandbox.decoding import SandboxedDecoder
from harness.sandbox.docker.container import DockerSandbox
from harness.sandbox.docker.engine import connect
from harness.sandbox.docker.image import IMAGE, build, check_image, default_base
from harness.sandbox.local.bubblewrap import BubblewrapSandbox
from harness.sandbox.local.environment import find_python, is_ready
from harness.sandbox.local.process import ProcessSandbox

LOCAL_BASE = "cad1-base:bookworm"
"""The base image that `cad1 image base` makes."""


def choose_sandbox(name: str, *, runtime: str = "", image: str = "", log: Callable[[str], None]) -> Sandbox:
    """Returns the sandbox called `name`: docker, bubblewrap, process or strongest.

    Args:
        name: Which sandbox.
        runtime: An OCI runtime for the containers; the engine's default if empty.
        image: Another image than `cad1 image build`'s; with it, `strongest` is Docker.
        log: Called with a line before something is installed, and with `strongest` for each sandbox that this
            machine lacks.

    Raises:
        UsageError: A runtime or an image was given for a sandbox without containers.
    """
    if image and name == "strongest":
        name = DockerSandbox.name
    if image and name != DockerSandbox.name:
        raise UsageError(
            f"--image {image} can only be used with --sandbox docker, not with {name}.",
            hint="Remove one of the two options.",
        )
    if runtime and name != DockerSandbox.name:
        raise UsageError(
            f"--runtime {runtime} can only be used with --sandbox docker, not with {name}.",
            hint="Remove one of the two options.",
        )
    if name == DockerSandbox.name:
        return DockerSandbox(image=image or IMAGE, runtime=runtime)
    if name == "strongest":
        return strongest_sandbox(log)
    _announce_installation(log)
    return BubblewrapSandbox() if name == BubblewrapSandbox.name else ProcessSandbox()


def _announce_installation(log: Callable[[str], None]) -> None:
    """Says that the locked environments are installed now, if they are not ready."""
    if find_python() is not None and not is_ready(Lock.load()):
        log("Installing the scorer's own environment and compiling it: once, for about two minutes.")


def strongest_sandbox(log: Callable[[str], None]) -> Sandbox:
    """Returns Docker if an engine answers and has the image or can build it, else bubblewrap, else a child process.

    Args:
        log: Called with a line for each sandbox that this machine lacks, and for the chosen one.
    """
    try:
        client = connect()
        try:
            check_image(client, IMAGE, Lock.load())
        except SetupError as error:
            log(f"{error.message} Building it; this takes a minute or two.")
            local = any(LOCAL_BASE in image.tags for image in client.images.list())
            pinned = client.images.list(name=default_base())
            build(client, base=LOCAL_BASE if local and not pinned else "", log=lambda line: None)
        log("Sandbox: Docker, one container per song.")
        return DockerSandbox()
    except SetupError as error:
        log(f"{error.message} {error.hint}")
    _announce_installation(log)
    sandbox = BubblewrapSandbox()
    try:
        sandbox.prepare()
    except SetupError as error:
        log(f"{error.message} {error.hint}")
        log("Sandbox: a child process instead. Use it only for your own files; official scores need Docker.")
        return ProcessSandbox()
    log("Sandbox: bubblewrap instead, one process per song without a network; official scores need Docker.")
    return sandbox


class DecoderFactory:
    """Makes decoders in a sandbox by name; can be pickled, for the validator's worker processes."""

    def __init__(self, name: str) -> None:
        self._name = name

    @contextmanager
    def __call__(self) -> Iterator[SandboxedDecoder]:
        """A decoder for the length of a block."""
        sandbox = choose_sandbox(self._name, log=lambda line: None)
        with SandboxedDecoder(sandbox) as decoder:
            yield decoder


def sandboxed_decoder(name: str) -> DecoderFactory:
    """A factory of decoders in the sandbox called `name`: docker, bubblewrap or process."""
    return DecoderFactory(name)
