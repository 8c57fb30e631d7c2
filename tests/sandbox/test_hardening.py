"""What a container forbids: everything is tried from inside, on a real engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from harness.protocol.errors import InternalError
from harness.sandbox.contract import Sandbox, Task
from harness.sandbox.docker.container import HARDENING
from tests.sandbox.imposters import PYTHON

if TYPE_CHECKING:
    import docker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

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
    "host files": [name for name in ("/submission", "/data", "/job") if os.path.exists(name)],
    "threads": {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")},
    "tmp bytes": os.statvfs("/tmp").f_blocks * os.statvfs("/tmp").f_frsize,
}
sys.stderr.write("REPORT" + json.dumps(report) + "\n")
"""


def test_nothing_forbidden_works_inside(probe: Callable[[str], Sandbox], task: Callable[..., Task]) -> None:
    with pytest.raises(InternalError) as caught:
        list(probe(TRY_EVERYTHING).run(task()))
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
    assert report["host files"] == []
    assert set(report["threads"].values()) == {"1"}
    assert report["tmp bytes"] == 64 * 2**20


def test_the_system_call_filter_is_ours(engine: docker.DockerClient, image: str) -> None:
    """The engine's own profile allows both of these calls; ours allows neither."""
    script = "import ctypes, os; c = ctypes.CDLL(None, use_errno=True)\n"
    script += "print([(c.inotify_init1(0), ctypes.get_errno()), (c.ptrace(0, 0, 0, 0), ctypes.get_errno())])"
    answers = []
    for options in (HARDENING, HARDENING | {"security_opt": ["no-new-privileges:true"]}):
        raw = engine.containers.run(image, ["-c", script], entrypoint=PYTHON, remove=True, **options)
        answers.append(raw.decode().strip())
    assert answers[1] == "[(3, 0), (0, 0)]"
    assert answers[0] in {
        "[(-1, 1), (-1, 1)]",
        "[(-1, 38), (-1, 1)]",
    }  # older engines can't set ENOSYS for the rest
