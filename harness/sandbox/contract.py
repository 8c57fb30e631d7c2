"""The contract of a sandbox, and the protocol that every sandbox speaks.

A sandbox runs `python -m harness.evaluator` on one job: the job goes in as a read-only
file, JSON lines come out.
`Conversation` holds what comes out to the protocol, so that no implementation has to.

What `Sandbox.run` may raise, and nothing else: SetupError (no engine, image or environment not as the lock says),
DeadlineError, MemoryLimitError, and BugError (the sandbox crashed or broke the protocol).
"""

from __future__ import annotations

import math
import re
import secrets
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.protocol.errors import BugError, SetupError
from harness.protocol.records import (
    MAX_LINE_BYTES,
    AuditScore,
    AuditStem,
    Done,
    Engine,
    Example,
    ExampleFailure,
    ExampleScore,
    Hello,
    Job,
    LineError,
    Refusal,
    parse_line,
)

MAX_DIAGNOSTICS = 64 * 1024
"""How much of a sandbox's standard error is kept, for the organiser only: room for a few tracebacks."""

Answer = ExampleScore | ExampleFailure | AuditScore
"""What answers one of a job's questions."""

Result = Answer | Done
Records = Generator[Hello | Result, None, None]
"""What a sandbox yields; closing it ends the sandbox."""

_CONTROL = re.compile(rb"[^\t\n\x20-\x7e]")


@dataclass(frozen=True)
class Task:
    """What a sandbox is asked to do, in the host's terms.

    Attributes:
        split: Which split the examples are of.
        engine: Which HAAQI scores them.
        submission: The submission on the host, a file or a folder; mounted read-only.
        data: The data root on the host; mounted read-only.
        examples: What to score.
        audits: Which stems pyclarity scores again.
        batch: How many examples are scored together, so that their answers come together.
        seconds: The deadline, on the host's monotonic clock, from the start of the sandbox.
        patience: The longest wait for the next line, on the same clock.
        memory: The most memory in bytes.
        stop: Set by the host to end the sandbox before its time.
    """

    split: str
    engine: Engine
    submission: Path
    data: Path
    seconds: float
    memory: int
    examples: tuple[Example, ...] = ()
    audits: tuple[AuditStem, ...] = ()
    batch: int = 1
    patience: float = math.inf
    stop: threading.Event = field(default_factory=threading.Event)


class Stopped(Exception):  # noqa: N818  (not an error: the host asked for it)
    """The host has set the task's `stop`; the sandbox was ended in mid-work."""


@dataclass(frozen=True)
class Environment:
    """What a sandbox scores with: known before the first example, kept with every score."""

    sandbox: str
    scorer: str
    locked: bool
    image: str = ""
    base_image: str = ""


class Sandbox(Protocol):
    """Runs jobs on untrusted submissions."""

    name: str

    def prepare(self) -> Environment:
        """Checks engine, image and lock; removes what dead runs left behind.

        Raises:
            SetupError: If this machine can't run the sandbox; the hint says how to mend it.
        """
        ...

    def run(self, task: Task) -> Records:
        """Runs one job and yields its checked records as they arrive; cleans up however it ends.

        Raises:
            SetupError, DeadlineError, MemoryLimitError, BugError: See the module.
            Stopped: If the task's `stop` was set.
        """
        ...


def make_job(task: Task, *, submission: str, data: str, environment: Environment) -> Job:
    """The job of a task as the sandbox will read it, with a nonce of its own."""
    return Job(
        nonce=secrets.token_hex(16),
        lock=environment.scorer,
        require_lock=environment.locked,
        split=task.split,
        engine=task.engine,
        submission=submission,
        data=data,
        batch=task.batch,
        examples=task.examples,
        audits=task.audits,
    )


def clean(raw: bytes) -> str:
    """Raw output of a sandbox made safe to show: capped, control characters stripped."""
    return _CONTROL.sub(b"?", raw[-MAX_DIAGNOSTICS:]).decode("ascii")


@dataclass
class Conversation:
    """One job's output, held to the protocol: hello first, each example once, done last, nothing beside.

    Feed it bytes of standard output with `feed`; call `finish` when the output has ended.
    """

    job: Job
    diagnostics: bytes = b""
    _buffer: bytes = b""
    _hello: bool = False
    _done: bool = False
    _open_examples: set[tuple[str, str]] = field(init=False)
    _open_audits: set[tuple[str, str, str]] = field(init=False)

    def __post_init__(self) -> None:
        self._open_examples = {(e.song, e.listener) for e in self.job.examples}
        self._open_audits = {(a.song, a.listener, a.value) for a in self.job.audits}

    @property
    def complete(self) -> bool:
        """Whether the last line has come."""
        return self._done

    def note(self, raw: bytes) -> None:
        """Keeps the end of standard error for the organiser."""
        self.diagnostics = (self.diagnostics + raw)[-MAX_DIAGNOSTICS:]

    def feed(self, raw: bytes) -> Iterator[Hello | Result]:
        """Takes a piece of output and yields the records that it completes.

        Raises:
            BugError: If a line breaks the protocol.
            SetupError: If the sandbox refuses to score.
        """
        self._buffer += raw
        while True:
            line, newline, rest = self._buffer.partition(b"\n")
            if not newline:
                break
            self._buffer = rest
            yield self._record(line)
        if len(self._buffer) > MAX_LINE_BYTES:
            raise self._broken(f"a line of more than {MAX_LINE_BYTES} bytes")

    def finish(self) -> None:
        """Says whether the output was whole.

        Raises:
            BugError: If it ended before every example had its line and the last line had come.
        """
        if not self._done or self._buffer:
            raise self._broken("an end in the middle of the work")

    def _record(self, raw: bytes) -> Hello | Result:
        try:
            record = parse_line(raw, nonce=self.job.nonce)
        except LineError as error:
            raise self._broken(str(error)) from None
        if isinstance(record, Refusal):
            raise SetupError(_printable(record.message), hint=_printable(record.hint))
        if self._done:
            raise self._broken("a line after the last")
        if isinstance(record, Hello) == self._hello:
            raise self._broken("its first line twice" if self._hello else "results before its first line")
        if isinstance(record, Hello):
            if record.lock != self.job.lock or (self.job.require_lock and not record.locked):
                raise self._broken("another lock's digest")
            self._hello = True
            return record
        if isinstance(record, Done):
            if self._open_examples or self._open_audits:
                left = len(self._open_examples) + len(self._open_audits)
                raise self._broken(f"its last line with {left} examples unanswered")
            self._done = True
            return record
        self._tick_off(record)
        return record

    def _tick_off(self, record: Answer) -> None:
        example = (record.song, record.listener)
        if isinstance(record, AuditScore):
            audit = (*example, record.value)
            if audit not in self._open_audits:
                raise self._broken("an audit that was not asked for, or twice")
            self._open_audits.remove(audit)
        elif example in self._open_examples:
            self._open_examples.remove(example)
        else:
            audits = {a for a in self._open_audits if a[:2] == example}
            if not isinstance(record, ExampleFailure) or not audits:
                raise self._broken("an example that was not asked for, or twice")
            self._open_audits.remove(min(audits))

    def _broken(self, what: str) -> BugError:
        return BugError(
            f"The evaluator broke its protocol: it sent {what}; nothing of that line was stored.",
            hint="What it had scored before is kept. The log in the store holds what it printed.",
            detail=clean(self.diagnostics),
        )


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
