"""The contract of a sandbox.

A sandbox starts one of two programs: the decoder, which gets FLAC files and returns samples, and the evaluator,
which gets samples and references and returns scores. Both get everything over standard input and answer over
standard output; neither sees a file of the host. `harness.sandbox.decoding` and `harness.sandbox.evaluation` talk
to them and check what comes out, so that no implementation has to.

Whatever a sandbox does raises only SetupError (no engine; image or environment differ from the lock),
DeadlineError, MemoryLimitError, InternalError (a program crashed or broke the protocol) and Stopped.
"""

from __future__ import annotations

import math
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from harness.protocol.errors import DeadlineError, InternalError, MemoryLimitError
from harness.protocol.lock import ProgramName
from harness.protocol.records import (
    AuditScore,
    Done,
    Engine,
    Example,
    ExampleFailure,
    ExampleScore,
    Hello,
    SongReferences,
)
from harness.sandbox.chunks import ChunkQueue
from harness.sandbox.feed import Question
from validator.formats.flac import FlacDecoder

MAX_DIAGNOSTICS = 64 * 1024
"""Bytes of a program's standard error that are kept for the organiser: room for a few tracebacks."""

Answer = ExampleScore | ExampleFailure | AuditScore
"""The answer to one question of a job."""

Result = Answer | SongReferences | Done
Records = Generator[Hello | Result, None, None]
"""What an evaluator answers; closing it ends the sandbox."""

KEPT = "Scores stored before are kept. The log in the store holds the {name}'s output."

_CONTROL = re.compile(rb"[^\t\n\x20-\x7e]")


@dataclass(frozen=True)
class Task:
    """What an evaluator is asked to do.

    Attributes:
        engine: Which HAAQI scores.
        questions: Gives what to score, in order; it is run in a thread of its own while the evaluator works, and
            closed at the end.
        seconds: The deadline, on the host's monotonic clock, from the start of the sandbox.
        patience: The longest wait for the next line, in seconds on the same clock.
        memory: The memory limit in bytes.
        skipped: Examples that `questions` has left out, because they can't be read.
        stop: Set by the host to end the sandbox early.
    """

    engine: Engine
    questions: Callable[[], Generator[Question, None, None]]
    seconds: float
    memory: int
    patience: float = math.inf
    skipped: list[Example] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)


class Stopped(Exception):  # noqa: N818  (not an error: the host asked for it)
    """The host has set `stop`, which ended the sandbox before its work was done."""


@dataclass(frozen=True)
class Environment:
    """What a sandbox scores with: known before the first example, stored with every score.

    Attributes:
        sandbox: The sandbox's name.
        scorer_digest: SHA-256 of the lock file.
        locked: Whether the environment matches the lock.
        image: The evaluator image's id; empty without one.
        base_image: What the image was built from, or the platform.
    """

    sandbox: str
    scorer_digest: str
    locked: bool
    image: str = ""
    base_image: str = ""


class Running(ABC):
    """A program that runs in a sandbox.

    Attributes:
        name: Which program it is.
        memory: Its memory limit in bytes.
        chunks: Its output.
        diagnostics: The end of its standard error.
    """

    chunks: ChunkQueue

    def __init__(self, name: ProgramName, *, memory: int) -> None:
        self.name = name
        self.memory = memory
        self.diagnostics = b""

    @abstractmethod
    def write(self, data: bytes | memoryview) -> None:
        """Writes to its standard input; blocks while it does not read.

        Raises:
            OSError: If it has ended.
        """

    @abstractmethod
    def check_limits(self) -> None:
        """Raises MemoryLimitError or InternalError if it has exceeded a limit."""

    @abstractmethod
    def check_end(self, *, complete: bool) -> None:
        """Waits for its end, after its output has ended, and raises if it did not end well.

        Args:
            complete: Whether it has said all that it had to say: what kills it then is no fault.
        """

    def note(self, raw: bytes) -> None:
        """Keeps the end of standard error for the organiser."""
        self.diagnostics = (self.diagnostics + raw)[-MAX_DIAGNOSTICS:]

    def broke_protocol(self, what: str) -> InternalError:
        """The error for output that does not follow the protocol."""
        return InternalError(
            f"The {self.name} broke the protocol: {what}; nothing from that was stored.",
            hint=KEPT.format(name=self.name),
            detail=printable(self.diagnostics),
        )

    def ended_early(self, code: int | None) -> InternalError:
        """The error for an end before its work was done; no code if it closed its output and did not end."""
        how = (
            "closed its output but did not end"
            if code is None
            else f"ended with code {code} before its work was done"
        )
        return InternalError(
            f"The {self.name} {how}.", hint=KEPT.format(name=self.name), detail=printable(self.diagnostics)
        )

    def memory_exceeded(self) -> MemoryLimitError:
        """The error for exceeding the memory limit."""
        what = "Scoring" if self.name == "evaluator" else "Decoding"
        return MemoryLimitError(
            f"{what} was stopped at its memory limit of {self.memory / 2**30:.1f} GiB.",
            hint="Scores stored before are kept. `--engine fast` needs far less memory than pyclarity; "
            "fewer `--workers` leave more for each.",
            detail=printable(self.diagnostics),
        )

    def deadline_passed(self, when: str) -> DeadlineError:
        """The error for taking too long; `when` completes the sentence, such as `after 5 s without an answer`."""
        what = "Scoring" if self.name == "evaluator" else "Decoding"
        return DeadlineError(
            f"{what} was stopped {when}.",
            hint="Scores stored before are kept; run the same command again to continue.",
            detail=printable(self.diagnostics),
        )


class Decoder(FlacDecoder, Protocol):
    """Decodes FLAC files.

    Attributes:
        versions: The versions of the packages that decode; empty before the first file.
    """

    versions: dict[str, str]


class Sandbox(ABC):
    """Runs the decoder and the evaluator.

    Attributes:
        name: What `--sandbox` calls it.
    """

    name: str

    @abstractmethod
    def prepare(self) -> Environment:
        """Checks engine, image and lock.

        Raises:
            SetupError: If this machine can't run the sandbox; the hint says how to fix it.
        """

    @abstractmethod
    def environment(self) -> Environment:
        """What `prepare` has found; it is not asked again, since an engine that restarts must not end a run.

        Raises:
            SetupError: As `prepare`, if it has not run.
        """

    @abstractmethod
    def start(self, program: ProgramName, *, memory: int) -> AbstractContextManager[Running]:
        """Starts a program; the end of the block ends it and removes everything of it.

        Args:
            program: Which one.
            memory: Its memory limit in bytes.

        Raises:
            SetupError: If it can't be started.
        """

    @abstractmethod
    def decoder(self, *, stop: threading.Event | None = None) -> AbstractContextManager[Decoder]:
        """A decoder in this sandbox, which starts with the first file.

        Args:
            stop: Set to give up.
        """

    @abstractmethod
    def run(self, task: Task) -> Records:
        """Runs the evaluator on a task and yields its checked records as they arrive; always cleans up.

        Raises:
            SetupError, DeadlineError, MemoryLimitError, InternalError: See the module.
            Stopped: If the task's `stop` was set.
        """


def printable(raw: bytes) -> str:
    """The last `MAX_DIAGNOSTICS` bytes of a sandbox's output as ASCII, `?` for control and other characters."""
    return _CONTROL.sub(b"?", raw[-MAX_DIAGNOSTICS:]).decode("ascii")
