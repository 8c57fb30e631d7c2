"""The Docker sandbox: one hardened container per job."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.protocol.errors import BugError, HarnessError, MachineError, SetupError
from harness.protocol.lock import Lock
from harness.protocol.records import Hello, Job
from harness.protocol.variables import PARENT_ENV
from harness.sandbox.contract import Conversation, Environment, Records, Result, Task, clean, make_job
from harness.sandbox.docker.image import IMAGE, check_image
from harness.sandbox.seccomp import docker_profile
from harness.sandbox.stamp import is_alive, own_stamp, process_stamp, temporary_folder
from harness.sandbox.stream import Pieces, listen, memory_exceeded

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

__all__ = [
    "HARDENING",
    "LABEL",
    "DockerSandbox",
    "check_readable",
    "check_runtime",
    "connect",
    "dead_containers",
    "engine_failed",
    "is_alive",
    "process_stamp",
    "remove",
    "sweep",
]

USER = "65534:65534"
"""nobody: no file in the image is owned by it."""

TMPFS_BYTES = 64 * 1024 * 1024
"""Holds the copy of the compiled kernels (a few MB); memory for it counts against the container's limit."""

PIDS = 64
"""One process with its threads; a fork bomb ends here."""

LABEL = "cad1-harness.stamp"
KILL_GRACE = 20.0
"""Seconds that the engine gets to report a killed container's end."""

HARDENING: dict[str, Any] = {
    "network_mode": "none",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true", f"seccomp={docker_profile()}"],
    "user": USER,
    "pids_limit": PIDS,
    "ipc_mode": "none",
    "init": True,
    "tmpfs": {
        "/tmp": f"rw,noexec,nosuid,nodev,size={TMPFS_BYTES},mode=1777",  # noqa: S108
        "/dev/mqueue": "ro,noexec,nosuid,nodev,size=4k,mode=555",  # the engine's own would be writable
    },
    "oom_kill_disable": False,
    "auto_remove": False,  # it would hide whether the container was killed for its memory
    "privileged": False,
}
"""Every flag that stands between a submission and the host."""


def connect() -> docker.DockerClient:
    """A client of the engine that answers on this machine.

    Raises:
        SetupError: If none does.
    """
    import docker  # noqa: PLC0415  (a second's import that most commands don't need)
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        client = docker.from_env(timeout=60)
        client.ping()
    except (DockerException, OSError) as error:
        raise SetupError(
            "No Docker engine answers on this machine.",
            hint="Install one and start it (Debian: `apt-get install docker.io`), or, for your own submission, "
            "use `--sandbox process`. `cad1 doctor` says more.",
            detail=str(error),
        ) from error
    return client


CLOCK_SLACK = 5.0
"""Seconds by which the system's clock, once corrected, may move a process's start."""


