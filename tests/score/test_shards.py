"""Shards that fail: split until what fails is alone, tried again where a machine may be at fault, and named."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.protocol.errors import (
    DeadlineError,
    HarnessError,
    InternalError,
    MachineError,
    MemoryLimitError,
    SetupError,
)
from harness.protocol.records import AuditScore, AuditStem, Done, Example, ExampleFailure, ExampleScore, Hello
from harness.sandbox.contract import Environment, Records, Result, Task
from harness.score import shards
from harness.score.shards import Crew, Shard
from tests.values import values

NONCE = "0" * 32
WAITS = shards.RETRY_WAITS
SONGS = [Example(song="A", listener=f"L{number}") for number in range(5)]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "RETRY_WAITS", (0.0, 0.0, 0.0))


def answer(example: Example) -> ExampleScore:
    return ExampleScore(
        nonce=NONCE,
        song=example.song,
        listener=example.listener,
        values=values(0.5),
        seconds=0.0,
        cpu_seconds=0.0,
    )


class Told:
    """A sandbox that fails on some examples, the first so many times."""

    name = "told"

    def __init__(self, bad: dict[str, HarnessError], *, times: int = 10**6) -> None:
        self.bad = bad
        self.times = times
        self.tasks: list[Task] = []
        self.failed: Counter[str] = Counter()

    def prepare(self) -> Environment:
        return Environment("told", "d" * 64, locked=True)

    def run(self, task: Task) -> Records:
        self.tasks.append(task)
        yield Hello(nonce=NONCE, scorer_digest="d" * 64, locked=True, versions={}, cpu="none")
        for example in task.examples:
            if example.listener in self.bad and self.failed[example.listener] < self.times:
                self.failed[example.listener] += 1
                raise self.bad[example.listener]
            yield answer(example)
        for item in task.audits:
            yield AuditScore(
                nonce=NONCE,
                song=item.song,
                listener=item.listener,
                position=item.position,
                value=0.5,
                seconds=0.0,
            )
        yield Done(nonce=NONCE, examples=0, failures=0, peak_memory=1)


class Kept:
    """Books that only remember."""

    def __init__(self) -> None:
        self.lines: list[Hello | Result] = []
        self.given_up: list[tuple[Shard, HarnessError]] = []
        self.said: list[str] = []
        self.noted: list[HarnessError] = []

    def task(self, shard: Shard, *, stop: threading.Event) -> Task:
        return Task(
            split="test",
            engine="fast",
            submission=Path("s.zip"),
            data=Path("data"),
            seconds=1.0,
            memory=1,
            examples=shard.examples,
            audits=shard.audits,
            batch=shard.batch,
            stop=stop,
        )

    def take(self, line: Hello | Result, *, source: object) -> None:
        self.lines.append(line)

    def give_up(self, shard: Shard, error: HarnessError) -> None:
        self.given_up.append((shard, error))

    def note(self, error: HarnessError) -> None:
        self.noted.append(error)

    def say(self, text: str) -> None:
        self.said.append(text)

    @property
    def scored(self) -> list[str]:
        return sorted(line.listener for line in self.lines if isinstance(line, ExampleScore))


Run = Callable[..., Kept]


@pytest.fixture
def run() -> Run:
    def go(sandbox: Told, *what: Shard) -> Kept:
        books = Kept()
        Crew(sandbox, books, workers=2).run(what or [Shard(examples=tuple(SONGS))])
        return books

    return go


@pytest.mark.parametrize("kind", [DeadlineError, MemoryLimitError, InternalError])
def test_the_example_that_fails_ends_alone_and_the_others_are_scored(
    run: Run, kind: type[HarnessError]
) -> None:
    sandbox = Told({"L2": kind("bad")})
    books = run(sandbox)
    assert books.scored == ["L0", "L1", "L3", "L4"]
    ((shard, error),) = books.given_up
    assert shard.examples == (SONGS[2],)
    assert type(error) is kind
    assert sandbox.failed["L2"] == 1 + shards.CHANCES
    assert [task.examples for task in sandbox.tasks].count((SONGS[2],)) == shards.CHANCES


def test_nothing_is_scored_twice(run: Run) -> None:
    books = run(Told({"L1": InternalError("bad"), "L3": DeadlineError("late")}))
    assert books.scored == ["L0", "L2", "L4"]
    assert {shard.examples[0].listener for shard, _ in books.given_up} == {"L1", "L3"}


def test_an_example_that_fails_once_gets_its_second_chance(run: Run) -> None:
    books = run(Told({"L2": InternalError("a hiccup")}, times=2))
    assert books.scored == ["L0", "L1", "L2", "L3", "L4"]
    assert books.given_up == []
    assert len(books.said) == 2


def test_a_machines_fault_is_tried_again_where_it_stopped(run: Run) -> None:
    sandbox = Told({"L2": MachineError("the engine vanished")}, times=3)
    books = run(sandbox)
    assert books.scored == ["L0", "L1", "L2", "L3", "L4"]
    assert [len(task.examples) for task in sandbox.tasks] == [5, 3, 3, 3]
    assert all("Trying again" in text for text in books.said)


def test_a_machines_fault_that_lasts_ends_the_run(run: Run) -> None:
    sandbox = Told({"L2": MachineError("the engine vanished")})
    with pytest.raises(MachineError, match="vanished"):
        run(sandbox)
    assert sandbox.failed["L2"] == 1 + len(shards.RETRY_WAITS)


def test_waits_grow(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    assert 0 < WAITS[0] < WAITS[1] < WAITS[2] <= 60
    seen: list[float] = []
    monkeypatch.setattr(shards, "RETRY_WAITS", WAITS)
    monkeypatch.setattr(threading.Event, "wait", lambda self, timeout=None: bool(seen.append(timeout or 0)))
    sandbox, books = Told({"L0": MachineError("gone")}), Kept()
    crew = Crew(sandbox, books, workers=1)
    with pytest.raises(MachineError):
        crew._run_one(Shard(examples=tuple(SONGS)))
    assert seen == list(WAITS)


def test_another_fault_of_the_set_up_is_not_tried_again(run: Run) -> None:
    sandbox = Told({"L0": SetupError("the image is another")})
    with pytest.raises(SetupError, match="another"):
        run(sandbox)
    assert len(sandbox.tasks) == 1


def test_a_sandbox_that_never_scores_is_given_up(run: Run) -> None:
    sandbox = Told({one.listener: InternalError("crash") for one in SONGS})
    with pytest.raises(InternalError, match="3 examples in a row failed and none was scored"):
        run(sandbox)


def test_examples_between_failures_keep_a_run_alive(run: Run) -> None:
    many = tuple(Example(song="A", listener=f"L{number}") for number in range(20))
    bad = {f"L{number}": DeadlineError("late") for number in range(0, 20, 3)}
    books = Kept()
    Crew(Told(bad), books, workers=1).run([Shard(examples=many)])
    assert len(books.scored) == 20 - len(bad)
    assert len(books.given_up) == len(bad)


def test_a_failure_after_the_last_answer_is_noted(run: Run) -> None:
    class Crashing(Told):
        def run(self, task: Task) -> Records:
            yield from super().run(task)
            raise InternalError("ended with code 1")

    books = run(Crashing({}))
    assert books.scored == ["L0", "L1", "L2", "L3", "L4"]
    assert [error.message for error in books.noted] == ["ended with code 1"]
    assert books.given_up == []


def test_a_stop_ends_the_crew(run: Run) -> None:
    books = Kept()
    crew = Crew(Told({}), books, workers=1)
    crew.stop()
    crew.run([Shard(examples=tuple(SONGS))])
    assert books.lines == []


def test_what_is_left_of_a_shard() -> None:
    audits = (
        AuditStem(song="A", listener="L0", position=1),
        AuditStem(song="A", listener="L0", position=2),
    )
    shard = Shard(examples=tuple(SONGS), audits=audits)
    assert shard.without(answer(SONGS[1])).examples == (SONGS[0], *SONGS[2:])
    failed = ExampleFailure(
        nonce=NONCE, song="A", listener="L0", fault="bug", code="bug", path="", message="bad"
    )
    assert shard.without(failed).examples == tuple(SONGS[1:])
    assert Shard(audits=audits).without(failed).audits == audits[1:]
    told = AuditScore(nonce=NONCE, song="A", listener="L0", position=2, value=0.1, seconds=0.0)
    assert shard.without(told).audits == audits[:1]
    assert shard.without(told).examples == tuple(SONGS)


class InBatches(Told):
    """A sandbox that answers a batch when all of it is scored: one bad example keeps back the others' answers."""

    def run(self, task: Task) -> Records:
        self.tasks.append(task)
        yield Hello(nonce=NONCE, scorer_digest="d" * 64, locked=True, versions={}, cpu="none")
        for first in range(0, len(task.examples), task.batch):
            batch = task.examples[first : first + task.batch]
            for example in batch:
                if example.listener in self.bad and self.failed[example.listener] < self.times:
                    self.failed[example.listener] += 1
                    raise self.bad[example.listener]
            yield from map(answer, batch)
        yield Done(nonce=NONCE, examples=0, failures=0, peak_memory=1)


def test_a_batch_that_fails_is_taken_apart_at_once(run: Run) -> None:
    many = tuple(Example(song="A", listener=f"L{number:02}") for number in range(20))
    sandbox = InBatches({"L09": MemoryLimitError("burst")})
    books = run(sandbox, Shard(examples=many, batch=8))
    assert books.scored == [one.listener for one in many if one.listener != "L09"]
    ((shard, _),) = books.given_up
    assert shard.examples == (many[9],)
    assert sandbox.failed["L09"] == 1 + shards.CHANCES
    sizes = sorted((len(task.examples), task.batch) for task in sandbox.tasks)
    assert sizes == [*[(1, 1)] * (8 + shards.CHANCES - 1), (4, 8), (20, 8)]


def test_audits_are_split_like_examples(run: Run) -> None:
    audits = tuple(AuditStem(song="A", listener="L0", position=position) for position in range(3))
    rest, first = Shard(audits=audits).split()
    assert first.audits == audits[:1]
    assert rest.audits == audits[1:]
    assert Shard(audits=audits[:1]).split() == (Shard(audits=audits[:1]),)
