"""The container against a real engine: every forbidden thing is tried from within, every limit is run into."""

from __future__ import annotations

import json
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
from harness.protocol.records import Example, ExampleScore, Hello
from harness.sandbox.contract import Stopped, Task
from harness.sandbox.docker.container import (
    HARDENING,
    LABEL,
    DockerSandbox,
    check_readable,
    is_alive,
    process_stamp,
    sweep,
)
from harness.sandbox.local.environment import fixed
from harness.sandbox.selfcheck import verify
from validator import Challenge

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

MakeTask = Callable[..., Task]

TRY_EVERYTHING = r"""
import ctypes, json, os, pathlib, socket, stat, sys

def attempt(work):
    try:
        return repr(work())
    except BaseException as error:
        return f"refused: {type(error).__name__}"

def writable():
    found = []
    for place, folders, files in os.walk("/"):
        if place.startswith(("/proc", "/sys/fs")):
            folders.clear()
            continue
        for name in [".", *files]:
            path = os.path.join(place, name)
            try:
                mode = os.lstat(path).st_mode
                if stat.S_ISDIR(mode):
                    probe = os.path.join(path, "probe")
                    with open(probe, "w"):
                        found.append(place)
                    os.unlink(probe)
                elif stat.S_ISREG(mode) and not place.startswith("/tmp"):
                    os.close(os.open(path, os.O_WRONLY))
                    found.append(path)
            except OSError:
                pass
    return found

def connect(address):
    with socket.create_connection(address, timeout=3):
        return "connected"

def execute_in_tmp():
    pathlib.Path("/tmp/program").write_bytes(pathlib.Path("/bin/true").read_bytes())
    os.chmod("/tmp/program", 0o755)
    pid = os.posix_spawn("/tmp/program", ["/tmp/program"], {})
    return os.waitpid(pid, 0)

libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), name)

status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
report = {
    "uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(),
    "capabilities": [status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
    "no_new_privs": status["NoNewPrivs"], "seccomp": status["Seccomp"],
    "interfaces": sorted(os.listdir("/sys/class/net")),
    "writable": attempt(writable),
    "connect": attempt(lambda: connect(("1.1.1.1", 53))),
    "host": attempt(lambda: connect(("172.17.0.1", 22))),
    "execute in /tmp": attempt(execute_in_tmp),
    "mount": attempt(lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None)),
    "unshare": attempt(lambda: call("unshare", 0x10000000)),
    "setuid": attempt(lambda: os.setuid(0)),
    "chown": attempt(lambda: os.chown("/tmp", 0, 0)),
    "shadow": attempt(lambda: open("/etc/shadow").read()),
    "docker socket": os.path.exists("/var/run/docker.sock"),
    "core": __import__("resource").getrlimit(__import__("resource").RLIMIT_CORE),
    "pid 1": open("/proc/1/comm").read().strip(),
    "submission": os.listdir("/submission"),
    "threads": {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")},
    "tmp bytes": os.statvfs("/tmp").f_blocks * os.statvfs("/tmp").f_frsize,
}
sys.stderr.write("REPORT" + json.dumps(report) + "\n")
"""


def containers_of(engine: docker.DockerClient, pid: int) -> list[Container]:
    """The containers that a process has made; others on this engine are no business of ours."""
    return engine.containers.list(all=True, filters={"label": f"{LABEL}={process_stamp(pid)}"})


def leftovers(engine: docker.DockerClient) -> int:
    return len(containers_of(engine, os.getpid()))


def test_nothing_forbidden_works_inside(
    engine: docker.DockerClient, probe: Callable[[str], str], task: MakeTask
) -> None:
    sandbox = DockerSandbox(image=probe(TRY_EVERYTHING))
    with pytest.raises(InternalError) as caught:
        list(sandbox.run(task()))
    report = json.loads(caught.value.detail.partition("REPORT")[2])
    assert report["uid"] == report["gid"] == 65534
    assert set(report["groups"]) <= {65534}
    assert set(report["capabilities"]) == {"0000000000000000"}
    assert report["no_new_privs"] == "1"
    assert report["seccomp"] == "2"
    assert report["interfaces"] == ["lo"]
    assert report["writable"] == "['/tmp']"
    for forbidden in ("connect", "host", "execute in /tmp", "mount", "unshare", "setuid", "chown", "shadow"):
        assert report[forbidden].startswith("refused"), forbidden
    assert report["docker socket"] is False
    assert report["core"] == [0, 0]
    assert "init" in report["pid 1"]
    assert report["submission"] == ["submission_E001.zip"]
    assert set(report["threads"].values()) == {"1"}
    assert report["tmp bytes"] == 64 * 2**20
    assert leftovers(engine) == 0


