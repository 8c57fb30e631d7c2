"""The bubblewrap sandbox: every limit holds, nothing is left behind, scores equal the process sandbox's."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from harness.protocol.errors import DeadlineError, HarnessError, InternalError, MemoryLimitError, SetupError
from harness.protocol.records import AuditScore, Example, ExampleScore, Hello
from harness.sandbox.contract import Sandbox, Stopped, Task
from harness.sandbox.leftovers import sweep
from harness.sandbox.local import bubblewrap, environment
from harness.sandbox.local.bubblewrap import BubblewrapSandbox, find_bwrap, prefixes
from harness.sandbox.local.process import ProcessSandbox
from harness.sandbox.selfcheck import check_sandbox
from harness.sandbox.stamp import RUN_ENV, own_stamp
from tests.sandbox.imposters import EVALUATOR, write_program
from validator import Challenge

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("bwrap", "nothing_left")]

MakeTask = Callable[..., Task]
MIB = 2**20


def traces() -> set[str]:
    """This test's processes, by their stamp or as descendants, and temporary folders; no other run's."""
    found = {path.name for path in Path(tempfile.gettempdir()).glob(f"cad1-*{own_stamp()}-*")}
    children = {one.pid for one in psutil.Process().children(recursive=True)}
    for process in psutil.process_iter():
        try:
            if process.pid in children or process.environ().get(RUN_ENV) == own_stamp():
                found.add(f"{process.pid} {process.name()}")
        except psutil.Error:
            continue
    return found


@pytest.fixture
def nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Checks that no process, folder or open file of a sandbox is left once it has ended, however it ended.

    The processes inside get the run's stamp too, so that they are found wherever they are.
    """
    variables = environment.variables
    stamp = {RUN_ENV: own_stamp()}
    monkeypatch.setattr(bubblewrap, "variables", lambda *, temporary: variables(temporary=temporary) | stamp)
    before, open_files = traces(), psutil.Process().num_fds()
    yield
    assert traces() <= before
    assert psutil.Process().num_fds() <= open_files


Imposter = Callable[[str, str], Sandbox]

TOUCH = "held = bytearray({size})\nheld[::4096] = b'x' * len(held[::4096])\n"


@pytest.mark.parametrize(
    ("script", "memory", "error", "what"),
    [
        (
            "held = []\nwhile True: held.append(b'x' * 2**24)",
            300 * MIB,
            MemoryLimitError,
            r"memory limit of 0\.3 GiB",
        ),
        (
            f"import os, time\n{TOUCH.format(size=100 * MIB)}"
            f"for _ in range(2):\n    if os.fork() == 0:\n        held[::4096] = b'y' * {25 * 1024}\n"
            "        time.sleep(600)\ntime.sleep(600)",
            280 * MIB,
            MemoryLimitError,
            "memory limit",
        ),
        (
            "import os, time\nn = 0\nwhile True:\n    if os.fork() == 0: time.sleep(600)\n    n += 1\n"
            "    assert n < 64, n",
            16 * 1024 * MIB,
            InternalError,
            "ended with code 1|more than 64 processes",
        ),
        (
            "import os, time\nfor n in range(10**6):\n    os.mkdir(f'/tmp/{n}')",
            1024 * MIB,
            InternalError,
            "made more than 4096 files in its /tmp",
        ),
        ("import time\ntime.sleep(600)", 1024 * MIB, DeadlineError, "deadline of 4 s"),
        (
            "import os, signal, time\nfor one in range(1, 32):\n"
            "    if one not in (9, 19): signal.signal(one, signal.SIG_IGN)\n"
            "if os.fork() == 0: os.setsid()\nos.fork()\ntime.sleep(600)",
            1024 * MIB,
            DeadlineError,
            "deadline of 4 s",
        ),
        (
            "import sys\nwhile True: sys.stdout.write('x' * 65536)",
            1024 * MIB,
            InternalError,
            "a line of more than",
        ),
        ("import os\nos.write(1, b'{')", 1024 * MIB, InternalError, "its output ended before its last line"),
        ("print('{}')", 1024 * MIB, InternalError, "does not follow the protocol"),
        ("import sys\nsys.exit(7)", 1024 * MIB, InternalError, "ended with code 7"),
        ("import os\nos.kill(os.getpid(), 11)", 1024 * MIB, InternalError, "ended with code 139"),
        ("import os\nos.abort()", 1024 * MIB, InternalError, "ended with code 134"),
        (
            "n = 0\nwhile True:\n    n += 1\n    open(f'/tmp/{n}', 'wb').write(bytes(2**20))",
            1024 * MIB,
            InternalError,
            "ended with code 1",
        ),
        ("open('/tmp/large', 'wb').truncate(2**30)", 1024 * MIB, InternalError, "ended with code"),
        ("held = [open('/dev/null') for _ in range(300)]", 1024 * MIB, InternalError, "ended with code 1"),
    ],
    ids=[
        "memory bomb",
        "memory of the process tree",
        "fork bomb",
        "folders without end",
        "hang",
        "hang that ignores signals",
        "flood",
        "incomplete line",
        "garbage",
        "exit code",
        "segmentation fault",
        "abort",
        "tmpfs filled",
        "large file",
        "many files",
    ],
)
def test_every_limit_holds(
    imposter: Imposter, task: MakeTask, script: str, memory: int, error: type[HarnessError], what: str
) -> None:
    sandbox = imposter("bubblewrap", script)
    seconds = 4.0 if error is DeadlineError else 60.0
    with pytest.raises(error, match=what):
        list(sandbox.run(task(seconds=seconds, memory=memory)))


