"""Listening to a sandbox: pieces of its output through a bounded queue, under the host's own deadline."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator

from harness.protocol.errors import DeadlineError, MemoryLimitError
from harness.protocol.records import Hello
from harness.sandbox.contract import Conversation, Result, Stopped, Task, clean

STDOUT, STDERR = 1, 2
POLL = 0.5
"""Seconds between two looks at what is watched."""

DEPTH = 64
"""Pieces that may wait; a sandbox that floods is held back here, not in memory."""


class Pieces:
    """A bounded queue of (stream, bytes) from reader threads to the one who listens.

    Args:
        reads: One source of pieces per thread; the output has ended when all of them have.
    """

    def __init__(self, *reads: Callable[[], Iterator[tuple[int, bytes]]]) -> None:
        self._queue: queue.Queue[tuple[int, bytes] | Exception | None] = queue.Queue(maxsize=DEPTH)
        self._stopped = threading.Event()
        self._open = len(reads)
        for read in reads:
            threading.Thread(target=self._pump, args=(read,), daemon=True, name="sandbox-reader").start()

    def _pump(self, read: Callable[[], Iterator[tuple[int, bytes]]]) -> None:
        try:
            for piece in read():
                self._put(piece)
                if self._stopped.is_set():
                    return
            self._put(None)
        except Exception as error:
            self._put(error)

    def _put(self, item: tuple[int, bytes] | Exception | None) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(item, timeout=POLL)
                return

    def get(self, seconds: float) -> tuple[int, bytes] | None:
        """The next piece; None at the end of the output.

        Raises:
            queue.Empty: If nothing came in that time.
            Exception: Whatever reading has raised.
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
        """Lets the reader go."""
        self._stopped.set()


def listen(
    pieces: Pieces, conversation: Conversation, task: Task, *, watch: Callable[[], None] = lambda: None
) -> Iterator[Hello | Result]:
    """Yields the records of a conversation until the output ends.

    Args:
        pieces: The sandbox's output.
        conversation: Holds it to the protocol.
        task: Gives the deadline, counted from now, and the longest silence.
        watch: Called at least every half second; may raise.

    Raises:
        DeadlineError: When the deadline has passed.
        BugError, SetupError: See `Conversation.feed`.
        Stopped: When the host has set the task's `stop`.
    """
    end = time.monotonic() + task.seconds
    silent = time.monotonic() + task.patience
    while True:
        if task.stop.is_set():
            raise Stopped
        left = min(end, silent) - time.monotonic()
        if left <= 0:
            raise _late(task, conversation, silent=silent < end)
        watch()
        try:
            piece = pieces.get(min(left, POLL))
        except queue.Empty:
            continue
        if piece is None:
            return
        stream, raw = piece
        if stream == STDERR:
            conversation.note(raw)
        else:
            for record in conversation.feed(raw):
                silent = time.monotonic() + task.patience
                yield record


def _late(task: Task, conversation: Conversation, *, silent: bool) -> DeadlineError:
    """What is raised where a sandbox took too long, in all or for one example."""
    what = (
        f"after {task.patience:.0f} s without an answer"
        if silent
        else f"at its deadline of {task.seconds:.0f} s"
    )
    return DeadlineError(
        f"Scoring was stopped {what}.",
        hint="Examples scored until then are kept; run the same command again to go on.",
        detail=clean(conversation.diagnostics),
    )


def memory_exceeded(task: Task, conversation: Conversation) -> MemoryLimitError:
    """What is raised where a sandbox was stopped for its memory."""
    return MemoryLimitError(
        f"Scoring was stopped at its memory limit of {task.memory / 2**30:.1f} GiB.",
        hint="Examples scored until then are kept. `--engine fast` needs far less memory than pyclarity; "
        "fewer `--workers` leave more for each.",
        detail=clean(conversation.diagnostics),
    )