class DockerSandbox:
    """Runs each job in a container of the evaluator image.

    Args:
        image: The image's name or id.
        runtime: An OCI runtime of the engine (`runsc` for gVisor); the engine's default if empty.
    """

    name = "docker"

    def __init__(self, *, image: str = IMAGE, runtime: str = "") -> None:
        self._image = image
        self._runtime = runtime
        self._client: docker.DockerClient | None = None
        self._environment: Environment | None = None
        self._readable: set[Path] = set()
        self._abandoned: list[Container] = []

    @property
    def client(self) -> docker.DockerClient:
        """The engine's client, connected on first use."""
        if self._client is None:
            self._client = connect()
        return self._client

    def prepare(self) -> Environment:
        """See `Sandbox.prepare`: host files and image label must both be what the lock says."""
        lock = Lock.load()
        lock.check_host()
        facts = check_image(self.client, self._image, lock)
        check_runtime(self.client, self._runtime)
        sweep(self.client)
        self._environment = Environment(
            sandbox=f"docker ({self._runtime})" if self._runtime else "docker",
            scorer=lock.digest,
            locked=True,
            image=facts.id,
            base_image=facts.base,
        )
        return self._environment

    def run(self, task: Task) -> Records:
        """See `Sandbox.run`."""
        environment = self._environment or self.prepare()
        inside = "/submission" if task.submission.is_dir() else f"/submission/{task.submission.name}"
        job = make_job(task, submission=inside, data="/data", environment=environment)
        with temporary_folder("job") as folder:
            path = folder / "job.json"
            path.write_text(job.model_dump_json(), encoding="utf-8")
            path.chmod(0o444)
            for shared in (task.submission, task.data):
                if shared not in self._readable:
                    check_readable(shared)
                    self._readable.add(shared)
            mounts = {
                str(path.resolve()): {"bind": "/job/job.json", "mode": "ro"},
                str(task.submission.resolve()): {"bind": inside, "mode": "ro"},
                str(task.data.resolve()): {"bind": "/data", "mode": "ro"},
            }
            self._remove_abandoned()
            container = self._create(environment.image, mounts, task.memory)
            try:
                yield from _converse(container, job, task)
            finally:
                self._remove(container)

    def _remove(self, container: Container) -> None:
        """Removes a container; one that an engine in trouble keeps is not forgotten."""
        try:
            remove(container)
        except MachineError:
            self._abandoned.append(container)
            raise

    def _remove_abandoned(self) -> None:
        """Removes what could not be removed when the engine was gone, now that it may be back."""
        while True:
            try:
                container = self._abandoned.pop()
            except IndexError:  # none, or another worker has taken the last
                return
            self._remove(container)

    def _create(self, image: str, mounts: dict[str, dict[str, str]], memory: int) -> Container:
        import docker  # noqa: PLC0415
        from docker.errors import DockerException  # noqa: PLC0415
        from docker.types import LogConfig, Ulimit  # noqa: PLC0415

        try:
            return self.client.containers.create(
                image,
                ["/job/job.json"],
                volumes=mounts,
                mem_limit=memory,
                memswap_limit=memory,
                nano_cpus=1_000_000_000,
                ulimits=[Ulimit(name="core", soft=0, hard=0), Ulimit(name="nofile", soft=256, hard=256)],
                log_config=LogConfig(type="json-file", config={"max-size": "4m", "max-file": "1"}),
                labels={LABEL: own_stamp()},
                environment={PARENT_ENV: "1"},
                stdin_open=True,
                runtime=self._runtime or None,
                **HARDENING,
            )
        except (docker.errors.APIError, DockerException, OSError) as error:
            raise engine_failed("create a container", error) from error


def check_runtime(client: docker.DockerClient, name: str) -> None:
    """Makes sure that the engine knows a runtime; an empty name is its default.

    Raises:
        SetupError: If it does not; says which it knows.
    """
    from docker.errors import DockerException  # noqa: PLC0415

    if not name or name.startswith("io.containerd."):  # these the engine looks up by itself
        return
    try:
        known = sorted(client.info().get("Runtimes", {}))
    except (DockerException, OSError) as error:
        raise engine_failed("name its runtimes", error) from error
    if name not in known:
        raise SetupError(
            f"The Docker engine has no runtime {name}; it has {', '.join(known) or 'none but its default'}.",
            hint="Install it and name it in /etc/docker/daemon.json, then restart the engine (gVisor: "
            "`runsc install`), or leave --runtime out.",
        )


def check_readable(path: Path) -> None:
    """Makes sure that the sandbox's user, who is nobody, can read what is mounted.

    Raises:
        SetupError: If a file or folder at `path` is closed to others.
    """
    for entry in [path, *(path.rglob("*") if path.is_dir() else ())]:
        mode = entry.stat().st_mode
        if not mode & (0o005 if entry.is_dir() else 0o004) or (entry.is_dir() and not mode & 0o001):
            raise SetupError(
                f"The sandbox's user, who is nobody, can't read {entry}: it is closed to other users.",
                hint=f"Open it for reading: `chmod -R o+rX {path}`.",
            )