def test_the_host_limits_processes_if_the_kernel_does_not(
    imposter: Imposter, task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bubblewrap, "COUNTS_BY_NAMESPACE", (999, 0))
    bomb = "import os, time\nfor _ in range(200):\n    if os.fork() == 0: time.sleep(600)\ntime.sleep(600)"
    with pytest.raises(InternalError, match="more than 64 processes"):
        list(imposter("bubblewrap", bomb).run(task(memory=16 * 1024 * MIB)))


def test_the_host_can_stop_it(imposter: Imposter, task: MakeTask) -> None:
    asked = task()
    asked.stop.set()
    with pytest.raises(Stopped):
        list(imposter("bubblewrap", "import time\ntime.sleep(600)").run(asked))


def test_closing_it_ends_it(imposter: Imposter, task: MakeTask) -> None:
    records = imposter("bubblewrap", HELLO).run(task())
    assert isinstance(next(records), Hello)
    assert len(traces()) >= 2
    records.close()


HELLO = f"{EVALUATOR}\nhello()\ntime.sleep(600)\n"


def test_the_hosts_environment_does_not_leak(
    imposter: Imposter, task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    script = "import os, sys\nsys.stderr.write(repr(sorted(os.environ)))\nsys.exit(1)"
    with pytest.raises(InternalError) as caught:
        list(imposter("bubblewrap", script).run(task()))
    assert "SECRET_TOKEN" not in caught.value.detail
    assert "PYTHONPATH" not in caught.value.detail
    assert "NUMBA_NUM_THREADS" in caught.value.detail


def test_it_scores_the_same_bits_as_the_process_sandbox(synthetic_root: Path, task: MakeTask) -> None:
    challenge = Challenge.load(synthetic_root, split="test")
    asked = task(examples=tuple(Example(song=song, listener=one) for song, one in challenge.examples[:2]))
    values = []
    for sandbox in (BubblewrapSandbox(), ProcessSandbox()):
        records = list(sandbox.run(asked))
        values.append([line.values for line in records if isinstance(line, ExampleScore)])
        assert not any(isinstance(line, AuditScore) for line in records)
    assert len(values[0]) == 2
    assert values[0] == values[1]


def test_it_is_the_locked_environment(synthetic_root: Path) -> None:
    if environment.find_python() is None:
        pytest.skip("there is no Python 3.11 on this machine")
    found = check_sandbox(BubblewrapSandbox())
    assert found.environment.locked
    assert found.hello.locked
    assert found.environment.sandbox == "bubblewrap"
    assert "bubblewrap 0." in found.environment.base_image
    assert found.hello.versions["pyclarity"] == "0.3.2"


def test_without_python_311_the_result_is_unlocked_and_the_installation_is_hidden(
    synthetic_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "find_python", lambda: None)
    found = check_sandbox(BubblewrapSandbox())
    assert not found.environment.locked
    assert not found.hello.locked


def test_it_ends_when_the_host_is_killed(
    oracle_zip: Path, synthetic_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, temporary = tmp_path / "tree", tmp_path / "temporary"
    write_program(tree, f"import os, time\nif os.fork() == 0: time.sleep(600)\n{HELLO}")
    temporary.mkdir()
    host = f"""
import sys
from pathlib import Path
from harness.sandbox.local import bubblewrap
from harness.sandbox.contract import Task
from harness.sandbox.local.environment import Program
evaluator = Program(Path(sys.executable), Path({str(tree)!r}), None, True)
bubblewrap.find_program = lambda lock, name: evaluator
task = Task("fast", lambda: (_ for _ in ()), seconds=600.0, memory=2**30)
for line in bubblewrap.BubblewrapSandbox().run(task):
    print("ready", flush=True)
"""
    variables = os.environ | {"TMPDIR": str(temporary)}  # where no other run's sweep looks
    child = subprocess.Popen([sys.executable, "-c", host], stdout=subprocess.PIPE, text=True, env=variables)
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "ready\n"
        tree_of_child = psutil.Process(child.pid).children(recursive=True)
        assert len(tree_of_child) >= 4  # bubblewrap, the first process inside, the evaluator, its child
        name = next(temporary.glob(f"cad1-job-{child.pid}@*"))
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    _, alive = psutil.wait_procs(tree_of_child, timeout=30)
    assert not alive
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    assert str(name) in {one.name for one in sweep().removed}
    assert not name.exists()


def stub(folder: Path, text: str) -> None:
    """A shell script in bubblewrap's place."""
    program = folder / "bwrap"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_missing_bubblewrap_is_named_with_a_hint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="bubblewrap is not installed on this machine") as caught:
        find_bwrap()
    assert "apt-get install bubblewrap" in caught.value.hint


def test_an_old_bubblewrap_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stub(tmp_path, "echo bubblewrap 0.4.1")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"version 0\.4\.1; the sandbox needs 0\.7"):
        find_bwrap()


