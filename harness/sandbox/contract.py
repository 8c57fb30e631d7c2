"""The contract of a sandbox.

A sandbox runs `python -m harness.evaluator` on one job: the job goes in as a read-only file, JSON lines come out.
`harness.sandbox.conversation` checks what comes out, so that no implementation has to.

`Sandbox.run` raises only SetupError (no engine; image or environment differ from the lock), DeadlineError,
MemoryLimitError, InternalError (the sandbox crashed or broke the protocol) and Stopped.
"""

from __future__ import annotations

import math
import re
import secrets
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.protocol.records import (
    AuditScore,
    AuditStem,
    Done,
    Engine,
    Example,
    ExampleFailure,
    ExampleScore,
    Hello,
    Job,
)

MAX_DIAGNOSTICS = 64 * 1024
"""Bytes of a sandbox's standard error that are kept for the organiser: room for a few tracebacks."""

Answer = ExampleScore | ExampleFailure | AuditScore
"""The answer to one question of a job."""

Result = Answer | Done
Records = Generator[Hello | Result, None, None]
"""What a sandbox yields; closing it ends the sandbox."""

_CONTROL = re.compile(rb"[^\t\n\x20-\x7e]")


@dataclass(frozen=True)
class Task:
    """What a sandbox is asked to do, in the host's terms.

    Attributes:
        split: Which split the examples belong to.
        engine: Which HAAQI scores them.
        submission: The submission on the host, a file or a folder; mounted read-only.
        data: The data root on the host; mounted read-only.
        examples: What to score.
        audits: Which stems to spot-check with pyclarity.
        batch: How many examples are scored together; their answers come together.
        seconds: The deadline, on the host's monotonic clock, from the start of the sandbox.
        patience: The longest wait for the next line, in seconds on the same clock.
        memory: The memory limit in bytes.
        stop: Set by the host to end the sandbox early.
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
    """The host has set the task's `stop`, which ended the sandbox before its work was done."""


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


class Sandbox(Protocol):
    """Runs jobs on untrusted submissions."""

    name: str

    def prepare(self) -> Environment:
        """Checks engine, image and lock.

        Raises:
            SetupError: If this machine can't run the sandbox; the hint says how to fix it.
        """
        ...

    def run(self, task: Task) -> Records:
        """Runs one job and yields its checked records as they arrive; always cleans up.

        Raises:
            SetupError, DeadlineError, MemoryLimitError, InternalError: See the module.
            Stopped: If the task's `stop` was set.
        """
        ...


def make_job(task: Task, *, submission: str, data: str, environment: Environment) -> Job:
    """A task's job as the sandbox reads it, with a nonce of its own.

    Args:
        task: What to do.
        submission: The submission's path as the sandbox sees it.
        data: The data root's path as the sandbox sees it.
        environment: What the sandbox scores with.
    """
    return Job(
        nonce=secrets.token_hex(16),
        scorer_digest=environment.scorer_digest,
        require_lock=environment.locked,
        split=task.split,
        engine=task.engine,
        submission=submission,
        data=data,
        batch=task.batch,
        examples=task.examples,
        audits=task.audits,
    )


def printable(raw: bytes) -> str:
    """The last `MAX_DIAGNOSTICS` bytes of a sandbox's output as ASCII, `?` for control and other characters."""
    return _CONTROL.sub(b"?", raw[-MAX_DIAGNOSTICS:]).decode("ascii")
