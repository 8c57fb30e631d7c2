"""The Docker sandbox: a hardened container for each program that runs."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.protocol import limits
from harness.protocol.errors import MachineError
from harness.protocol.lock import Lock, ProgramName
from harness.sandbox.base import StartingSandbox
from harness.sandbox.chunks import Chunk, ChunkQueue
from harness.sandbox.contract import Environment, Running
from harness.sandbox.docker.engine import check_runtime, connect, engine_failed
from harness.sandbox.docker.image import IMAGE, PROGRAMS, check_image
from harness.sandbox.seccomp import NOBODY, docker_profile
from harness.sandbox.stamp import is_alive, own_stamp

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

LABEL = "cad1-harness.run"
"""The label with the stamp of the run that made a container. An earlier version had another, and another stamp."""

END_SECONDS = 20.0
"""Seconds that the engine gets to report the end of a container whose output has ended."""

HARDENING: dict[str, Any] = {
    "network_mode": "none",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true", f"seccomp={docker_profile()}"],
    "user": f"{NOBODY}:{NOBODY}",
    "pids_limit": limits.PROCESSES,
    "ipc_mode": "none",
    "init": True,
    "tmpfs": {
        "/tmp": f"rw,noexec,nosuid,nodev,size={limits.TEMPORARY_BYTES},"  # noqa: S108
        f"nr_inodes={limits.TEMPORARY_FILES},mode=1777",
        "/dev/mqueue": "ro,noexec,nosuid,nodev,size=4k,mode=555",  # the engine's own would be writable
    },
    "oom_kill_disable": False,
    "auto_remove": False,  # it would hide whether the container was killed for its memory
    "privileged": False,
}
"""Every flag between a submission and the host; the tmpfs counts against the container's memory limit."""


class DockerSandbox(StartingSandbox):
    """Runs each program in a container of the image.

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
        self._abandoned: list[Container] = []

    @property
    def client(self) -> docker.DockerClient:
        """The engine's client, connected on first use."""
        if self._client is None:
            self._client = connect()
        return self._client

    def prepare(self) -> Environment:
        """See `Sandbox.prepare`: checks host files and image label against the lock."""
        lock = Lock.load()
        lock.check_host()
        facts = check_image(self.client, self._image, lock)
        check_runtime(self.client, self._runtime)
        self._environment = Environment(
            sandbox=f"docker ({self._runtime})" if self._runtime else "docker",
            scorer_digest=lock.digest,
            locked=True,
            image=facts.id,
            base_image=facts.base,
        )
        return self._environment

    @contextmanager
    def start(self, program: ProgramName, *, memory: int) -> Iterator[Running]:
        """See `Sandbox.start`."""
        environment = self.environment()
        self._remove_abandoned()
        container = self._create(environment.image, program, memory)
        try:
            running = RunningContainer(program, container, memory=memory)
            try:
                yield running
            finally:
                running.close()
        finally:
            self._remove(container)

    def _remove(self, container: Container) -> None:
        """Removes a container; remembers one that the engine fails to remove."""
        try:
            remove(container)
        except MachineError:
            self._abandoned.append(container)
            raise

    def _remove_abandoned(self) -> None:
        """Removes the containers that the engine failed to remove before."""
        while True:
            try:
                container = self._abandoned.pop()
            except IndexError:  # none, or another worker has taken the last
                return
            self._remove(container)

    def _create(self, image: str, program: ProgramName, memory: int) -> Container:
        import docker  # noqa: PLC0415  (a slow import)
        from docker.errors import DockerException  # noqa: PLC0415
        from docker.types import LogConfig, Ulimit  # noqa: PLC0415

        files = limits.OPEN_FILES
        try:
            return self.client.containers.create(
                image,
                list(PROGRAMS[program]),
                mem_limit=memory,
                memswap_limit=memory,
                nano_cpus=1_000_000_000,
                ulimits=[Ulimit(name="core", soft=0, hard=0), Ulimit(name="nofile", soft=files, hard=files)],
                log_config=LogConfig(type="json-file", config={"max-size": "4m", "max-file": "1"}),
                labels={LABEL: own_stamp()},
                stdin_open=True,
                runtime=self._runtime or None,
                **HARDENING,
            )
        except (docker.errors.APIError, DockerException, OSError) as error:
            raise engine_failed("create a container", error) from error


class RunningContainer(Running):
    """A program in a container of its own, which is started.

    Args:
        name: The program.
        container: A new container.
        memory: Its memory limit in bytes.
    """

    def __init__(self, name: ProgramName, container: Container, *, memory: int) -> None:
        from docker.errors import DockerException  # noqa: PLC0415  (a slow import)
        from docker.utils.socket import SocketError, frames_iter  # noqa: PLC0415

        super().__init__(name, memory=memory)
        self._container = container
        try:
            # The attached standard input tells the program that this process is alive: see `exit_with_parent`.
            attached: Any = container.attach_socket(
                params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            )
            self._attached = attached
            self._socket: socket.socket = getattr(attached, "_sock", attached)
            self._socket.settimeout(None)
            container.start()
        except (DockerException, OSError) as error:
            raise engine_failed("start a container", error) from error

        def chunks() -> Iterator[Chunk]:
            try:
                yield from frames_iter(attached, tty=False)  # type: ignore[no-untyped-call]
            except (OSError, SocketError) as error:
                raise engine_failed("keep the connection to a container", error) from error

        self.chunks = ChunkQueue(chunks)

    def write(self, data: bytes | memoryview) -> None:
        """See `Running.write`."""
        self._socket.sendall(data)

    def check_limits(self) -> None:
        """See `Running.check_limits`: the kernel holds a container to its limits."""

    def check_end(self, *, complete: bool) -> None:
        """See `Running.check_end`."""
        from docker.errors import DockerException  # noqa: PLC0415  (a slow import)

        try:
            self._container.wait(timeout=END_SECONDS)
            self._container.reload()
            state = self._container.attrs["State"]
        except (DockerException, OSError) as error:
            raise engine_failed("report how a container ended", error) from error
        # With init, the engine may see no OOM event but only the child's exit code 137.
        if state.get("OOMKilled") or (state.get("ExitCode") == 137 and not complete):
            raise self.memory_exceeded()
        if state.get("ExitCode") != 0:
            raise self.ended_early(state.get("ExitCode"))

    def close(self) -> None:
        """Closes the connection, not only Python's view of it: an open one delays the container's removal."""
        self.chunks.stop()
        with contextlib.suppress(OSError):  # the engine has closed its side
            self._socket.shutdown(socket.SHUT_RDWR)
        self._attached.close()
        self._socket.close()


def remove(container: Container) -> None:
    """Kills and removes a container, and waits until it is gone.

    Raises:
        MachineError: If the engine does not remove it.
    """
    from docker.errors import APIError, DockerException, NotFound  # noqa: PLC0415  (a slow import)

    try:
        container.remove(force=True, v=True)
    except NotFound:
        return
    except APIError as error:
        if error.status_code != 409:  # 409: another process is removing it right now
            raise engine_failed(f"remove container {container.short_id}", error) from error
    except (DockerException, OSError) as error:
        raise engine_failed(f"remove container {container.short_id}", error) from error


def dead_containers(client: docker.DockerClient) -> list[Container]:
    """The containers of dead runs.

    Raises:
        MachineError: If the engine does not list its containers.
    """
    from docker.errors import DockerException  # noqa: PLC0415  (a slow import)

    try:
        containers = client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
    except (DockerException, OSError) as error:
        raise engine_failed("list its containers", error) from error
    return [container for container in containers if not is_alive(container.labels.get(LABEL, ""))]
