"""A list of forbidden actions, tried inside Docker and bubblewrap: each is refused.

The same actions are tried in the process sandbox, which prevents nothing: there each harmless one is possible, so
that none is refused only because the script tries it in the wrong way.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.protocol import limits
from harness.protocol.errors import InternalError
from harness.sandbox.contract import Sandbox, Task
from harness.sandbox.local import bubblewrap
from harness.sandbox.local.bubblewrap import BubblewrapSandbox
from harness.sandbox.wheels import cache_folder
from tests.sandbox.imposters import write_program

ORDINARY = 23456
"""The id of an ordinary user without a name or a home folder."""

MakeTask = Callable[..., Task]
SCRIPT = (Path(__file__).parent / "forbidden.py").read_text(encoding="utf-8")
ACTS = tuple(
    line.split('"')[1]
    for line in SCRIPT.partition("ACTS = {")[2].partition("\n}")[0].splitlines()
    if '":' in line
)

pytestmark = pytest.mark.timeout(600)

HARMFUL_OR_ELSEWHERE = {
    "connect to the internet",  # not every machine has it
    "connect to the engine",  # nor has every machine one
    "write anywhere",  # would change this machine
    "ptrace the parent",  # which runs this test
    "unshare",  # some machines forbid user namespaces to everybody
    "clone a namespace",
    "performance counters",
    "user page faults",
    "io_uring",
    "read the kernel's memory",  # some kernels have no /proc/kcore
    "read the first process's environment",
    "write to the first process's memory",
}
OWN_PROCESSES = {
    "read the first process's environment",
    "write to the first process's memory",
    "write to a sibling's memory",
}
"""Possible under Docker, which does not restrict /proc: all of a container's processes belong to one submission."""

NEED_LANDLOCK = {*OWN_PROCESSES, "execute from the temporary folder"}
"""What bubblewrap can't refuse without Landlock."""

ROOT_ONLY = {
    "raw packets",
    "mount",
    "setuid",
    "chown",
    "read /etc/shadow",
    "read the kernel's log",
    "make a device",
}


@pytest.fixture
def context(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What a sandbox must not reach on the host, and the process that it must not kill."""
    neighbour = tmp_path / "submission_E002.zip"
    neighbour.write_bytes(b"another team's")
    (tmp_path / "store").mkdir()
    store = tmp_path / "store" / "ledger.sqlite"
    store.write_bytes(b"the scores")
    for path in (neighbour, store):
        path.chmod(0o644)
    cache_folder().mkdir(parents=True, exist_ok=True)
    marker = f"CAD1_MARKER={tmp_path.name}-of-the-host"
    name, _, value = marker.partition("=")
    victim = subprocess.Popen(["sleep", "600"], env=os.environ | {name: value})
    abstract = f"cad1-test-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(b"\0" + abstract.encode())
        local.listen()
        try:
            yield {
                "acts": ACTS,
                "port": server.getsockname()[1],
                "abstract": abstract,
                "marker": marker,
                "victim": victim.pid,
                "neighbour": str(neighbour),
                "store": str(store),
                "home": str(cache_folder().parent),
                "at home": cache_folder().name,
                "folders": [
                    str(tmp_path),
                    "/",
                    "/usr",
                    "/data",
                    "/submission",
                    "/job",
                    "/dev",
                    "/proc",
                    "/dev/shm",
                ],
                "process": victim,
            }
        finally:
            victim.kill()
            victim.wait()


def report_of(sandbox: Sandbox, task: Task) -> dict[str, Any]:
    """The script's report, which it prints to standard error before it ends as a broken evaluator."""
    with pytest.raises(InternalError) as caught:
        list(sandbox.run(task))
    assert "REPORT" in caught.value.detail, caught.value.detail
    report: dict[str, Any] = json.loads(caught.value.detail.partition("REPORT")[2])
    return report


def script(context: dict[str, Any], acts: set[str] | None = None) -> str:
    known = {name: value for name, value in context.items() if name != "process"}
    return f"CONTEXT = {known | ({} if acts is None else {'acts': sorted(acts)})!r}\n{SCRIPT}"


def has_landlock() -> bool:
    """Whether this kernel has Landlock."""
    return int(ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), ctypes.c_uint32(1))) > 0


@pytest.mark.parametrize("kind", [pytest.param("docker", marks=pytest.mark.docker), "bubblewrap"])
def test_every_forbidden_action_is_refused(
    imposter: Callable[[str, str], Sandbox], kind: str, task: MakeTask, context: dict[str, Any]
) -> None:
    report = report_of(imposter(kind, script(context)), task())
    check(report, kind)
    assert context["process"].poll() is None, "the host's process was killed"


def check(report: dict[str, Any], kind: str) -> None:
    assert set(report["acts"]) == set(ACTS)
    possible = {name: result for name, result in report["acts"].items() if not result.startswith("refused")}
    allowed = OWN_PROCESSES if kind == "docker" else set() if has_landlock() else NEED_LANDLOCK
    assert set(possible) <= allowed, possible
    facts = report["facts"]
    assert set(facts["users"]) == {65534}
    assert {facts["status"][name] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert facts["status"]["NoNewPrivs"] == "1"
    assert facts["status"]["Seccomp"] == "2"
    assert facts["processes"] <= 3
    assert facts["interfaces"] == ["lo"]
    assert facts["submission"] == []
    assert facts["temporary"] == 64 * 2**20
    assert facts["core"] == [0, 0]
    if kind == "docker":
        assert facts["files"] == limits.TEMPORARY_FILES


def test_without_a_sandbox_the_actions_are_possible(
    imposter: Callable[[str, str], Sandbox], task: MakeTask, context: dict[str, Any]
) -> None:
    acts = set(ACTS) - HARMFUL_OR_ELSEWHERE - (set() if os.geteuid() == 0 else ROOT_ONLY)
    report = report_of(imposter("process", script(context, acts)), task())
    assert set(report["acts"]) == acts
    refused = {name: result for name, result in report["acts"].items() if not result.startswith("possible")}
    assert not refused
    assert context["process"].wait(10) == -9


def test_an_ordinary_users_bubblewrap_refuses_them_too(
    context: dict[str, Any], monkeypatch: pytest.MonkeyPatch, bwrap: None
) -> None:
    """For test runs as root, whose own sandbox maps users in another way."""
    python = Path("/usr/bin/python3")
    if os.geteuid() != 0 or not python.exists():
        pytest.skip("needs root, and /usr/bin/python3; an ordinary user's run tests this in the test above")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        evaluator = replace(write_program(folder / "tree", script(context)), python=python)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, ORDINARY, ORDINARY)
        monkeypatch.setattr(bubblewrap, "find_program", lambda lock, name: evaluator)
        asked = Task("fast", lambda: (_ for _ in ()), seconds=120.0, memory=2**30)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setresgid(ORDINARY, ORDINARY, ORDINARY)
                os.setresuid(ORDINARY, ORDINARY, ORDINARY)
                os.write(writing, json.dumps(report_of(BubblewrapSandbox(), asked)).encode())
            except BaseException as error:
                os.write(writing, json.dumps({"error": str(error)}).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            report = json.loads(pipe.read())
        os.waitpid(child, 0)
    if "can't create a sandbox" in report.get("error", ""):
        pytest.skip(report["error"])
    assert "error" not in report, report["error"]
    check(report, "bubblewrap")
    assert context["process"].poll() is None
