"""Reading a program's output with the host's own deadlines."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator

from harness.sandbox.chunks import POLL, STDERR
from harness.sandbox.contract import Running, Stopped


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
