"""Reading a sandbox's output: chunks through a bounded queue, with the host's own deadline."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator

from harness.protocol.errors import DeadlineError, MemoryLimitError
from harness.protocol.records import Hello
from harness.sandbox.contract import Result, Stopped, Task, printable
from harness.sandbox.conversation import Conversation

STDOUT, STDERR = 1, 2
POLL = 0.5
"""Seconds between two looks at the task's `stop` and at the sandbox's limits."""

DEPTH = 64
"""Chunks that may wait in the queue: a flooding sandbox is blocked and does not fill the host's memory."""

Chunk = tuple[int, bytes]
"""The stream, `STDOUT` or `STDERR`, and a piece of its output."""


class ChunkQueue:
    """A bounded queue of chunks from reader threads to one consumer.

    Args:
        sources: An iterator of chunks for each thread; the output has ended once all of them have.
    """

    def __init__(self, *sources: Callable[[], Iterator[Chunk]]) -> None:
        self._queue: queue.Queue[Chunk | Exception | None] = queue.Queue(maxsize=DEPTH)
        self._stopped = threading.Event()
        self._open = len(sources)
        for source in sources:
            threading.Thread(target=self._read, args=(source,), daemon=True, name="sandbox-reader").start()

    def _read(self, source: Callable[[], Iterator[Chunk]]) -> None:
        try:
            for chunk in source():
                self._put(chunk)
                if self._stopped.is_set():
                    return
            self._put(None)
        except Exception as error:
            self._put(error)

    def _put(self, item: Chunk | Exception | None) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(item, timeout=POLL)
                return

    def get(self, seconds: float) -> Chunk | None:
        """The next chunk; None at the end of the output.

        Raises:
            queue.Empty: If none came in that time.
            Exception: Whatever a reader has raised.
        """
        while True:
            item = self._queue.get(timeout=seconds)
            if isinstance(item, Exception):
                raise item
            if item is not None:
                return item
            self._open -= 1
            if not self._open:
                return None

    def stop(self) -> None:
        """Ends the reader threads."""
        self._stopped.set()


def listen(
    chunks: ChunkQueue,
    conversation: Conversation,
    task: Task,
    *,
    check_limits: Callable[[], None] = lambda: None,
) -> Iterator[Hello | Result]:
    """Yields the records of a conversation until the output ends.

    Args:
        chunks: The sandbox's output.
        conversation: Checks it against the protocol.
        task: Gives the deadline, counted from now, and the longest silence.
        check_limits: Called at least every half second; may raise.

    Raises:
        DeadlineError: If the deadline has passed.
        InternalError, SetupError: See `Conversation.feed`.
        Stopped: If the host has set the task's `stop`.
    """
    end = time.monotonic() + task.seconds
    silent = time.monotonic() + task.patience
    while True:
        if task.stop.is_set():
            raise Stopped
        left = min(end, silent) - time.monotonic()
        if left <= 0:
            raise _deadline_passed(task, conversation, silent=silent < end)
        check_limits()
        try:
            chunk = chunks.get(min(left, POLL))
        except queue.Empty:
            continue
        if chunk is None:
            return
        stream, raw = chunk
        if stream == STDERR:
            conversation.note(raw)
        else:
            for record in conversation.feed(raw):
                silent = time.monotonic() + task.patience
                yield record


def _deadline_passed(task: Task, conversation: Conversation, *, silent: bool) -> DeadlineError:
    """The error for a sandbox that took too long, in total or since its last answer."""
    what = (
        f"after {task.patience:.0f} s without an answer"
        if silent
        else f"at its deadline of {task.seconds:.0f} s"
    )
    return DeadlineError(
        f"Scoring was stopped {what}.",
        hint="Scores stored before are kept; run the same command again to continue.",
        detail=printable(conversation.diagnostics),
    )


def memory_exceeded(task: Task, conversation: Conversation) -> MemoryLimitError:
    """The error for a sandbox that exceeded its memory limit."""
    return MemoryLimitError(
        f"Scoring was stopped at its memory limit of {task.memory / 2**30:.1f} GiB.",
        hint="Scores stored before are kept. `--engine fast` needs far less memory than pyclarity; "
        "fewer `--workers` leave more for each.",
        detail=printable(conversation.diagnostics),
    )
