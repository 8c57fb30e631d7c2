"""A run: scores the examples of a submission that have no score yet, and stores what the sandboxes return."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TypeVar

from harness.ledger.entities import Failure, Key, StoredExample, mean
from harness.ledger.leases import Lease
from harness.ledger.ledger import Ledger
from harness.protocol import limits
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
from harness.sandbox.contract import Environment, Result, Sandbox, Task
from harness.score import audit, failures, silence
from harness.score.request import LogCallback, Outcome, ProgressCallback, Request
from harness.score.shards import Shard, ShardRunner
from validator import Finding
from validator.challenge.manifest import Kind, length_of
from validator.challenge.rules import CAD1
from validator.findings.wording import counted

Item = TypeVar("Item", Example, AuditStem)


class Run:
    """One pass over the examples that have no score yet; the `ResultSink` of its shards.

    Attributes:
        lost: Whether another run has taken over, or the ledger cannot be written.
    """

    def __init__(
        self,
        *,
        request: Request,
        sandbox: Sandbox,
        environment: Environment,
        ledger: Ledger,
        key: Key,
        progress: ProgressCallback,
        log: LogCallback,
    ) -> None:
        self.log = log
        self.lost = False
        self._request = request
        self._environment = environment
        self._ledger = ledger
        self._key = key
        self._progress = progress
        self._shards = ShardRunner(sandbox, self, workers=request.workers)
        self._lock = threading.Lock()
        self._scored = 0
        self._findings: list[Finding] = []
        self._faults: list[HarnessError] = []
        self._runs: dict[str, int] = {}
        self._sources: dict[object, int] = {}
        self._audits: dict[AuditStem, audit.AuditDraw] = {}
        self._silent: dict[str, frozenset[str]] = {}
        self._waited_for = ""
        self._count_stored()

    def _count_stored(self) -> dict[tuple[str, str], StoredExample]:
        have = self._ledger.examples(self._key)
        selected = self._request.selected.examples
        self._total, self._done = len(selected), sum(example in have for example in selected)
        return have

    def count(self) -> tuple[int, int]:
        """Number of requested examples that have a score, and of all requested examples."""
        return self._done, self._total

    def report_wait(self, holder: Lease) -> None:
        """Reports that another run is scoring the same submission; logs it once."""
        if self._waited_for != holder.runner:
            self._waited_for = holder.runner
            self.log(f"Process {holder.runner} is scoring this submission; waiting for it to finish.")
        self._progress(holder.done, holder.total, f"by {holder.runner}")

    def abort(self) -> None:
        """Ends the run because its lease is lost or the ledger cannot be written."""
        self.lost = True
        self._shards.stop()

    def score_missing(self) -> None:
        """Scores and audits what is missing.

        Raises:
            HarnessError: Continuing makes no sense; what was scored until then is stored.
        """
        have = self._count_stored()
        self._progress(self._done, self._total, "")
        missing = [
            Example(song=song, listener=listener)
            for song, listener in self._request.selected.examples
            if (song, listener) not in have
        ]
        self._shards.run(
            [
                Shard(
                    examples=tuple(group),
                    batch=limits.batch(self._request.engine, seconds=self._seconds(song)),
                )
                for song, group in by_song(missing)
            ]
        )
        if self._request.engine == "fast" and self._environment.locked and not self.lost:
            self._shards.run([Shard(audits=tuple(group)) for _, group in by_song(self._missing_audits())])
        if self.lost:
            raise SetupError(
                "Another run has taken over this submission.",
                hint="`cad1 status` shows which; what this run has scored is stored.",
            )

    def fill(self, outcome: Outcome) -> None:
        """Fills in the outcome from this run and the ledger."""
        examples = self._ledger.examples(self._key)
        outcome.scored, outcome.findings, outcome.faults = self._scored, self._findings, self._faults
        outcome.examples, outcome.locked = examples, self._environment.locked
        if len(examples) == outcome.total:
            outcome.average = mean(example.score for example in examples.values())
        outcome.audits = [a for a in self._ledger.audits(self._key) if (a.song, a.listener) in examples]
        error = audit.audit_error(outcome.audits)
        if error is not None:
            outcome.faults.append(error)

    def _missing_audits(self) -> list[AuditStem]:
        """The stems still to spot-check with pyclarity; none before every requested example has a score."""
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
            self._progress(
                self._done, self._total, f"spot-checking {counted(len(self._audits), 'stem')} with pyclarity"
            )
        return list(self._audits)

    def make_task(self, shard: Shard, *, stop: threading.Event) -> Task:
        """See `ResultSink.make_task`; the limits follow from the length of the audio."""
        request = self._request
        assert request.challenge.root is not None
        seconds = self._seconds(shard.song)
        engine: Engine = "pyclarity" if shard.audits else request.engine
        # an audit also draws the noise of the stems before its own
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
        """The longest that a stem of the song may last, in seconds."""
        return length_of(self._request.challenge.song(song), Kind.STEM).most / CAD1.stem_rate

    def accept(self, line: Hello | Result, *, source: object) -> None:
        """See `ResultSink.accept`."""
        if isinstance(line, Hello):
            self._sources[source] = self._run_number(line)
        elif isinstance(line, ExampleScore):
            self._store(line, self._sources.get(source))
        elif isinstance(line, AuditScore):
            stem = AuditStem(song=line.song, listener=line.listener, value=line.value)
            self._ledger.store_audit(self._key, self._audits[stem].record(line.haaqi))
        elif isinstance(line, Done):
            self._ledger.note_peak(self._sources[source], line.peak_memory)
        else:
            self._fail(line.song, line.listener, failures.from_sandbox(line))

    def record_failure(self, shard: Shard, error: HarnessError) -> None:
        """See `ResultSink.record_failure`."""
        alone = shard.examples[0] if shard.examples else shard.audits[0]
        self._fail(alone.song, alone.listener, failures.from_error(error))

    def record_error(self, error: HarnessError) -> None:
        """See `ResultSink.record_error`."""
        with self._lock:
            self._faults.append(error)

    def _run_number(self, hello: Hello) -> int:
        """The ledger's number for the environment that this sandbox scores with; equal environments share one."""
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
        """The song's silent reference channels; the audio is read once."""
        if song not in self._silent:
            self._silent[song] = silence.silent_columns(self._request.challenge.song(song))
        return self._silent[song]

    def _store(self, line: ExampleScore, run: int | None) -> None:
        silence.check_values(line, self._silent_in(line.song))
        example = StoredExample(line.song, line.listener, line.values)
        stored = self._ledger.store(
            self._key, example, run=run, seconds=line.seconds, cpu_seconds=line.cpu_seconds
        )
        with self._lock:
            self._scored += stored
            self._done += 1
            self._progress(self._done, self._total, f"{line.song} for {line.listener}")

    def _fail(self, song: str, listener: str, failed: failures.FailureReport) -> None:
        """Records an example without a score: a finding if the submission is the cause, else a fault."""
        if (song, listener) not in self._ledger.examples(self._key):  # else an audit has failed
            self._ledger.store_failure(
                self._key, Failure(song, listener, failed.fault, failed.code, failed.sentence, failed.path)
            )
        with self._lock:
            if failed.finding is not None:
                self._findings.append(failed.finding)
            if failed.error is not None:
                self._faults.append(failed.error)


def by_song(items: Iterable[Item]) -> Iterator[tuple[str, Iterator[Item]]]:
    """Groups consecutive items of one song, so that a sandbox reads and prepares the song once."""
    return groupby(items, key=lambda item: item.song)
