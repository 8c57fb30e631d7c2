"""Reading a program's output: chunks through a bounded queue, with the host's own deadlines."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator

from harness.sandbox.contract import Running, Stopped

STDOUT, STDERR = 1, 2
POLL = 0.5
"""Seconds between two looks at `stop` and at the sandbox's limits."""

DEPTH = 64
"""Chunks that may wait in the queue: a flooding program is blocked and does not fill the host's memory."""

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


class Clock:
    """The deadlines of a program.

    Args:
        seconds: From now until it must have ended.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._when = f"at its deadline of {seconds:.0f} s"
        self._next = self._end

    def expect(self, seconds: float, *, when: str) -> None:
        """Something must happen within some seconds from now.

        Args:
            seconds: How long it may take.
            when: Ends the sentence "Scoring was stopped …" if it does not.
        """
        limit = time.monotonic() + seconds
        if limit < self._end:
            self._next, self._when = limit, when
        else:
            self._next, self._when = self._end, f"at its deadline of {self._seconds:.0f} s"

    def left(self) -> tuple[float, str]:
        """The seconds that are left, 0 or less if none are, and the end of the sentence for then."""
        return self._next - time.monotonic(), self._when


def read_output(running: Running, clock: Clock, stop: threading.Event) -> Iterator[bytes | None]:
    """Yields the pieces of a program's standard output until it ends; None now and then while nothing comes.

    Raises:
        DeadlineError: If the clock's time is over.
        MemoryLimitError, InternalError: If the program has exceeded a limit.
        Stopped: If `stop` is set.
    """
    while True:
        if stop.is_set():
            raise Stopped
        left, when = clock.left()
        if left <= 0:
            raise running.deadline_passed(when)
        running.check_limits()
        try:
            chunk = running.chunks.get(min(left, POLL))
        except queue.Empty:
            yield None
            continue
        if chunk is None:
            return
        stream, raw = chunk
        if stream == STDERR:
            running.note(raw)
        else:
            yield raw
