"""The files in a sandbox's /tmp, counted from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.sandbox.local.child import process_tree
from harness.sandbox.local.inodes import temporary_inodes

PYTHON = str(Path(sys.executable).resolve())
"""The interpreter itself: a virtual environment may be in /tmp, which the sandbox hides."""

READ_ONLY_ROOT = ("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc")
SCRIPT = """
import os, sys
print("ready", flush=True)
for line in sys.stdin:
    for number in range(int(line)):
        os.mkdir(f"/tmp/{number}")
    print("made", flush=True)
"""


@contextmanager
def started(*options: str) -> Iterator[subprocess.Popen[str]]:
    """A script under bubblewrap that makes as many folders as it reads."""
    command = ["bwrap", "--unshare-user", "--unshare-pid", *READ_ONLY_ROOT, *options, "--"]
    child = subprocess.Popen(
        [*command, PYTHON, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "ready\n"
        yield child
    finally:
        child.stdin.close()
        child.wait(10)
        child.stdout.close()


def make(child: subprocess.Popen[str], count: int) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(f"{count}\n")
    child.stdin.flush()
    assert child.stdout.readline() == "made\n"


def test_folders_in_a_sandboxs_tmp_are_counted(bwrap: None) -> None:
    with started("--tmpfs", "/tmp") as child:
        before = temporary_inodes(process_tree(child.pid))
        assert before < 10
        make(child, 5000)
        assert temporary_inodes(process_tree(child.pid)) == before + 5000
        assert temporary_inodes([child.pid]) == 0, "bubblewrap's own process has the host's /tmp"
    assert temporary_inodes(process_tree(child.pid)) == 0


def test_a_sandbox_without_a_tmp_has_no_files(bwrap: None) -> None:
    with started("--tmpfs", "/", "--ro-bind", "/usr", "/usr", *links(), *python()) as child:
        assert temporary_inodes(process_tree(child.pid)) == 0


def links() -> list[str]:
    """The libraries at the top of the root folder, as links into /usr or as folders."""
    options: list[str] = []
    for name in ("lib", "lib64"):
        top = Path("/", name)
        options += ["--symlink", str(top.readlink()), str(top)] if top.is_symlink() else []
        options += ["--ro-bind", str(top), str(top)] if top.is_dir() and not top.is_symlink() else []
    return options


def python() -> list[str]:
    return ["--ro-bind", sys.base_prefix, sys.base_prefix]


def test_processes_of_the_host_and_ended_ones_have_none() -> None:
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    ended.wait()
    assert temporary_inodes([os.getpid(), ended.pid]) == 0
