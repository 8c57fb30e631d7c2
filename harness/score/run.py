"""One run: the examples of a submission that have no score yet, through the sandboxes into the ledger."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TypeVar

from harness.ledger.ledger import Failure, Key, Lease, Ledger, StoredExample, mean
from harness.protocol.errors import HarnessError, SetupError
from harness.protocol.records import (
    AuditScore,
    AuditStem,
    Done,
    Engine,
    Example,
    ExampleScore,
    Hello,
    RunRecord,
)
from harness.sandbox import limits
from harness.sandbox.contract import Environment, Result, Sandbox, Task
from harness.score import audit, failures, silence
from harness.score.request import Outcome, Request, Say, Told
from harness.score.shards import Crew, Shard
from validator import Finding
from validator.challenge.manifest import Kind, length_of
from validator.challenge.rules import CAD1

Item = TypeVar("Item", Example, AuditStem)


class Run:
    """One pass over the examples that have no score yet; the crew's books."""

    def __init__(
        self,
        *,
        request: Request,
        sandbox: Sandbox,
        environment: Environment,
        ledger: Ledger,
        key: Key,
        progress: Told,
        say: Say,
    ) -> None:
        self.say = say
        self.lost = False
        self._request = request
        self._environment = environment
        self._ledger = ledger
        self._key = key
        self._progress = progress
        self._crew = Crew(sandbox, self, workers=request.workers)
        self._lock = threading.Lock()
        self._scored = 0
        self._findings: list[Finding] = []
        self._faults: list[HarnessError] = []
        self._runs: dict[str, int] = {}
        self._sources: dict[object, int] = {}
        self._audits: dict[AuditStem, audit.Draw] = {}
        self._silent: dict[str, frozenset[str]] = {}
        self._waited_for = ""
        self._recount()

    def _recount(self) -> dict[tuple[str, str], StoredExample]:
        have = self._ledger.examples(self._key)
        selected = self._request.selected.examples
        self._total, self._done = len(selected), sum(example in have for example in selected)
        return have

    def count(self) -> tuple[int, int]:
        """Examples that have a score, and examples that were asked for."""
        return self._done, self._total

    def wait_for(self, holder: Lease) -> None:
        """Another run is at work on the same."""
        if self._waited_for != holder.runner:
            self._waited_for = holder.runner
            self.say(f"Process {holder.runner} is scoring this submission; waiting for it to end.")
        self._progress(holder.done, holder.total, f"by {holder.runner}")

    def lose(self) -> None:
        """Another run has taken over, or the ledger can't be written: end."""
        self.lost = True
        self._crew.stop()

    def finish(self) -> None:
        """Scores and audits what is missing; raises only what leaves no sense in going on."""
        have = self._recount()
        self._progress(self._done, self._total, "")
        missing = [
            Example(song=song, listener=listener)
            for song, listener in self._request.selected.examples
            if (song, listener) not in have
        ]
        self._crew.run(
            [
                Shard(
                    examples=tuple(group),
                    batch=limits.batch(self._request.engine, seconds=self._seconds(song)),
                )
                for song, group in by_song(missing)
            ]
        )
        if self._request.engine == "fast" and self._environment.locked and not self.lost:
            self._crew.run([Shard(audits=tuple(group)) for _, group in by_song(self._draws())])
        if self.lost:
            raise SetupError(
                "Another run has taken over the scoring of this submission.",
                hint="`cad1 status` shows who; what this run has scored is stored.",
            )

    def tell(self, outcome: Outcome) -> None:
        """Writes into the outcome what this run and the ledger hold."""
        examples = self._ledger.examples(self._key)
        outcome.scored, outcome.findings, outcome.faults = self._scored, self._findings, self._faults
        outcome.stored = len(examples)
        if len(examples) == outcome.total:
            outcome.average = mean(example.score for example in examples.values())
        outcome.audits = [a for a in self._ledger.audits(self._key) if (a.song, a.listener) in examples]
        failed = audit.verdict(outcome.audits)
        if failed is not None:
            outcome.faults.append(failed)

    def _draws(self) -> list[AuditStem]:
        """The stems that pyclarity has still to score, once every example that was asked for has its score."""
        have = self._ledger.examples(self._key)
        examples = {key: have[key] for key in self._request.selected.examples if key in have}
        if len(examples) < self._total:
            return []
        draws = audit.draw(examples, submission=self._key.submission, number=self._request.audits)
        done = {(one.song, one.listener, one.stem) for one in self._ledger.audits(self._key)}
        self._audits = {
            draw.stem: draw
            for draw in draws
            if (draw.stem.song, draw.stem.listener, draw.stem.value) not in done
        }
        if self._audits:
            self._progress(self._done, self._total, f"auditing {len(self._audits)} stems by pyclarity")
        return list(self._audits)

    def task(self, shard: Shard, *, stop: threading.Event) -> Task:
        """See `Books.task`: limits from the length of the audio."""
        request = self._request
        assert request.challenge.root is not None
        seconds = self._seconds(shard.song)
        engine: Engine = "pyclarity" if shard.audits else request.engine
        # an audit also places the noise of the stems before it
        stems = limits.STEMS * len(shard.examples) + 2 * len(shard.audits)
        return Task(
            split=request.challenge.split,
            engine=request.engine,
            submission=request.submission,
            data=request.challenge.root,
            examples=shard.examples,
            audits=shard.audits,
            seconds=limits.deadline(engine, stem_seconds=stems * seconds),
            batch=shard.batch,
            patience=limits.patience(
                engine, seconds=seconds, examples=min(shard.batch, max(len(shard.examples), 1))
            ),
            memory=limits.memory(engine, seconds=seconds),
            stop=stop,
        )

    def _seconds(self, song: str) -> float:
        """How long a stem of the song lasts at most."""
        return length_of(self._request.challenge.song(song), Kind.STEM).most / CAD1.stem_rate

    def take(self, line: Hello | Result, *, source: object) -> None:
        """See `Books.take`."""
        if isinstance(line, Hello):
            self._sources[source] = self._note_run(line)
        elif isinstance(line, ExampleScore):
            self._store(line, self._sources.get(source))
        elif isinstance(line, AuditScore):
            stem = AuditStem(song=line.song, listener=line.listener, value=line.value)
            self._ledger.store_audit(self._key, self._audits[stem].judge(line.haaqi))
        elif isinstance(line, Done):
            self._ledger.note_peak(self._sources[source], line.peak_memory)
        else:
            self._fail(line.song, line.listener, failures.from_sandbox(line))

    def give_up(self, shard: Shard, error: HarnessError) -> None:
        """See `Books.give_up`."""
        alone = shard.examples[0] if shard.examples else shard.audits[0]
        self._fail(alone.song, alone.listener, failures.from_error(error))

    def note(self, error: HarnessError) -> None:
        """See `Books.note`."""
        with self._lock:
            self._faults.append(error)

    def _note_run(self, hello: Hello) -> int:
        """The ledger's number for what this sandbox scores with; equal environments share one."""
        record = RunRecord(
            scorer_digest=self._key.scorer.digest,
            engine=self._request.engine,
            sandbox=self._environment.sandbox,
            locked=self._environment.locked,
            image=self._environment.image,
            base_image=self._environment.base_image,
            versions=hello.versions,
            cpu=hello.cpu,
        )
        with self._lock:
            text = record.to_json()
            if text not in self._runs:
                self._runs[text] = self._ledger.start_run(record)
            return self._runs[text]

    def _silent_in(self, song: str) -> frozenset[str]:
        """The song's silent references; it is read once."""
        if song not in self._silent:
            self._silent[song] = silence.silent_columns(self._request.challenge.song(song))
        return self._silent[song]

    def _store(self, line: ExampleScore, run: int | None) -> None:
        silence.check(line, self._silent_in(line.song))
        values = {name: line.values[name] for name in CAD1.columns}
        example = StoredExample(line.song, line.listener, values)
        stored = self._ledger.store(
            self._key, example, run=run, seconds=line.seconds, cpu_seconds=line.cpu_seconds
        )
        with self._lock:
            self._scored += stored
            self._done += 1
            self._progress(self._done, self._total, f"{line.song} for {line.listener}")

    def _fail(self, song: str, listener: str, failed: failures.Failed) -> None:
        """An example without a score: a finding if it is the submission's fault, else a fault of ours."""
        if (song, listener) not in self._ledger.examples(self._key):  # else it is an audit that failed
            self._ledger.store_failure(
                self._key, Failure(song, listener, failed.fault, failed.code, failed.sentence, failed.path)
            )
        with self._lock:
            if failed.finding is not None:
                self._findings.append(failed.finding)
            if failed.error is not None:
                self._faults.append(failed.error)


def by_song(items: Iterable[Item]) -> Iterator[tuple[str, Iterator[Item]]]:
    """Items of one song together, as they come, so that a song is read and prepared once."""
    return groupby(items, key=lambda item: item.song)