@pytest.mark.parametrize(
    ("switch", "value", "hint"),
    [
        ("_APPARMOR", "1", "kernel.apparmor_restrict_unprivileged_userns=0"),
        ("_CLONE", "0", "kernel.unprivileged_userns_clone=1"),
        ("_MAXIMUM", "0", "user.max_user_namespaces="),
        ("_MAXIMUM", "100", "Containers often forbid it"),
    ],
)
def test_forbidden_namespaces_are_named_before_any_example(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, switch: str, value: str, hint: str
) -> None:
    answer = (
        'case "$1" in --version) echo bubblewrap 0.8.0;; *) echo "bwrap: No permissions" >&2; exit 1;; esac'
    )
    stub(tmp_path, answer)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    for name in ("_APPARMOR", "_CLONE", "_MAXIMUM"):
        path = tmp_path / getattr(bubblewrap, name).name
        if name == switch:
            path.write_text(f"{value}\n")
        monkeypatch.setattr(bubblewrap, name, path)
    with pytest.raises(
        SetupError, match="can't create a sandbox on this machine: bwrap: No permissions"
    ) as caught:
        BubblewrapSandbox().prepare()
    assert hint in caught.value.hint


def test_a_python_whose_folder_contains_the_home_folder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path(sys.base_prefix) / "me")
    with pytest.raises(SetupError, match="contains your home folder"):
        prefixes(Path(sys.executable))


def test_a_submission_that_only_its_owner_can_read_is_scored(
    task: MakeTask, oracle_zip: Path, synthetic_root: Path
) -> None:
    """The sandbox's user, nobody, reads no file of the host."""
    song, listener = Challenge.load(synthetic_root, split="test").examples[0]
    oracle_zip.chmod(0o600)
    try:
        lines = list(BubblewrapSandbox().run(task(examples=(Example(song=song, listener=listener),))))
    finally:
        oracle_zip.chmod(0o644)
    assert [line.listener for line in lines if isinstance(line, ExampleScore)] == [listener]


def test_the_deadline_is_the_hosts(imposter: Imposter, task: MakeTask) -> None:
    started = time.monotonic()
    with pytest.raises(DeadlineError):
        list(imposter("bubblewrap", "while True: pass").run(task(seconds=3.0)))
    assert time.monotonic() - started < 60.0  # a guard against hanging, not a measurement
