"""A run: scores the examples of a submission that have no score yet, and stores what the sandboxes return."""

from __future__ import annotations

import threading
from functools import partial

from harness.ledger.audits import audit_progress
from harness.ledger.entities import AuditRecord, Failure, Key, StoredExample
from harness.ledger.leases import Lease
from harness.ledger.ledger import Ledger
from harness.protocol import limits
from harness.protocol.aggregation import default_number, mean
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
    SongReferences,
)
from harness.sandbox.contract import Environment, Result, Sandbox, Task
from harness.score import audit, failures, silence
from harness.score.budget import Budget, expected_seconds
from harness.score.observations import Observations
from harness.score.questions import Questions
from harness.score.request import LogCallback, Outcome, ProgressCallback, Request
from harness.score.shards import Shard, ShardRunner, by_song
from validator import Finding
from validator.archive.submission import Submission
from validator.challenge.manifest import Kind, length_of
from validator.challenge.rules import CAD1
from validator.findings.wording import counted


class Run:
    """One pass over the examples that have no score yet; the `ResultSink` of its shards.

    Attributes:
        lost: Whether another run has taken over, or the ledger cannot be written.
    """

    def __init__(
        self,
        *,
        request: Request,
        submission: Submission,
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
        self._observations = Observations(request.store, key)
        self._questions = Questions(
            challenge=request.challenge,
            submission=submission,
            sandbox=sandbox,
            ledger=ledger,
            key=key,
            observations=self._observations,
            on_failure=self._fail,
        )
        self._budget = Budget(0.0)
        self._lock = threading.Lock()
        self._scored = 0
        self._findings: list[Finding] = []
        self._faults: list[HarnessError] = []
        self._runs: dict[str, int] = {}
        self._hellos: dict[object, Hello] = {}
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
        self._observations.load()
        have = self._count_stored()
        self._progress(self._done, self._total, "")
        missing = [
            Example(song=song, listener=listener)
            for song, listener in self._request.selected.examples
            if (song, listener) not in have
        ]
        self._budget = self._make_budget(missing)
        if missing:
            self.log(str(self._budget))
        self._shards.run(
            [
                Shard(
                    examples=tuple(group),
                    batch=limits.batch(self._request.engine, seconds=self._seconds(song)),
                )
                for song, group in by_song(missing)
            ]
        )
        if not self.lost:
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
        outcome.audio = self._observations.findings(self._request.challenge)
        outcome.unseen = self._observations.unseen(examples)
        if len(examples) == outcome.total:
            outcome.average = mean(example.score for example in examples.values())
        outcome.audits = [a for a in self._ledger.audits(self._key) if (a.song, a.listener) in examples]
        error = audit.audit_error(outcome.audits)
        if error is not None:
            outcome.faults.append(error)

    def shared_stems(self) -> dict[str, tuple[int, int]]:
        """See `Observations.shared_stems`."""
        return self._observations.shared_stems()

    def _make_budget(self, missing: list[Example]) -> Budget:
        """The time for what is missing, and for every audit that may be drawn."""
        engine = self._request.engine
        scored = sum(len(CAD1.columns) * self._seconds(one.song) for one in missing)
        songs = len({one.song for one in missing})
        expected = expected_seconds(engine, stem_seconds=scored, songs=songs)
        plan = self._ledger.audit_plan(self._key)
        if plan is not None and plan.number:
            longest = max(self._seconds(song.name) for song in self._request.challenge.songs)
            expected += expected_seconds(
                "pyclarity", stem_seconds=2 * plan.number * longest, songs=plan.number
            )
        return Budget(expected)

    def plan_audit(self) -> None:
        """Stores how many stems will be spot-checked, and the salt of the draw, before anything is scored."""
        if self._request.engine != "fast" or not self._environment.locked:
            return
        number = self._request.audits
        if number is None:
            number = default_number(len(self._request.challenge.examples))
        self._ledger.plan_audit(self._key, number=number)

    def _missing_audits(self) -> list[AuditStem]:
        """The stems still to spot-check, or to spot-check again; none before every example has a score."""
        examples = self._ledger.examples(self._key)
        if self._request.audits == 0 or len(examples) < len(self._request.challenge.examples):
            return []
        progress = audit_progress(
            self._ledger.audit_plan(self._key),
            self._ledger.audits(self._key),
            examples,
            submission=self._key.submission,
        )
        stems = sorted({*progress.missing, *progress.failed})
        missing = [AuditStem(song=stem[0], listener=stem[1], value=stem[2]) for stem in stems if all(stem)]
        if missing:
            self._progress(
                self._done, self._total, f"spot-checking {counted(len(missing), 'stem')} with pyclarity"
            )
        return missing

    def make_task(self, shard: Shard, *, stop: threading.Event) -> Task:
        """See `ResultSink.make_task`; the limits follow from the length of the audio."""
        request = self._request
        seconds = self._seconds(shard.song)
        engine: Engine = "pyclarity" if shard.audits else request.engine
        # an audit also draws the noise of the stems before its own
        stems = len(CAD1.columns) * len(shard.examples) + 2 * len(shard.audits)
        together = len(CAD1.columns) * min(shard.batch, max(len(shard.examples), 1))
        skipped: list[Example] = []
        return Task(
            engine=request.engine,
            questions=partial(self._questions.ask, shard, stop=stop, skipped=skipped),
            seconds=min(limits.deadline(engine, stem_seconds=stems * seconds), self._budget.left()),
            patience=limits.deadline(engine, stem_seconds=together * seconds),
            memory=limits.memory(engine, seconds=seconds),
            skipped=skipped,
            stop=stop,
        )

    def _seconds(self, song: str) -> float:
        """The longest that a stem of the song may last, in seconds."""
        return length_of(self._request.challenge.song(song), Kind.STEM).most / CAD1.stem_rate

    def accept(self, line: Hello | Result, *, source: object) -> None:
        """See `ResultSink.accept`."""
        if isinstance(line, Hello):
            self._hellos[source] = line
        elif isinstance(line, SongReferences):
            self._questions.check_references(line)
        elif isinstance(line, ExampleScore):
            self._store(line, self._run_number(source))
        elif isinstance(line, AuditScore):
            audio = self._ledger.examples(self._key)[line.song, line.listener]
            fast = audio.values[line.value]
            assert fast is not None  # only stems with a value are drawn
            record = AuditRecord(line.song, line.listener, line.value, fast, line.haaqi, audio=audio.audio)
            self._ledger.store_audit(self._key, record)
        elif isinstance(line, Done):
            if line.examples:
                self._ledger.note_peak(self._run_number(source), line.peak_memory)
        else:
            self._fail(line.song, line.listener, failures.from_sandbox(line))

    def record_failure(self, shard: Shard, error: HarnessError) -> None:
        """See `ResultSink.record_failure`."""
        alone = shard.examples[0] if shard.examples else shard.audits[0]
        self._fail(alone.song, alone.listener, failures.from_error(error))

    def spend(self, seconds: float) -> None:
        """See `ResultSink.spend`."""
        self._budget.spend(seconds)

    def record_error(self, error: HarnessError) -> None:
        """See `ResultSink.record_error`."""
        with self._lock:
            self._faults.append(error)

    def _run_number(self, source: object) -> int:
        """The ledger's number for the environment that a sandbox scores with; equal environments share one."""
        hello = self._hellos[source]
        record = RunRecord(
            scorer_digest=self._key.scorer.digest,
            engine=self._request.engine,
            sandbox=self._environment.sandbox,
            locked=self._environment.locked,
            image=self._environment.image,
            base_image=self._environment.base_image,
            versions=hello.versions,
            decoder=self._questions.decoder_versions,
            cpu=hello.cpu,
        )
        with self._lock:
            text = record.to_json()
            if text not in self._runs:
                self._runs[text] = self._ledger.start_run(record)
            return self._runs[text]

    def _store(self, line: ExampleScore, run: int) -> None:
        silence.check_values(line, self._questions.silent_in(line.song))
        audio = self._questions.sha256_of(line.song, line.listener)
        example = StoredExample(line.song, line.listener, line.values, audio=audio)
        stored = self._ledger.store(
            self._key, example, run=run, seconds=line.seconds, cpu_seconds=line.cpu_seconds
        )
        with self._lock:
            self._scored += stored
            self._done += 1
            self._progress(self._done, self._total, f"{line.song} for {line.listener}")

    def _fail(self, song: str, listener: str, failed: failures.FailureReport) -> None:
        """Records an example without a score: a finding if the submission is the cause, else a fault."""
        # The ledger stores nothing about an example that has a score: then an audit has failed.
        self._ledger.store_failure(
            self._key, Failure(song, listener, failed.fault, failed.code, failed.sentence, failed.path)
        )
        with self._lock:
            if failed.finding is not None:
                self._findings.append(failed.finding)
            if failed.error is not None:
                self._faults.append(failed.error)
