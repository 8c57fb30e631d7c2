"""The Docker engine: a client, its runtimes, and the error for an engine that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.protocol.errors import MachineError, SetupError
from harness.sandbox.contract import printable

if TYPE_CHECKING:
    import docker


def connect() -> docker.DockerClient:
    """A client of this machine's engine.

    Raises:
        SetupError: If no engine answers.
    """
    import docker  # noqa: PLC0415  (a slow import, which most commands don't need)
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        client = docker.from_env(timeout=60)
        client.ping()
    except (DockerException, OSError) as error:
        raise SetupError(
            "No Docker engine answers on this machine.",
            hint="Install and start one (Debian: `apt-get install docker.io`). Without one, `--sandbox bubblewrap` "
            "isolates submissions of others (Debian: `apt-get install bubblewrap`), and `--sandbox process` runs "
            "your own. See `cad1 doctor`.",
            detail=str(error),
        ) from error
    return client


def check_runtime(client: docker.DockerClient, name: str) -> None:
    """Checks that the engine has a runtime; an empty name is its default.

    Raises:
        SetupError: If it does not; names the runtimes that it has.
    """
    from docker.errors import DockerException  # noqa: PLC0415

    if not name or name.startswith("io.containerd."):  # the engine finds these by itself
        return
    try:
        known = sorted(client.info().get("Runtimes", {}))
    except (DockerException, OSError) as error:
        raise engine_failed("list its runtimes", error) from error
    if name not in known:
        raise SetupError(
            f"The Docker engine has no runtime {name}; it has {', '.join(known) or 'only its default'}.",
            hint="Install it, add it to /etc/docker/daemon.json and restart the engine (gVisor: "
            "`runsc install`), or omit --runtime.",
        )


def reason_of(error: Exception) -> str:
    """What the engine says, without the client's HTTP status; the error itself if it is not the engine's."""
    explanation = getattr(error, "explanation", None)
    if isinstance(explanation, bytes):
        explanation = explanation.decode(errors="replace")
    return printable(str(explanation or error).strip().rstrip(".").encode())


def engine_failed(what: str, error: Exception) -> MachineError:
    """The error for an engine that did not do what it was asked to; it may be restarting.

    Args:
        what: What it did not do, after "The Docker engine did not".
        error: What the client raised.
    """
    return MachineError(
        f"The Docker engine did not {what}.",
        hint="Check that it is running (`cad1 doctor`) and has free disk space; run the same command again to "
        "continue.",
        detail=printable(str(error).encode()),
    )
