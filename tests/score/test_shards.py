"""Shards that fail are split until the failing example is alone, retried after machine faults, and reported."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import partial

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
from harness.sandbox.contract import Records, Result, Task
from harness.sandbox.feed import AuditQuestion, BatchQuestion, Question
from harness.score import shards
from harness.score.shards import Shard, ShardRunner
from tests.score.fakes import NONCE, FakeSandbox
from tests.values import values
from validator.challenge.audio import ExampleAudio
from validator.challenge.rules import CAD1

WAITS = shards.RETRY_WAITS
EXAMPLES = [Example(song="A", listener=f"L{number}") for number in range(5)]


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


class ScriptedSandbox(FakeSandbox):
    """A sandbox that fails on some examples, the first `times` times."""

    def __init__(self, bad: Mapping[str, HarnessError], *, times: int = 10**6) -> None:
        super().__init__()
        self.bad = bad
        self.times = times
        self.failed: Counter[str] = Counter()
        self.asked: list[tuple[Example, ...]] = []
        self.batches: list[int] = []

    def run(self, task: Task) -> Records:
        questions = list(task.questions())
        self.asked.append(examples_of(questions))
        self.batches.append(
            max((len(q.examples) for q in questions if isinstance(q, BatchQuestion)), default=0)
        )
        yield Hello(nonce=NONCE, scorer_digest="d" * 64, locked=True, versions={}, cpu="none")
        for question in questions:
            if isinstance(question, BatchQuestion):
                yield from self.score(examples_of([question]))
            elif isinstance(question, AuditQuestion):
                yield AuditScore(
                    nonce=NONCE,
                    song=question.song,
                    listener=question.example.listener,
                    value=question.value,
                    haaqi=0.5,
                    seconds=0.0,
                )
        yield Done(nonce=NONCE, examples=0, failures=0, peak_memory=1)

    def score(self, batch: tuple[Example, ...]) -> Iterator[ExampleScore]:
        """Answers each example when it is scored, unless it fails."""
        for example in batch:
            self.check(example)
            yield answer(example)

    def check(self, example: Example) -> None:
        """Raises the example's error."""
        if example.listener in self.bad and self.failed[example.listener] < self.times:
            self.failed[example.listener] += 1
            raise self.bad[example.listener]


def examples_of(questions: Iterable[Question]) -> tuple[Example, ...]:
    """The examples in questions."""
    batches = [question for question in questions if isinstance(question, BatchQuestion)]
    return tuple(
        Example(song=batch.song, listener=one.listener) for batch in batches for one in batch.examples
    )


def questions_of(shard: Shard) -> Generator[Question, None, None]:
    """The questions of a shard, without any audio."""
    for first in range(0, len(shard.examples), shard.batch):
        batch = shard.examples[first : first + shard.batch]
        yield BatchQuestion(batch[0].song, tuple(ExampleAudio(one.listener, {}, {}, {}) for one in batch))
    for stem in shard.audits:
        yield AuditQuestion(stem.song, ExampleAudio(stem.listener, {}, {}, {}), stem.value)


class RecordingSink:
    """A `ResultSink` that keeps everything it gets."""

    def __init__(self) -> None:
        self.lines: list[Hello | Result] = []
        self.failed: list[tuple[Shard, HarnessError]] = []
        self.logged: list[str] = []
        self.errors: list[HarnessError] = []
        self.spent = 0.0

    def make_task(self, shard: Shard, *, stop: threading.Event) -> Task:
        return Task(
            engine="fast",
            questions=partial(questions_of, shard),
            seconds=1.0,
            memory=1,
            stop=stop,
        )

    def accept(self, line: Hello | Result, *, source: object) -> None:
        self.lines.append(line)

    def spend(self, seconds: float) -> None:
        self.spent += seconds

    def record_failure(self, shard: Shard, error: HarnessError) -> None:
        self.failed.append((shard, error))

    def record_error(self, error: HarnessError) -> None:
        self.errors.append(error)

    def log(self, text: str) -> None:
        self.logged.append(text)

    @property
    def scored(self) -> list[str]:
        return sorted(line.listener for line in self.lines if isinstance(line, ExampleScore))


Run = Callable[..., RecordingSink]