def test_the_memory_limit_holds(
    engine: docker.DockerClient, probe: Callable[[str], str], task: MakeTask
) -> None:
    sandbox = DockerSandbox(image=probe("held = [bytearray(2**20) for _ in range(4096)]\nprint(len(held))"))
    with pytest.raises(MemoryLimitError, match=r"memory limit of 0\.2 GiB"):
        list(sandbox.run(task(memory=200 * 2**20)))
    assert leftovers(engine) == 0


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


def test_a_fork_bomb_ends_at_the_pids_limit(probe: Callable[[str], str], task: MakeTask) -> None:
    with pytest.raises(InternalError, match="ended with code 9") as caught:
        list(DockerSandbox(image=probe(FORK)).run(task()))
    assert int(caught.value.detail.partition("FORKS ")[2]) < 64


def test_the_deadline_is_the_hosts(
    engine: docker.DockerClient, probe: Callable[[str], str], task: MakeTask
) -> None:
    script = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(3600)"
    sandbox = DockerSandbox(image=probe(script))
    sandbox.prepare()
    started = time.monotonic()
    with pytest.raises(DeadlineError, match="deadline of 3 s"):
        list(sandbox.run(task(seconds=3.0)))
    assert time.monotonic() - started < 60.0  # a guard against hanging, not a measurement
    assert leftovers(engine) == 0


def test_the_host_can_stop_it(
    engine: docker.DockerClient, probe: Callable[[str], str], task: MakeTask
) -> None:
    sandbox = DockerSandbox(image=probe("import time\ntime.sleep(3600)"))
    asked = task()
    asked.stop.set()
    with pytest.raises(Stopped):
        list(sandbox.run(asked))
    assert leftovers(engine) == 0


@pytest.mark.parametrize(
    ("script", "error", "what"),
    [
        ("import sys\nwhile True: sys.stdout.write('x' * 65536)", InternalError, "a line of more than"),
        ('print(\'{"type": "example"}\')', InternalError, "not of the protocol"),
        ("import os\nos.write(1, b'{')", InternalError, "an end in the middle"),
        ("import sys\nsys.exit(7)", InternalError, "ended with code 7"),
        ("import os\nos.kill(os.getpid(), 11)", InternalError, "ended with code"),
        (
            "while True: open('/tmp/' + __import__('uuid').uuid4().hex, 'wb').write(bytes(2**20))",
            InternalError,
            "code 1",
        ),
    ],
    ids=["flood", "garbage", "half a line", "exit code", "segmentation fault", "tmpfs filled"],
)
def test_a_broken_evaluator_is_told_and_removed(
    engine: docker.DockerClient,
    probe: Callable[[str], str],
    task: MakeTask,
    script: str,
    error: type[Exception],
    what: str,
) -> None:
    with pytest.raises(error, match=what):
        list(DockerSandbox(image=probe(script)).run(task()))
    assert leftovers(engine) == 0


def test_one_changed_byte_in_the_image_is_refused_and_named(
    image: str, derived: Callable[..., str], task: MakeTask
) -> None:
    changed = derived(
        {}, "RUN sed -i 's/65.0 - 20.0/65.0 - 20.1/' /opt/cad1/harness/references.py", "USER 65534:65534"
    )
    with pytest.raises(SetupError, match=r"harness/references\.py has SHA-256") as caught:
        list(DockerSandbox(image=changed).run(task()))
    assert caught.value.exit_code == 3
    unchanged = derived({}, "RUN true", "USER 65534:65534")
    assert any(isinstance(line, Hello) for line in DockerSandbox(image=unchanged).run(task()))


def test_one_changed_byte_of_pyclarity_is_refused_and_named(
    derived: Callable[..., str], task: MakeTask
) -> None:
    eb = "/opt/cad1/venv/lib/python3.11/site-packages/clarity/evaluator/haspi/eb.py"
    with pytest.raises(SetupError, match=r"pyclarity/evaluator/haspi/eb\.py has SHA-256"):
        list(DockerSandbox(image=derived({}, f"RUN echo >> {eb}", "USER 65534:65534")).run(task()))


def test_an_image_of_another_lock_is_refused_before_it_runs(derived: Callable[..., str]) -> None:
    other = derived({}, "LABEL cad1-harness.protocol.lock=0000")
    with pytest.raises(SetupError, match=r"built from another harness/scorer\.lock"):
        DockerSandbox(image=other).prepare()


def test_a_missing_image_says_how_to_build_it(engine: docker.DockerClient) -> None:
    with pytest.raises(SetupError) as caught:
        DockerSandbox(image="cad1-test:none").prepare()
    assert "cad1 image build" in caught.value.hint


def test_the_image_verifies_and_fixes_the_bits(engine: docker.DockerClient, image: str) -> None:
    environment, hello = verify(DockerSandbox())
    assert hello.locked
    assert hello.versions["pyclarity"] == "0.3.2"
    assert hello.versions["numpy"] == "1.24.4"
    assert environment.base_image not in {"", "unknown"}
    variables = dict(entry.partition("=")[::2] for entry in engine.images.get(image).attrs["Config"]["Env"])
    assert {name: variables.get(name) for name in fixed()} == fixed()


