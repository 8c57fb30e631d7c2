"""A sandbox that scores nothing: every stem gets the same value, and chosen examples fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from harness.protocol.lock import ProgramName
from harness.protocol.records import (
    AuditScore,
    Done,
    ExampleFailure,
    ExampleScore,
    Hello,
    SongReferences,
)
from harness.sandbox.contract import Decoder, Environment, Records, Running, Sandbox, Task
from harness.sandbox.feed import AuditQuestion, BatchQuestion, SongQuestion
from tests.values import values
from validator.challenge.audio import ExampleAudio
from validator.challenge.fingerprints import references_digest
from validator.formats.flac import InProcessDecoder

NONCE = "0" * 32


class PlainDecoder(InProcessDecoder):
    """Decodes in this process."""

    def __init__(self) -> None:
        self.versions = {"soundfile": "any"}


class FakeSandbox(Sandbox):
    """Gives every stem the value 0.25, or another, and audits that + `audit`; `behaviour` has examples that fail.

    Attributes:
        tasks: What it was asked to run.
        songs: The songs of each task.
        audited: The stems that it audited.
        value: The value of every stem of an example.
        delay: Seconds that an example takes.
    """

    name = "fake"

    def __init__(self, *, audit: float = 0.0, locked: bool = True) -> None:
        self.tasks: list[Task] = []
        self.songs: list[set[str]] = []
        self.audited: list[tuple[str, str, str]] = []
        self.behaviour: dict[tuple[str, str], BaseException | ExampleFailure] = {}
        self.audit: float | BaseException = audit
        self.value: Callable[[ExampleAudio], float] = lambda _: 0.25
        self.delay = 0.0
        self._locked = locked
        self._lock = threading.Lock()

    def prepare(self) -> Environment:
        return Environment("fake", "d" * 64, locked=self._locked)

    def environment(self) -> Environment:
        return self.prepare()

    def start(self, program: ProgramName, *, memory: int) -> AbstractContextManager[Running]:
        raise NotImplementedError

    @contextmanager
    def decoder(self, *, stop: threading.Event | None = None) -> Iterator[Decoder]:
        yield PlainDecoder()

    def run(self, task: Task) -> Records:
        songs: set[str] = set()
        with self._lock:
            self.tasks.append(task)
            self.songs.append(songs)
        yield Hello(nonce=NONCE, scorer_digest="d" * 64, locked=self._locked, versions={}, cpu="none")
        examples = 0
        for question in task.questions():
            songs.add(question.song)
            if isinstance(question, SongQuestion):
                sha256 = references_digest(question.references)
                yield SongReferences(nonce=NONCE, song=question.song, sha256=sha256)
            elif isinstance(question, BatchQuestion):
                for example in question.examples:
                    examples += 1
                    time.sleep(self.delay)
                    yield self._score(question.song, example)
            else:
                yield self._audit(question)
        yield Done(nonce=NONCE, examples=examples, failures=0, peak_memory=1)

    def _score(self, song: str, example: ExampleAudio) -> ExampleScore | ExampleFailure:
        failure = self.behaviour.get((song, example.listener))
        if isinstance(failure, BaseException):
            raise failure
        return failure or ExampleScore(
            nonce=NONCE,
            song=song,
            listener=example.listener,
            values=values(self.value(example)),
            seconds=0.1,
            cpu_seconds=0.1,
        )

    def _audit(self, question: AuditQuestion) -> AuditScore | ExampleFailure:
        if isinstance(self.audit, BaseException):
            raise self.audit
        listener = question.example.listener
        self.audited.append((question.song, listener, question.value))
        failure = self.behaviour.get((question.song, listener))
        if isinstance(failure, ExampleFailure):
            return failure
        return AuditScore(
            nonce=NONCE,
            song=question.song,
            listener=listener,
            value=question.value,
            haaqi=self.value(question.example) + self.audit,
            seconds=0.1,
        )
