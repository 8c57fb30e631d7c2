"""A sandbox that is a child process: its output, its family's size, and its end."""

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

from harness.protocol.errors import BugError, HarnessError, SetupError
from harness.protocol.records import Hello, Job
from harness.sandbox.contract import Conversation, Result, Task, clean
from harness.sandbox.stream import STDERR, STDOUT, Pieces, listen, memory_exceeded

LOOK = 0.1
"""Seconds between two looks at a family's size: what a memory bomb can still take beyond its limit is its speed, a
few GB a second at most, times this."""

END_GRACE = 20.0
"""Seconds from the end of its output, or from being killed, until a family has to be gone."""


def family(pid: int) -> list[int]:
    """A process and everything it has started, as far as it is still there.

    A process in a namespace of its own stays in the family whatever becomes of its parent: the namespace's first
    process, which belongs to the family, adopts it.
    """
    if sys.platform != "linux" or not Path(f"/proc/self/task/{os.getpid()}/children").exists():
        try:
            return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
        except psutil.Error:
            return []
    found, open_ = [], [pid]
    while open_:
        one = open_.pop()
        try:
            threads = list(Path(f"/proc/{one}/task").iterdir())
        except OSError:  # ended in between
            continue
        found.append(one)
        for thread in threads:
            try:
                open_ += map(int, (thread / "children").read_text(encoding="ascii").split())
            except OSError:
                continue
    return found


def resident(pid: int) -> int:
    """The memory in bytes of a process and everything it has started; 0 once it has ended."""
    total = 0
    for one in family(pid):
        try:
            total += psutil.Process(one).memory_info().rss
        except psutil.Error:
            continue
    return total


class Watch:
    """Ends a family that outgrows its limits, within a tenth of a second and whatever the host does meanwhile.

    Args:
        child: The family's first.
        memory: The most memory in bytes, of all together.
        processes: The most processes.
    """

    def __init__(self, child: subprocess.Popen[bytes], *, memory: int, processes: int) -> None:
        self._child = child
        self._memory = memory
        self._processes = processes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True, name="sandbox-watch")
        self.exceeded = ""

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(LOOK):
            if resident(self._child.pid) > self._memory:
                self.exceeded = "memory"
            elif len(family(self._child.pid)) > self._processes:
                self.exceeded = "processes"
            if self.exceeded:
                kill_family(self._child)
                return

    def check(self, task: Task, conversation: Conversation) -> None:
        """Says which limit was hit, if one was.

        Raises:
            MemoryLimitError: If it was the memory's.
            BugError: If there were too many processes.
        """
        if self.exceeded == "memory":
            raise memory_exceeded(task, conversation)
        if self.exceeded:
            raise BugError(
                f"The evaluator started more than {self._processes} processes and was stopped.",
                hint="Examples scored until then are kept. The log in the store holds what it printed.",
                detail=clean(conversation.diagnostics),
            )


def converse(
    child: subprocess.Popen[bytes], job: Job, task: Task, *, processes: int
) -> Iterator[Hello | Result]:
    """Yields the child's records until it ends, the deadline passes or it outgrows its limits.

    Raises:
        DeadlineError, MemoryLimitError, BugError, SetupError, Stopped: See `Sandbox.run`.
    """
    conversation = Conversation(job)
    pieces = Pieces(_reader(STDOUT, child.stdout), _reader(STDERR, child.stderr))
    with Watch(child, memory=task.memory, processes=processes) as watch:
        try:
            yield from listen(pieces, conversation, task, watch=lambda: watch.check(task, conversation))
            code = _end_of(child)
        finally:
            pieces.stop()
    watch.check(task, conversation)
    if code in {-signal.SIGKILL, 128 + signal.SIGKILL} and not conversation.complete:
        raise memory_exceeded(
            task, conversation
        )  # by the machine's own last resort: nobody else has killed it
    if code is None:
        raise BugError(
            "The evaluator closed its output and did not end.",
            hint="Examples scored until then are kept. The log in the store holds what it printed.",
            detail=clean(conversation.diagnostics),
        )
    if code != 0:
        raise BugError(
            f"The evaluator ended with code {code} before its work was done.",
            hint="Examples scored until then are kept. The log in the store holds what it printed.",
            detail=clean(conversation.diagnostics),
        )
    conversation.finish()


def _end_of(child: subprocess.Popen[bytes]) -> int | None:
    try:
        return child.wait(END_GRACE)
    except subprocess.TimeoutExpired:
        return None


def _reader(number: int, stream: IO[bytes] | None) -> Callable[[], Iterator[tuple[int, bytes]]]:
    """Reads one of the child's streams until it ends."""

    def read() -> Iterator[tuple[int, bytes]]:
        while stream is not None and (raw := os.read(stream.fileno(), 65_536)):
            yield number, raw

    return read


def kill_family(child: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Ends the child and everything it has started, without waiting; returns whom."""
    killed = []
    for pid in family(child.pid):
        try:
            process = psutil.Process(pid)
            process.kill()
        except psutil.Error:  # ended by itself in between
            continue
        killed.append(process)
    return killed


def kill(child: subprocess.Popen[bytes]) -> None:
    """Ends the child and everything it has started, and waits until all of it is gone.

    Raises:
        HarnessError: If something of it does not end.
    """
    killed = kill_family(child)
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


def _stuck(alive: list[psutil.Process]) -> HarnessError:
    numbers = ", ".join(str(process.pid) for process in alive)
    return SetupError(
        f"The evaluator's processes {numbers} were killed and are still there after {END_GRACE:.0f} s.",
        hint="A disk that does not answer holds a process so: see the kernel's log, or restart the machine.",
    )