def test_an_unknown_runtime_is_told_before_any_example(image: str) -> None:
    with pytest.raises(SetupError, match=r"has no runtime nonesuch; it has .*runc") as caught:
        DockerSandbox(runtime="nonesuch").prepare()
    assert "daemon.json" in caught.value.hint


def test_a_runtime_is_passed_through_and_recorded(
    engine: docker.DockerClient, probe: Callable[[str], str], task: MakeTask
) -> None:
    sandbox = DockerSandbox(image=probe("import time\ntime.sleep(600)"), runtime="runc")
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
    assert leftovers(engine) == 0


def test_the_filter_is_ours(engine: docker.DockerClient, image: str) -> None:
    """The engine's own profile allows both of these calls; ours neither."""
    script = "import ctypes, os; c = ctypes.CDLL(None, use_errno=True)\n"
    script += "print([(c.inotify_init1(0), ctypes.get_errno()), (c.ptrace(0, 0, 0, 0), ctypes.get_errno())])"
    answers = []
    for options in (HARDENING, HARDENING | {"security_opt": ["no-new-privileges:true"]}):
        raw = engine.containers.run(
            image, ["-c", script], entrypoint="/opt/cad1/venv/bin/python", remove=True, **options
        )
        answers.append(raw.decode().strip())
    assert answers[1] == "[(3, 0), (0, 0)]"
    assert answers[0] in {
        "[(-1, 1), (-1, 1)]",
        "[(-1, 38), (-1, 1)]",
    }  # older engines know one errno for the rest


def test_an_example_is_scored_on_a_read_only_root(image: str, synthetic_root: Path, task: MakeTask) -> None:
    challenge = Challenge.load(synthetic_root, split="test")
    song, listener = challenge.examples[0]
    lines = list(DockerSandbox().run(task(examples=(Example(song=song, listener=listener),))))
    scores = [line for line in lines if isinstance(line, ExampleScore)]
    assert len(scores) == 1
    assert all(value is not None and value > 0.5 for value in scores[0].values)  # true stems


def test_containers_of_dead_runs_are_swept_and_those_of_living_ones_kept(
    engine: docker.DockerClient, image: str
) -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    dead_stamp = f"{child.pid}@1"
    child.wait()
    dead = engine.containers.create(image, labels={LABEL: dead_stamp})
    living = engine.containers.create(image, labels={LABEL: process_stamp(os.getpid())})
    try:
        assert sweep(engine) >= 1
        names = {one.id for one in engine.containers.list(all=True, filters={"label": LABEL})}
        assert living.id in names
        assert dead.id not in names
    finally:
        living.remove(force=True)


def test_a_stamp_tells_processes_apart() -> None:
    stamp = process_stamp(os.getpid())
    assert is_alive(stamp)
    assert not is_alive(stamp + "0")
    assert not is_alive("nonsense")


def test_the_container_ends_when_the_host_is_killed(
    engine: docker.DockerClient, probe: Callable[[str], str], oracle_zip: Path, synthetic_root: Path
) -> None:
    """SIGKILL leaves no one to clean up: the container's standard input closes, and it ends by itself."""
    script = (
        "import sys\nsys.path.insert(0, '/opt/cad1')\nfrom harness.evaluator.job import _die_with_parent\n"
    )
    script += "_die_with_parent()\nimport time\ntime.sleep(3600)"
    host = f"""
from pathlib import Path
from harness.sandbox.base import Task
from harness.sandbox.docker import DockerSandbox
task = Task(split="test", engine="fast", submission=Path({str(oracle_zip)!r}), data=Path({str(synthetic_root)!r}),
            seconds=600.0, memory=2**29)
list(DockerSandbox(image={probe(script)!r}).run(task))
"""
    child = subprocess.Popen([sys.executable, "-c", host])
    try:
        (container,) = _wait_for(
            lambda: [c for c in containers_of(engine, child.pid) if c.status == "running"]
        )
        time.sleep(1.0)  # let the probe come up
    finally:
        child.kill()
        child.wait()

    def ended() -> bool:
        container.reload()
        return bool(container.status == "exited")

    assert _wait_for(ended)
    assert sweep(engine) >= 1
    with pytest.raises(NotFound):
        container.reload()


def _wait_for(look: Callable[[], Any], seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    pytest.fail(f"nothing happened in {seconds} s")


def test_files_closed_to_others_are_told_before_a_container_is_made(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    closed = tmp_path / "closed.flac"
    closed.write_bytes(b"")
    closed.chmod(0o600)
    with pytest.raises(SetupError, match="closed to other users"):
        check_readable(tmp_path)
    closed.chmod(0o644)
    check_readable(tmp_path)
