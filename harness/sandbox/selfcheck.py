"""Checks that a sandbox matches the lock, without scoring anything."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

from harness.protocol import limits
from harness.protocol.errors import InternalError
from harness.protocol.records import Hello
from harness.sandbox.contract import Environment, Sandbox, Task
from harness.sandbox.decoding import SandboxedDecoder
from harness.sandbox.feed import Question


@dataclass(frozen=True)
class SandboxReport:
    """What a sandbox scores with.

    Attributes:
        environment: As the host sees it.
        hello: As the evaluator sees it.
        decoder: The versions of the decoder's packages.
    """

    environment: Environment
    hello: Hello
    decoder: dict[str, str]


def check_sandbox(sandbox: Sandbox) -> SandboxReport:
    """Starts both programs without work: each checks every file and version against the lock.

    Raises:
        SetupError: If anything differs from the lock; names it.
    """
    environment = sandbox.prepare()
    with SandboxedDecoder(sandbox) as decoder:
        decoder.start()
    task = Task(
        engine="fast",
        questions=_nothing,
        seconds=limits.deadline("fast", stem_seconds=0.0),
        memory=limits.memory("fast", seconds=0.0),
    )
    with closing(sandbox.run(task)) as lines:
        hello = [line for line in lines if isinstance(line, Hello)]
    if not hello:
        raise InternalError("The sandbox ended without its first line.")
    return SandboxReport(environment, hello[0], decoder.versions)


def _nothing() -> Generator[Question, None, None]:
    yield from ()
