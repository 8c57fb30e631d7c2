"""A program's output: chunks from reader threads through a bounded queue."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator

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
