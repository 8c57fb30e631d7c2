"""A sandbox that is a child process: its output, the limits of its process tree, and its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

import psutil

from harness.protocol import limits
from harness.protocol.errors import InternalError, SetupError
from harness.protocol.lock import ProgramName
from harness.sandbox.chunks import STDERR, STDOUT, ChunkQueue
from harness.sandbox.contract import KEPT, Running, printable
from harness.sandbox.local.inodes import temporary_inodes

WATCH_SECONDS = 0.1
"""Seconds between two looks at a process tree's size: a memory bomb can exceed its limit by its speed, a few GB a
second at most, times this."""

END_GRACE = 20.0
"""Seconds within which a process tree has to end once its output has ended or it was killed."""


def process_tree(pid: int) -> list[int]:
    """The ids of a process and all its living descendants; empty once it has ended.

    A process in a PID namespace of its own stays in the tree when its parent ends: the namespace's first process,
    which belongs to the tree, adopts it.
    """
    if sys.platform != "linux" or not Path(f"/proc/self/task/{os.getpid()}/children").exists():
        try:
            return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
        except psutil.Error:
            return []
    found, pending = [], [pid]
    while pending:
        one = pending.pop()
        try:
            threads = list(Path(f"/proc/{one}/task").iterdir())
        except OSError:  # ended in between
            continue
        found.append(one)
        for thread in threads:
            try:
                pending += map(int, (thread / "children").read_text(encoding="ascii").split())
            except OSError:
                continue
    return found


def resident(tree: Iterable[int]) -> int:
    """The resident memory in bytes of the processes of a tree; 0 once they have ended."""
    total = 0
    for one in tree:
        try:
            total += psutil.Process(one).memory_info().rss
        except psutil.Error:
            continue
    return total


class LimitWatcher:
    """Kills a process tree that exceeds its limits, within a tenth of a second, from a thread of its own.

    Args:
        child: The root of the tree.
        memory: The most memory in bytes, of all processes together.
        processes: The most processes.
        files: The most files in the tree's own /tmp; None if it has none.

    Attributes:
        exceeded: The limit that was exceeded, `memory`, `processes` or `files`; empty if none was.
    """

    def __init__(
        self, child: subprocess.Popen[bytes], *, memory: int, processes: int, files: int | None
    ) -> None:
        self._child = child
        self._memory = memory
        self._processes = processes
        self._files = files
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="sandbox-watch")
        self.exceeded = ""

    def __enter__(self) -> LimitWatcher:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(WATCH_SECONDS):
            tree = process_tree(self._child.pid)
            if resident(tree) > self._memory:
                self.exceeded = "memory"
            elif len(tree) > self._processes:
                self.exceeded = "processes"
            elif self._files is not None and temporary_inodes(tree) > self._files:
                self.exceeded = "files"
            if self.exceeded:
                kill_tree(self._child)
                return


class RunningChild(Running):
    """A program in a child process, with pipes for its standard streams; a block watches its limits.

    Args:
        name: The program.
        child: The process.
        memory: Its memory limit in bytes.
        own_tmp: Whether it has a /tmp of its own.
    """

    def __init__(
        self, name: ProgramName, child: subprocess.Popen[bytes], *, memory: int, own_tmp: bool
    ) -> None:
        super().__init__(name, memory=memory)
        self._child = child
        files = limits.TEMPORARY_FILES if own_tmp else None
        self._watcher = LimitWatcher(child, memory=memory, processes=limits.PROCESSES, files=files)
        self.chunks = ChunkQueue(_reader(STDOUT, child.stdout), _reader(STDERR, child.stderr))

    def __enter__(self) -> RunningChild:
        self._watcher.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.chunks.stop()
        self._watcher.__exit__(kind, error, trace)

    def write(self, data: bytes | memoryview) -> None:
        """See `Running.write`."""
        assert self._child.stdin is not None  # it has pipes
        view = memoryview(data)
        while view:
            view = view[os.write(self._child.stdin.fileno(), view) :]

    def check_limits(self) -> None:
        """See `Running.check_limits`."""
        if self._watcher.exceeded == "memory":
            raise self.memory_exceeded()
        if self._watcher.exceeded:
            what = {
                "processes": f"started more than {limits.PROCESSES} processes",
                "files": f"made more than {limits.TEMPORARY_FILES} files in its /tmp",
            }
            raise InternalError(
                f"The {self.name} {what[self._watcher.exceeded]} and was stopped.",
                hint=KEPT.format(name=self.name),
                detail=printable(self.diagnostics),
            )

    def check_end(self, *, complete: bool) -> None:
        """See `Running.check_end`."""
        code = _end_of(self._child)
        self.check_limits()
        if code in {-signal.SIGKILL, 128 + signal.SIGKILL} and not complete:
            raise self.memory_exceeded()  # by the kernel's OOM killer: nothing else kills it
        if code != 0:
            raise self.ended_early(code)


def _end_of(child: subprocess.Popen[bytes]) -> int | None:
    try:
        return child.wait(END_GRACE)
    except subprocess.TimeoutExpired:
        return None


def _reader(name: int, stream: IO[bytes] | None) -> Callable[[], Iterator[tuple[int, bytes]]]:
    """Reads one of the child's streams until it ends."""

    def read() -> Iterator[tuple[int, bytes]]:
        while stream is not None and (raw := os.read(stream.fileno(), 65_536)):
            yield name, raw

    return read


def kill_tree(child: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Kills the child's process tree without waiting; returns the processes killed."""
    killed = []
    for pid in process_tree(child.pid):
        try:
            process = psutil.Process(pid)
            process.kill()
        except psutil.Error:  # ended in between
            continue
        killed.append(process)
    return killed


def kill(child: subprocess.Popen[bytes], name: str) -> None:
    """Kills the child's process tree, waits until it is gone and closes the child's pipes.

    Args:
        child: The root of the tree.
        name: What the program is called in an error.

    Raises:
        SetupError: If a process does not end.
    """
    killed = kill_tree(child)
    if child.poll() is None:
        child.kill()
    try:
        child.wait(END_GRACE)
        _, alive = psutil.wait_procs([one for one in killed if one.pid != child.pid], timeout=END_GRACE)
    except subprocess.TimeoutExpired:
        alive = [psutil.Process(child.pid)]
    for stream in (child.stdin, child.stdout, child.stderr):
        if stream is not None:
            stream.close()
    if alive:
        raise _stuck(alive, name)


def _stuck(alive: list[psutil.Process], name: str) -> SetupError:
    numbers = ", ".join(str(process.pid) for process in alive)
    return SetupError(
        f"The {name}'s processes {numbers} were killed and are still there after {END_GRACE:.0f} s.",
        hint="A disk that does not respond may block a process: check the kernel's log, or restart the machine.",
    )