@pytest.fixture
def run() -> Run:
    def run_shards(sandbox: ScriptedSandbox, *what: Shard) -> RecordingSink:
        sink = RecordingSink()
        ShardRunner(sandbox, sink, workers=2).run(what or [Shard(examples=tuple(EXAMPLES))])
        return sink

    return run_shards


@pytest.mark.parametrize("kind", [DeadlineError, MemoryLimitError, InternalError])
def test_a_failing_example_is_isolated_and_the_others_are_scored(run: Run, kind: type[HarnessError]) -> None:
    sandbox = ScriptedSandbox({"L2": kind("bad")})
    sink = run(sandbox)
    assert sink.scored == ["L0", "L1", "L3", "L4"]
    ((shard, error),) = sink.failed
    assert shard.examples == (EXAMPLES[2],)
    assert type(error) is kind
    assert sandbox.failed["L2"] == 1 + shards.TRIES_ALONE
    assert sandbox.asked.count((EXAMPLES[2],)) == shards.TRIES_ALONE


def test_nothing_is_scored_twice(run: Run) -> None:
    sink = run(ScriptedSandbox({"L1": InternalError("bad"), "L3": DeadlineError("late")}))
    assert sink.scored == ["L0", "L2", "L4"]
    assert {shard.examples[0].listener for shard, _ in sink.failed} == {"L1", "L3"}


def test_an_example_that_fails_alone_once_is_retried(run: Run) -> None:
    sink = run(ScriptedSandbox({"L2": InternalError("a hiccup")}, times=2))
    assert sink.scored == ["L0", "L1", "L2", "L3", "L4"]
    assert sink.failed == []
    assert len(sink.logged) == 2


def test_a_shard_resumes_after_a_machine_fault(run: Run) -> None:
    sandbox = ScriptedSandbox({"L2": MachineError("the engine vanished")}, times=3)
    sink = run(sandbox)
    assert sink.scored == ["L0", "L1", "L2", "L3", "L4"]
    assert [len(asked) for asked in sandbox.asked] == [5, 3, 3, 3]
    assert all("Retrying in" in text for text in sink.logged)


def test_a_lasting_machine_fault_ends_the_run(run: Run) -> None:
    sandbox = ScriptedSandbox({"L2": MachineError("the engine vanished")})
    with pytest.raises(MachineError, match="vanished"):
        run(sandbox)
    assert sandbox.failed["L2"] == 1 + len(shards.RETRY_WAITS)