def engine_failed(what: str, error: Exception) -> MachineError:
    """The engine did not do what it was asked to; it may have been restarting."""
    return MachineError(
        f"The Docker engine did not {what}.",
        hint="See whether it still runs (`cad1 doctor`) and has disk left; run the same command again to go on.",
        detail=clean(str(error).encode()),
    )


def _converse(container: Container, job: Job, task: Task) -> Iterator[Hello | Result]:
    """Starts the container and yields its records until it ends or the deadline passes."""
    from docker.errors import DockerException  # noqa: PLC0415
    from docker.utils.socket import SocketError, frames_iter  # noqa: PLC0415

    conversation = Conversation(job)
    try:
        # Attached standard input is the container's sign that this process lives: see `die_with_parent`.
        attached: Any = container.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        getattr(attached, "_sock", attached).settimeout(None)
        container.start()
    except (DockerException, OSError) as error:
        raise engine_failed("start a container", error) from error
    pieces = Pieces(lambda: frames_iter(attached, tty=False))  # type: ignore[no-untyped-call]
    try:
        yield from listen(pieces, conversation, task)
        _judge(container, conversation, task)
    except (OSError, SocketError) as error:
        raise engine_failed("keep the connection to a container", error) from error
    finally:
        pieces.stop()
        _hang_up(attached)


def _hang_up(attached: Any) -> None:
    """Closes the connection itself, not only our view of it: the engine waits for a full one at removal."""
    raw: socket.socket = getattr(attached, "_sock", attached)
    with contextlib.suppress(OSError):  # the engine has closed its side
        raw.shutdown(socket.SHUT_RDWR)
    attached.close()
    raw.close()


def _judge(container: Container, conversation: Conversation, task: Task) -> None:
    """Says how the container ended, from the engine's own word."""
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        container.wait(timeout=KILL_GRACE)
        container.reload()
        state = container.attrs["State"]
    except (DockerException, OSError) as error:
        raise engine_failed("say how a container ended", error) from error
    # Under init, the engine may see only exit code 137 of the child where a memory limit has struck.
    if state.get("OOMKilled") or (state.get("ExitCode") == 137 and not conversation.complete):
        raise memory_exceeded(task, conversation)
    if state.get("ExitCode") != 0:
        raise BugError(
            f"The evaluator ended with code {state.get('ExitCode')} before its work was done.",
            hint="Examples scored until then are kept. The log in the store holds what it printed.",
            detail=clean(conversation.diagnostics),
        )
    conversation.finish()


def remove(container: Container) -> None:
    """Kills and removes a container, and makes sure that it is gone.

    Raises:
        SetupError: If the engine does not remove it.
    """
    from docker.errors import APIError, DockerException, NotFound  # noqa: PLC0415

    try:
        container.remove(force=True, v=True)
    except NotFound:
        return
    except APIError as error:
        if error.status_code != 409:  # 409: another process is removing it at this moment
            raise engine_failed(f"remove container {container.short_id}", error) from error
    except (DockerException, OSError) as error:
        raise engine_failed(f"remove container {container.short_id}", error) from error


def dead_containers(client: docker.DockerClient) -> list[Container]:
    """The containers of runs that no longer live.

    Raises:
        MachineError: If the engine does not tell.
    """
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        containers = client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
    except (DockerException, OSError) as error:
        raise engine_failed("list its containers", error) from error
    return [container for container in containers if not is_alive(container.labels.get(LABEL, ""))]


def sweep(client: docker.DockerClient) -> int:
    """Removes the containers of runs that no longer live; says how many there were."""
    dead = dead_containers(client)
    for container in dead:
        with contextlib.suppress(HarnessError):  # doctor names what could not be removed
            remove(container)
    return len(dead)
