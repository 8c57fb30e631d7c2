"""The Docker sandbox on a real engine: limits, ends and what is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import NotFound

from harness.protocol.errors import DeadlineError, InternalError, MemoryLimitError, SetupError
from harness.protocol.records import Example, ExampleScore
from harness.sandbox.contract import Sandbox, Stopped, Task
from harness.sandbox.docker import container
from harness.sandbox.docker.container import LABEL, DockerSandbox
from harness.sandbox.docker.image import PROGRAMS
from harness.sandbox.leftovers import sweep
from harness.sandbox.stamp import process_stamp
from tests.sandbox.imposters import PYTHON
from validator import Challenge

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

MakeTask = Callable[..., Task]


def containers_of(engine: docker.DockerClient, pid: int) -> list[Container]:
    """The containers that a process has made, among all of the engine's."""
    return engine.containers.list(all=True, filters={"label": f"{LABEL}={process_stamp(pid)}"})


def own_containers(engine: docker.DockerClient) -> int:
    return len(containers_of(engine, os.getpid()))


def test_the_memory_limit_holds(
    engine: docker.DockerClient, probe: Callable[[str], Sandbox], task: MakeTask
) -> None:
    sandbox = probe("held = [bytearray(2**20) for _ in range(4096)]\nprint(len(held))")
    with pytest.raises(MemoryLimitError, match=r"memory limit of 0\.2 GiB"):
        list(sandbox.run(task(memory=200 * 2**20)))
    assert own_containers(engine) == 0


FORK = """
import os, sys, time
n = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(60)
        n += 1
except OSError:
    sys.stderr.write(f"FORKS {n}")
    sys.exit(9)
"""


def test_a_fork_bomb_ends_at_the_pids_limit(probe: Callable[[str], Sandbox], task: MakeTask) -> None:
    with pytest.raises(InternalError, match="ended with code 9") as caught:
        list(probe(FORK).run(task()))
    assert int(caught.value.detail.partition("FORKS ")[2]) < 64


def test_the_deadline_is_the_hosts(
    engine: docker.DockerClient, probe: Callable[[str], Sandbox], task: MakeTask
) -> None:
    script = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(3600)"
    sandbox = probe(script)
    sandbox.prepare()
    started = time.monotonic()
    with pytest.raises(DeadlineError, match="deadline of 3 s"):
        list(sandbox.run(task(seconds=3.0)))
    assert time.monotonic() - started < 60.0  # a guard against hanging, not a measurement
    assert own_containers(engine) == 0


def test_the_host_can_stop_it(
    engine: docker.DockerClient, probe: Callable[[str], Sandbox], task: MakeTask
) -> None:
    sandbox = probe("import time\ntime.sleep(3600)")
    asked = task()
    asked.stop.set()
    with pytest.raises(Stopped):
        list(sandbox.run(asked))
    assert own_containers(engine) == 0


@pytest.mark.parametrize(
    ("script", "error", "what"),
    [
        ("import sys\nwhile True: sys.stdout.write('x' * 65536)", InternalError, "a line of more than"),
        ('print(\'{"type": "example"}\')', InternalError, "does not follow the protocol"),
        ("import os\nos.write(1, b'{')", InternalError, "its output ended before its last line"),
        ("import sys\nsys.exit(7)", InternalError, "ended with code 7"),
        ("import os\nos.kill(os.getpid(), 11)", InternalError, "ended with code"),
        (
            "while True: open('/tmp/' + __import__('uuid').uuid4().hex, 'wb').write(bytes(2**20))",
            InternalError,
            "code 1",
        ),
    ],
    ids=["flood", "garbage", "incomplete line", "exit code", "segmentation fault", "tmpfs filled"],
)
def test_a_broken_evaluator_is_an_internal_error_and_removed(
    engine: docker.DockerClient,
    probe: Callable[[str], Sandbox],
    task: MakeTask,
    script: str,
    error: type[Exception],
    what: str,
) -> None:
    with pytest.raises(error, match=what):
        list(probe(script).run(task()))
    assert own_containers(engine) == 0


def test_an_unknown_runtime_is_an_error_before_any_example(image: str) -> None:
    with pytest.raises(SetupError, match=r"has no runtime nonesuch; it has .*runc") as caught:
        DockerSandbox(runtime="nonesuch").prepare()
    assert "daemon.json" in caught.value.hint


def test_a_runtime_is_passed_through_and_recorded(
    engine: docker.DockerClient, image: str, task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "PROGRAMS", {**PROGRAMS, "evaluator": ("sleep", "600")})
    sandbox = DockerSandbox(image=image, runtime="runc")
    assert sandbox.prepare().sandbox == "docker (runc)"
    made: list[str] = []
    asked = task()

    def look() -> bool:
        made.extend(one.attrs["HostConfig"]["Runtime"] for one in containers_of(engine, os.getpid()))
        asked.stop.set()
        return False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asked.stop, "is_set", lambda: bool(made) or look())
        with pytest.raises(Stopped):
            list(sandbox.run(asked))
    assert made == ["runc"]
    assert own_containers(engine) == 0


def test_an_example_is_scored_on_a_read_only_root(image: str, synthetic_root: Path, task: MakeTask) -> None:
    challenge = Challenge.load(synthetic_root, split="test")
    song, listener = challenge.examples[0]
    lines = list(DockerSandbox().run(task(examples=(Example(song=song, listener=listener),))))
    scores = [line for line in lines if isinstance(line, ExampleScore)]
    assert len(scores) == 1
    assert all(value is not None and value > 0.5 for value in scores[0].values.values())  # true stems


def test_the_container_ends_when_the_host_is_killed(engine: docker.DockerClient, image: str) -> None:
    """After SIGKILL nobody cleans up: the container's standard input closes, and it ends by itself."""
    script = (
        "import os, time\nfrom harness.protocol.parent import exit_with_parent\n"
        "exit_with_parent()\nos.mkdir('/tmp/up')\ntime.sleep(3600)"
    )
    host = f"""
import time
from harness.sandbox.docker import container
container.PROGRAMS = {{"evaluator": ({PYTHON!r}, "-c", {script!r})}}
with container.DockerSandbox(image={image!r}).start("evaluator", memory=2**29):
    time.sleep(600)
"""
    child = subprocess.Popen([sys.executable, "-c", host])
    try:
        (started,) = _wait_for(lambda: [c for c in containers_of(engine, child.pid) if c.status == "running"])
        _wait_for(lambda: "up" in str(started.exec_run(["ls", "/tmp"]).output))
    finally:
        child.kill()
        child.wait()

    def ended() -> bool:
        try:
            started.reload()
        except NotFound:  # another run's sweep has removed it
            return True
        return bool(started.status == "exited")

    assert _wait_for(ended)
    sweep()
    with pytest.raises(NotFound):
        started.reload()


def _wait_for(look: Callable[[], Any], seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    pytest.fail(f"nothing happened in {seconds} s")