def test_waits_grow(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    assert 0 < WAITS[0] < WAITS[1] < WAITS[2] <= 60
    seen: list[float] = []
    monkeypatch.setattr(shards, "RETRY_WAITS", WAITS)

    def wait(_: threading.Event, timeout: float) -> bool:
        seen.append(timeout)
        return False

    monkeypatch.setattr(threading.Event, "wait", wait)
    sandbox, sink = ScriptedSandbox({"L0": MachineError("gone")}), RecordingSink()
    runner = ShardRunner(sandbox, sink, workers=1)
    with pytest.raises(MachineError):
        runner._run_one(Shard(examples=tuple(EXAMPLES)))
    assert seen == list(WAITS)


def test_other_setup_errors_are_not_retried(run: Run) -> None:
    sandbox = ScriptedSandbox({"L0": SetupError("the image is another")})
    with pytest.raises(SetupError, match="another"):
        run(sandbox)
    assert len(sandbox.asked) == 1


def test_a_sandbox_that_never_scores_ends_the_run(run: Run) -> None:
    sandbox = ScriptedSandbox({one.listener: InternalError("crash") for one in EXAMPLES})
    with pytest.raises(InternalError, match="3 examples in a row failed and none was scored"):
        run(sandbox)


def test_scored_examples_between_failures_keep_a_run_alive(run: Run) -> None:
    many = tuple(Example(song="A", listener=f"L{number}") for number in range(20))
    bad = {f"L{number}": DeadlineError("late") for number in range(0, 20, 3)}
    sink = RecordingSink()
    ShardRunner(ScriptedSandbox(bad), sink, workers=1).run([Shard(examples=many)])
    assert len(sink.scored) == 20 - len(bad)
    assert len(sink.failed) == len(bad)


def test_an_error_after_the_last_answer_is_recorded(run: Run) -> None:
    class Crashing(ScriptedSandbox):
        def run(self, task: Task) -> Records:
            yield from super().run(task)
            raise InternalError("ended with code 1")

    sink = run(Crashing({}))
    assert sink.scored == ["L0", "L1", "L2", "L3", "L4"]
    assert [error.message for error in sink.errors] == ["ended with code 1"]
    assert sink.failed == []


def test_a_machine_fault_after_the_last_answer_is_logged_and_is_no_failure(run: Run) -> None:
    """An engine that dies before it has removed the container: every example is scored all the same."""

    class Dying(ScriptedSandbox):
        def run(self, task: Task) -> Records:
            yield from super().run(task)
            raise MachineError("The engine did not remove a container.")

    sink = run(Dying({}))
    assert sink.scored == ["L0", "L1", "L2", "L3", "L4"]
    assert (sink.errors, sink.failed) == ([], [])
    assert sink.logged == ["The engine did not remove a container. Its answers are stored."]


def test_a_stopped_runner_starts_nothing(run: Run) -> None:
    sink = RecordingSink()
    runner = ShardRunner(ScriptedSandbox({}), sink, workers=1)
    runner.stop()
    runner.run([Shard(examples=tuple(EXAMPLES))])
    assert sink.lines == []


def test_a_shard_without_an_answer() -> None:
    audits = (
        AuditStem(song="A", listener="L0", value="left_drums"),
        AuditStem(song="A", listener="L0", value="right_drums"),
    )
    shard = Shard(examples=tuple(EXAMPLES), audits=audits)
    assert shard.without(answer(EXAMPLES[1])).examples == (EXAMPLES[0], *EXAMPLES[2:])
    failed = ExampleFailure(nonce=NONCE, song="A", listener="L0", fault="bug", message="bad")
    assert shard.without(failed).examples == tuple(EXAMPLES[1:])
    assert Shard(audits=audits).without(failed).audits == audits[1:]
    audited = AuditScore(nonce=NONCE, song="A", listener="L0", value="right_drums", haaqi=0.1, seconds=0.0)
    assert shard.without(audited).audits == audits[:1]
    assert shard.without(audited).examples == tuple(EXAMPLES)


class BatchSandbox(ScriptedSandbox):
    """A sandbox that answers a batch once all of it is scored; a failing example holds back the others' answers."""

    def score(self, batch: tuple[Example, ...]) -> Iterator[ExampleScore]:
        for example in batch:
            self.check(example)
        yield from map(answer, batch)


def test_a_failing_batch_is_split_at_once(run: Run) -> None:
    many = tuple(Example(song="A", listener=f"L{number:02}") for number in range(20))
    sandbox = BatchSandbox({"L09": MemoryLimitError("burst")})
    sink = run(sandbox, Shard(examples=many, batch=8))
    assert sink.scored == [one.listener for one in many if one.listener != "L09"]
    ((shard, _),) = sink.failed
    assert shard.examples == (many[9],)
    assert sandbox.failed["L09"] == 1 + shards.TRIES_ALONE
    sizes = sorted(zip(map(len, sandbox.asked), sandbox.batches, strict=True))
    assert sizes == [*[(1, 1)] * (8 + shards.TRIES_ALONE - 1), (4, 4), (20, 8)]


def test_audits_are_split_like_examples(run: Run) -> None:
    audits = tuple(AuditStem(song="A", listener="L0", value=name) for name in CAD1.columns[:3])
    first, rest = Shard(audits=audits).split()
    assert first.audits == audits[:1]
    assert rest.audits == audits[1:]
    assert Shard(audits=audits[:1]).split() == (Shard(audits=audits[:1]),)


def test_an_evaluator_that_fails_on_everything_is_found_out_within_the_first_song(run: Run) -> None:
    songs = [
        Shard(examples=tuple(Example(song=song, listener=f"L{number}") for number in range(10)), batch=8)
        for song in "ABCDEF"
    ]
    bad = {f"L{number}": DeadlineError("late") for number in range(10)}
    sandbox, sink = ScriptedSandbox(bad), RecordingSink()
    with pytest.raises(DeadlineError, match="3 examples in a row"):
        ShardRunner(sandbox, sink, workers=1).run(songs)
    assert {example.song for asked in sandbox.asked for example in asked} == {"A"}
