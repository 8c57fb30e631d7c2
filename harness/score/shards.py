"""Shards in sandboxes, so many at a time. What a machine's fault stopped is tried again; what fails is split.

A shard that fails is taken apart: the examples that were being scored stand alone, each in a shard of its own, and
the others go on without them. Alone, one that fails gets one more chance. So an example that hangs or bursts its
memory costs itself and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Protocol

from harness.protocol.errors import HarnessError, MachineError, SetupError
from harness.protocol.records import AuditScore, AuditStem, Done, Example, ExampleFailure, ExampleScore, Hello
from harness.sandbox.contract import Result, Sandbox, Stopped, Task

RETRY_WAITS = (2.0, 10.0, 30.0)
"""Seconds before each new try after a machine's fault; an engine that restarts is back within that."""

CHANCES = 2
"""How often an example is tried alone: a machine under load fails once, a bad example twice."""

HOPELESS = 3
"""Examples that fail alone, one after another and none scored, before a run gives up: it is not the examples."""


@dataclass(frozen=True)
class Shard:
    """Questions to one sandbox: examples of one song, or stems of it to be audited.

    Attributes:
        batch: How many examples are scored together: when it fails, one of so many is to blame.
        failures: How often it has failed while it stood alone.
    """

    examples: tuple[Example, ...] = ()
    audits: tuple[AuditStem, ...] = ()
    batch: int = 1
    failures: int = 0

    @property
    def size(self) -> int:
        """How many answers it waits for."""
        return len(self.examples) + len(self.audits)

    @property
    def song(self) -> str:
        """The song that all of it is of."""
        return self.examples[0].song if self.examples else self.audits[0].song

    def split(self) -> tuple[Shard, ...]:
        """The questions that were being answered, each alone, and the rest."""
        if self.examples:
            alone = tuple(Shard(examples=(one,)) for one in self.examples[: self.batch])
            rest = replace(self, examples=self.examples[self.batch :])
        else:
            alone = (Shard(audits=self.audits[:1]),)
            rest = replace(self, audits=self.audits[1:])
        return (rest, *alone) if rest.size else alone

    def without(self, line: Result) -> Shard:
        """What is left once this answer has come."""
        if isinstance(line, AuditScore):
            audits = tuple(
                a
                for a in self.audits
                if (a.song, a.listener, a.value) != (line.song, line.listener, line.value)
            )
            return replace(self, audits=audits)
        if isinstance(line, Done):
            return self
        example = Example(song=line.song, listener=line.listener)
        if example in self.examples:
            return replace(self, examples=tuple(one for one in self.examples if one != example))
        audits = tuple(a for a in self.audits if (a.song, a.listener) == (line.song, line.listener))
        return replace(self, audits=tuple(a for a in self.audits if a not in audits[:1]))


class Books(Protocol):
    """Who is told what comes out; called from several threads."""

    def task(self, shard: Shard, *, stop: threading.Event) -> Task:
        """The shard as a sandbox takes it, with its limits."""
        ...

    def take(self, line: Hello | Result, *, source: object) -> None:
        """Stores an answer; `source` tells one sandbox from another."""
        ...

    def give_up(self, shard: Shard, error: HarnessError) -> None:
        """An example, or a stem to be audited, has failed alone and is not tried again."""
        ...

    def note(self, error: HarnessError) -> None:
        """A sandbox failed after its last answer; what it has answered is stored."""
        ...

    def say(self, text: str) -> None:
        """A sentence for the log."""
        ...


class Crew:
    """Runs shards until each is answered or given up.

    Args:
        sandbox: Where.
        books: Who takes the answers.
        workers: Sandboxes at a time.
    """

    def __init__(self, sandbox: Sandbox, books: Books, *, workers: int) -> None:
        self._sandbox = sandbox
        self._books = books
        self._workers = workers
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._hopeless = 0

    def stop(self) -> None:
        """Ends every sandbox; what runs ends soon, nothing new begins."""
        self._stop.set()

    def run(self, shards: Iterable[Shard]) -> None:
        """Runs them all.

        Raises:
            HarnessError: What leaves no sense in going on; what has been answered until then is stored.
        """
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="shard")
        try:
            open_: set[Future[tuple[Shard, ...]]] = {pool.submit(self._run_one, shard) for shard in shards}
            while open_:
                done, open_ = wait(open_, return_when=FIRST_COMPLETED)
                for future in done:
                    open_ |= {pool.submit(self._run_one, shard) for shard in future.result()}
        except BaseException:
            self._stop.set()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _run_one(self, shard: Shard) -> tuple[Shard, ...]:
        """Runs one shard; returns what is to be run for what it left unanswered."""
        for delay in (*RETRY_WAITS, None):
            if self._stop.is_set():
                return ()
            shard, error = self._converse(shard)
            if error is None:
                return ()
            if not shard.size:
                self._books.note(error)
                return ()
            if not isinstance(error, MachineError):
                return self._after(shard, error)
            if delay is None:
                raise error
            self._books.say(f"{error.message} Trying again in {delay:.0f} s.")
            self._stop.wait(delay)
        raise AssertionError("the last try returns or raises")

    def _converse(self, shard: Shard) -> tuple[Shard, HarnessError | None]:
        """One sandbox on one shard: what it left unanswered, and why."""
        source = object()
        try:
            task = self._books.task(shard, stop=self._stop)
            with closing(self._sandbox.run(task)) as lines, suppress(Stopped):
                for line in lines:
                    self._books.take(line, source=source)
                    if not isinstance(line, Hello):
                        shard = shard.without(line)
                    if isinstance(line, ExampleScore | AuditScore | ExampleFailure):
                        self._hopeless = 0
        except HarnessError as error:
            return shard, error
        return shard, None

    def _after(self, shard: Shard, error: HarnessError) -> tuple[Shard, ...]:
        if isinstance(error, SetupError):
            raise error  # no other shard would fare better
        if shard.size > 1:
            self._books.say(f"{shard.song}: {error.message} Splitting what is left of it.")
            return shard.split()
        if shard.failures + 1 < CHANCES:
            self._books.say(f"{shard.song}: {error.message} One more try for it.")
            return (replace(shard, failures=shard.failures + 1),)
        self._books.give_up(shard, error)
        with self._lock:
            self._hopeless += 1
            if self._hopeless >= HOPELESS:
                raise type(error)(
                    f"{self._hopeless} examples in a row failed and none was scored; the last: {error.message}",
                    hint=f"This is not the examples' doing. {error.hint}",
                    detail=error.detail,
                )
        return ()
