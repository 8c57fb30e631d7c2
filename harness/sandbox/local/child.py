"""A sandbox that is a child process: its output, the limits of its process tree, and its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

import psutil

from harness.protocol import limits
from harness.protocol.errors import InternalError, SetupError
from harness.protocol.records import Hello, Job
from harness.sandbox.contract import Result, Task, printable
from harness.sandbox.conversation import Conversation
from harness.sandbox.stream import STDERR, STDOUT, ChunkQueue, listen, memory_exceeded

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


def resident(pid: int) -> int:
    """The resident memory in bytes of a process tree; 0 once it has ended."""
    total = 0
    for one in process_tree(pid):
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

    Attributes:
        exceeded: The limit that was exceeded, `memory` or `processes`; empty if none was.
    """

    def __init__(self, child: subprocess.Popen[bytes], *, memory: int, processes: int) -> None:
        self._child = child
        self._memory = memory
        self._processes = processes
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
            if resident(self._child.pid) > self._memory:
                self.exceeded = "memory"
            elif len(process_tree(self._child.pid)) > self._processes:
                self.exceeded = "processes"
            if self.exceeded:
                kill_tree(self._child)
                return

    def check(self, task: Task, conversation: Conversation) -> None:
        """Raises if a limit was exceeded.

        Raises:
            MemoryLimitError: If it was the memory limit.
            InternalError: If there were too many processes.
        """
        if self.exceeded == "memory":
            raise memory_exceeded(task, conversation)
        if self.exceeded:
            raise InternalError(
                f"The evaluator started more than {self._processes} processes and was stopped.",
                hint="Scores stored before are kept. The log in the store holds the evaluator's output.",
                detail=printable(conversation.diagnostics),
            )


def converse(child: subprocess.Popen[bytes], job: Job, task: Task) -> Iterator[Hello | Result]:
    """Yields the child's records until it ends, the deadline passes or it exceeds its limits.

    Args:
        child: The evaluator, with pipes for its standard streams.
        job: What it was asked.
        task: Its deadline and its memory limit.

    Raises:
        DeadlineError, MemoryLimitError, InternalError, SetupError, Stopped: See `Sandbox.run`.
    """
    conversation = Conversation(job)
    chunks = ChunkQueue(_reader(STDOUT, child.stdout), _reader(STDERR, child.stderr))
    with LimitWatcher(child, memory=task.memory, processes=limits.PROCESSES) as watcher:
        try:
            yield from listen(
                chunks, conversation, task, check_limits=lambda: watcher.check(task, conversation)
            )
            code = _end_of(child)
        finally:
            chunks.stop()
    watcher.check(task, conversation)
    if code in {-signal.SIGKILL, 128 + signal.SIGKILL} and not conversation.complete:
        raise memory_exceeded(task, conversation)  # by the kernel's OOM killer: nothing else kills it
    if code is None:
        raise InternalError(
            "The evaluator closed its output but did not end.",
            hint="Scores stored before are kept. The log in the store holds the evaluator's output.",
            detail=printable(conversation.diagnostics),
        )
    if code != 0:
        raise InternalError(
            f"The evaluator ended with code {code} before its work was done.",
            hint="Scores stored before are kept. The log in the store holds the evaluator's output.",
            detail=printable(conversation.diagnostics),
        )
    conversation.finish()


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


def kill(child: subprocess.Popen[bytes]) -> None:
    """Kills the child's process tree, waits until it is gone and closes the child's pipes.

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
        raise _stuck(alive)


def _stuck(alive: list[psutil.Process]) -> SetupError:
    numbers = ", ".join(str(process.pid) for process in alive)
    return SetupError(
        f"The evaluator's processes {numbers} were killed and are still there after {END_GRACE:.0f} s.",
        hint="A disk that does not respond may block a process: check the kernel's log, or restart the machine.",
    )
