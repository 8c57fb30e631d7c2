"""Runs shards in sandboxes, several at a time: retries after machine faults, and splits a shard that fails.

When a shard fails, the examples that were being scored go into shards of their own, and the others continue
without them. An example that fails alone is tried once more. So an example that hangs or exceeds its memory affects
no other.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Protocol, TypeVar

from harness.protocol.errors import HarnessError, MachineError, SetupError
from harness.protocol.records import (
    AuditScore,
    AuditStem,
    Done,
    Example,
    ExampleFailure,
    ExampleScore,
    Hello,
    SongReferences,
)
from harness.sandbox.contract import Result, Sandbox, Stopped, Task

Item = TypeVar("Item", Example, AuditStem)

RETRY_WAITS = (2.0, 10.0, 30.0)
"""Seconds before each retry after a machine fault; an engine that restarts is back within that."""

TRIES_ALONE = 2
"""How often an example is tried alone: a machine under load fails once, a bad example twice."""

MAX_FAILURES_IN_A_ROW = 3
"""A run ends after so many examples failed alone and none was scored between: the examples are not the cause."""


@dataclass(frozen=True)
class Shard:
    """Work for one sandbox: examples of one song, or stems of one song to audit.

    Attributes:
        batch: Number of examples that are scored together; if the sandbox fails, one of them is the cause.
        failures: How often the shard has failed while it held a single example or stem.
    """

    examples: tuple[Example, ...] = ()
    audits: tuple[AuditStem, ...] = ()
    batch: int = 1
    failures: int = 0

    @property
    def size(self) -> int:
        """Number of answers that the sandbox owes."""
        return len(self.examples) + len(self.audits)

    @property
    def song(self) -> str:
        """The song of every example and stem in the shard."""
        return self.examples[0].song if self.examples else self.audits[0].song

    def split(self) -> tuple[Shard, ...]:
        """A shard for each example or stem that was being scored, and the rest of the shard, if any."""
        if self.examples:
            alone = tuple(Shard(examples=(one,)) for one in self.examples[: self.batch])
            rest = replace(self, examples=self.examples[self.batch :])
        else:
            alone = (Shard(audits=self.audits[:1]),)
            rest = replace(self, audits=self.audits[1:])
        return (*alone, rest) if rest.size else alone

    def without_examples(self, examples: Sequence[Example]) -> Shard:
        """The shard without these examples."""
        return replace(self, examples=tuple(one for one in self.examples if one not in examples))

    def without(self, line: Result) -> Shard:
        """The shard without what this line answers."""
        if isinstance(line, AuditScore):
            audits = tuple(
                a
                for a in self.audits
                if (a.song, a.listener, a.value) != (line.song, line.listener, line.value)
            )
            return replace(self, audits=audits)
        if isinstance(line, Done | SongReferences):
            return self
        example = Example(song=line.song, listener=line.listener)
        if example in self.examples:
            return replace(self, examples=tuple(one for one in self.examples if one != example))
        audits = tuple(a for a in self.audits if (a.song, a.listener) == (line.song, line.listener))
        return replace(self, audits=tuple(a for a in self.audits if a not in audits[:1]))


class ResultSink(Protocol):
    """Makes the tasks of shards and takes their results; called from several threads."""

    def make_task(self, shard: Shard, *, stop: threading.Event) -> Task:
        """The task that runs a shard, with its limits."""
        ...

    def accept(self, line: Hello | Result, *, source: object) -> None:
        """Stores a line from a sandbox; `source` identifies the sandbox."""
        ...

    def record_failure(self, shard: Shard, error: HarnessError) -> None:
        """Records that a shard of one example or stem has failed and is not tried again."""
        ...

    def record_error(self, error: HarnessError) -> None:
        """Records that a sandbox failed after its last answer; its answers are stored."""
        ...

    def spend(self, seconds: float) -> None:
        """Notes for how long a sandbox has run."""
        ...

    def log(self, text: str) -> None:
        """Writes a line to the log."""
        ...


class ShardRunner:
    """Runs shards until every example and stem is answered or has failed for good.

    Args:
        sandbox: The sandbox to run them in.
        sink: Takes the results.
        workers: Number of sandboxes that run at the same time.
    """

    def __init__(self, sandbox: Sandbox, sink: ResultSink, *, workers: int) -> None:
        self._sandbox = sandbox
        self._sink = sink
        self._workers = workers
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._failures_in_a_row = 0

    def stop(self) -> None:
        """Ends the running sandboxes soon, and starts no new ones."""
        self._stop.set()

    def run(self, shards: Iterable[Shard]) -> None:
        """Runs the shards in their order; what is left of one that failed comes before the next.

        So an evaluator that hangs on everything is found out within the first song, not after the last.

        Raises:
            HarnessError: Continuing makes no sense; what was answered until then is stored.
        """
        waiting = deque(shards)
        pending: set[Future[tuple[Shard, ...]]] = set()
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="shard")
        try:
            while waiting or pending:
                while waiting and len(pending) < self._workers:
                    pending.add(pool.submit(self._run_one, waiting.popleft()))
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    waiting.extendleft(reversed(future.result()))
        except BaseException:
            self._stop.set()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _run_one(self, shard: Shard) -> tuple[Shard, ...]:
        """Runs one shard; returns the shards to run for what it left unanswered."""
        for delay in (*RETRY_WAITS, None):
            if self._stop.is_set():
                return ()
            shard, error = self._run_sandbox(shard)
            if error is None:
                return ()
            if not shard.size:
                self._finish_answered(error)
                return ()
            if not isinstance(error, MachineError):
                return self._handle_failure(shard, error)
            if delay is None:
                raise error
            self._sink.log(f"{error.message} Retrying in {delay:.0f} s.")
            self._stop.wait(delay)
        raise AssertionError("the last try returns or raises")

    def _finish_answered(self, error: HarnessError) -> None:
        """Handles an error of a sandbox that has given every answer.

        A machine fault then concerns only the clean-up, which the next sandbox, run or `cad1 clean` does.
        """
        if isinstance(error, MachineError):
            self._sink.log(f"{error.message} Its answers are stored.")
        else:
            self._sink.record_error(error)

    def _run_sandbox(self, shard: Shard) -> tuple[Shard, HarnessError | None]:
        """Runs one sandbox on a shard; returns what is still unanswered, and the error that ended it."""
        source, started = object(), time.monotonic()
        task = self._sink.make_task(shard, stop=self._stop)
        found: HarnessError | None = None
        try:
            with closing(self._sandbox.run(task)) as lines, suppress(Stopped):
                for line in lines:
                    self._sink.accept(line, source=source)
                    if not isinstance(line, Hello):
                        shard = shard.without(line)
                    if isinstance(line, ExampleScore | AuditScore | ExampleFailure):
                        self._failures_in_a_row = 0
        except HarnessError as error:
            found = error
        self._sink.spend(time.monotonic() - started)
        return shard.without_examples(task.skipped), found

    def _handle_failure(self, shard: Shard, error: HarnessError) -> tuple[Shard, ...]:
        """Returns the shards to run after a failure, or records it as final."""
        if isinstance(error, SetupError):
            raise error  # every other shard would fail the same way
        if shard.size > 1:
            self._sink.log(f"{shard.song}: {error.message} Splitting the rest of the song.")
            return shard.split()
        if shard.failures + 1 < TRIES_ALONE:
            self._sink.log(f"{shard.song}: {error.message} Retrying once.")
            return (replace(shard, failures=shard.failures + 1),)
        self._sink.record_failure(shard, error)
        with self._lock:
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
                raise type(error)(
                    f"{MAX_FAILURES_IN_A_ROW} examples in a row failed and none was scored; "
                    f"the last: {error.message}",
                    hint=f"The examples are probably not the cause. {error.hint}",
                    detail=error.detail,
                )
        return ()


def by_song(items: Iterable[Item]) -> Iterator[tuple[str, Iterator[Item]]]:
    """Groups consecutive items of one song, so that a sandbox reads and prepares the song once."""
    return groupby(items, key=lambda item: item.song)
