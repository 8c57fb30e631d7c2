"""The conductor: one submission, from a path to stored scores.

Validates on the host by headers, enters the submission in the ledger, shards the examples that have no score yet by
song, runs the shards in sandboxes and stores each example as it arrives.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from harness import audit, limits
from harness.errors import BugError, HarnessError, MemoryLimitError, SetupError
from harness.ranking.ledger import AuditRecord, Entry, Key, Ledger, Roster, Scorer, StoredExample, mean
from harness.ranking.page import write_ranking
from harness.records import (
    AuditScore,
    AuditStem,
    Engine,
    Example,
    ExampleFailure,
    ExampleScore,
    Hello,
    RunRecord,
)
from harness.sandbox.base import Environment, Sandbox, Stopped, Task
from validator import Challenge, Finding, Report, Severity, validate
from validator.archive import digest
from validator.challenge import STEM_RATE
from validator.manifest import Kind, length_of

Item = TypeVar("Item", Example, AuditStem)

Told = Callable[[int, int, str], None]
"""Progress: examples done, examples in all, what was done last."""


@dataclass(frozen=True)
class Request:
    """What `cad1 score` was asked to do.

    Attributes:
        submission: A zip or a folder.
        challenge: The whole challenge, from a data root.
        selected: The part of it to be scored in this run; the whole for a ranked score.
        team: Whose submission it is.
        store: The folder of the ledger.
        engine: Which HAAQI scores.
        workers: Sandboxes at a time.
        audits: Stems that pyclarity scores again; None for the default number, 0 for none.
    """

    submission: Path
    challenge: Challenge
    selected: Challenge
    team: str
    store: Path
    engine: Engine = "fast"
    workers: int = 1
    audits: int | None = None


@dataclass
class Outcome:
    """What a run came to.

    Attributes:
        report: The validator's report; where it is not valid, nothing was scored.
        scored: Examples that this run scored.
        stored: Examples of the submission that the ledger now holds.
        total: Examples of the whole challenge.
        average: The ranking score, once every example of the challenge is stored.
        findings: What the sandbox found wrong with the submission while it decoded.
        faults: What went wrong and is not the submission's fault; the others' scores are stored.
        audits: Stems of this submission that pyclarity has scored again.
    """

    report: Report
    scored: int = 0
    stored: int = 0
    total: int = 0
    average: float | None = None
    findings: list[Finding] = field(default_factory=list)
    faults: list[HarnessError] = field(default_factory=list)
    audits: list[AuditRecord] = field(default_factory=list)


def challenge_digest(challenge: Challenge) -> str:
    """Tells one challenge from another: its split, songs, segments, audio lengths, listeners and audiograms."""
    facts = {
        "split": challenge.split,
        "songs": [
            [song.name, song.frames, song.objective_slice, song.subjective_slice] for song in challenge.songs
        ],
        "listeners": [[one.id, one.frequencies, one.left, one.right] for one in challenge.listeners],
    }
    return hashlib.sha256(json.dumps(facts, separators=(",", ":")).encode()).hexdigest()


def roster_of(challenge: Challenge) -> Roster:
    """The challenge as the ledger keeps it."""
    return Roster(
        digest=challenge_digest(challenge),
        split=challenge.split,
        songs=tuple(song.name for song in challenge.songs),
        listeners=tuple(listener.id for listener in challenge.listeners),
    )


def score(request: Request, sandbox: Sandbox, *, progress: Told = lambda *_: None) -> Outcome:
    """Validates, scores what has no score yet, stores, and writes the ranking anew.

    Args:
        request: What to score.
        sandbox: Where.
        progress: Told of every example.

    Returns:
        The outcome; its `faults` and `findings` say what could not be scored and why.

    Raises:
        SetupError: If nothing can be scored on this machine as it is.
        SubmissionNotFound: If there is no submission at the path.
    """
    if request.challenge.root is None:
        raise SetupError("Scoring needs the challenge's audio.", hint="Give the data root with --data.")
    report = validate(request.submission, request.challenge, quick=True, examples=wanted(request))
    outcome = Outcome(report=report, total=len(request.challenge.examples))
    if not report.valid:
        return outcome
    environment = sandbox.prepare()
    roster = roster_of(request.challenge)
    key = Key(
        submission=submission_digest(request.submission, report),
        challenge=roster.digest,
        scorer=Scorer(environment.scorer, request.engine, environment.locked),
    )
    with Ledger(request.store) as ledger:
        ledger.add_roster(roster)
        ledger.enter(Entry(request.team, key, report.subject.name, report.subject.size, "scored"))
        run = _Run(
            request=request,
            sandbox=sandbox,
            environment=environment,
            ledger=ledger,
            key=key,
            progress=progress,
        )
        try:
            run.finish()
        finally:
            outcome.scored, outcome.findings, outcome.faults = run.scored, run.findings, run.faults
        examples = ledger.examples(key)
        outcome.stored = len(examples)
        if len(examples) == outcome.total:
            outcome.average = mean(example.score for example in examples.values())
        outcome.audits = [a for a in ledger.audits(key) if (a.song, a.listener) in examples]
        failed = audit.verdict(outcome.audits)
        if failed is not None:
            outcome.faults.append(failed)
        write_ranking(ledger, request.store)
    return outcome


def submission_digest(path: Path, report: Report | None = None) -> str:
    """The SHA-256 that stands for a submission.

    Raises:
        SetupError: If the path no longer holds what was looked at.
    """
    found = (report.subject.sha256 if report is not None else None) or digest(path)
    if found is None:
        raise SetupError(
            f"{path} is no longer the file or folder that was looked at.", hint="Score it again."
        )
    return found


def wanted(request: Request) -> frozenset[tuple[str, str]] | None:
    """The examples that are asked for, where they are not all."""
    if request.selected is request.challenge:
        return None
    return frozenset(request.selected.examples)


class _Run:
    """One pass over the examples that have no score yet."""

    def __init__(
        self,
        *,
        request: Request,
        sandbox: Sandbox,
        environment: Environment,
        ledger: Ledger,
        key: Key,
        progress: Told,
    ) -> None:
        self.scored = 0
        self.findings: list[Finding] = []
        self.faults: list[HarnessError] = []
        self._request = request
        self._sandbox = sandbox
        self._environment = environment
        self._ledger = ledger
        self._key = key
        self._progress = progress
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._runs: dict[str, int] = {}
        self._audits: dict[AuditStem, audit.Draw] = {}

    def finish(self) -> None:
        """Scores and audits what is missing; raises only what leaves no sense in going on."""
        have = self._ledger.examples(self._key)
        selected = self._request.selected.examples
        self._total = len(selected)
        self._done = sum(example in have for example in selected)
        self._progress(self._done, self._total, "")
        missing = [
            Example(song=song, listener=listener)
            for song, listener in selected
            if (song, listener) not in have
        ]
        self._run_all([self._task(song, examples=tuple(group)) for song, group in by_song(missing)])
        if self._request.engine == "fast" and self._environment.locked:
            self._run_all([self._task(song, audits=tuple(group)) for song, group in by_song(self._draws())])

    def _draws(self) -> list[AuditStem]:
        """The stems that pyclarity has still to score, once every example that was asked for has its score."""
        have = self._ledger.examples(self._key)
        examples = {key: have[key] for key in self._request.selected.examples if key in have}
        if len(examples) < self._total:
            return []
        draws = audit.draw(examples, submission=self._key.submission, number=self._request.audits)
        done = {(one.song, one.listener, one.stem) for one in self._ledger.audits(self._key)}
        self._audits = {
            draw.stem: draw for draw in draws if (draw.stem.song, draw.stem.listener, draw.name) not in done
        }
        if self._audits:
            self._progress(self._done, self._total, f"auditing {len(self._audits)} stems by pyclarity")
        return list(self._audits)

    def _task(
        self, song: str, *, examples: tuple[Example, ...] = (), audits: tuple[AuditStem, ...] = ()
    ) -> Task:
        """What one sandbox gets to do, with its limits from the length of the audio."""
        request = self._request
        assert request.challenge.root is not None
        seconds = length_of(request.challenge.song(song), Kind.STEM).most / STEM_RATE
        engine: Engine = "pyclarity" if audits else request.engine
        stems = 8 * len(examples) + 2 * len(audits)  # an audit also places the noise of the stems before it
        return Task(
            split=request.challenge.split,
            engine=request.engine,
            submission=request.submission,
            data=request.challenge.root,
            examples=examples,
            audits=audits,
            seconds=limits.deadline(engine, stem_seconds=stems * seconds),
            memory=limits.memory(engine, seconds=seconds),
            stop=self._stop,
        )

    def _run_all(self, tasks: list[Task]) -> None:
        """Runs each task in a sandbox of its own, so many at a time as there are workers."""
        pool = ThreadPoolExecutor(self._request.workers, thread_name_prefix="shard")
        try:
            open_ = {pool.submit(self._run_one, task) for task in tasks}
            while open_:
                done, open_ = wait(open_, return_when=FIRST_COMPLETED)
                self._collect(done)
        except BaseException:
            self._stop.set()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _collect(self, done: set[Future[None]]) -> None:
        for future in done:
            error = future.exception()
            if isinstance(error, SetupError) or (error is not None and not isinstance(error, HarnessError)):
                raise error  # the machine's fault: no other shard would fare better
            if error is not None:
                self.faults.append(error)

    def _run_one(self, task: Task) -> None:
        if self._stop.is_set():
            return
        run = None
        with closing(self._sandbox.run(task)) as lines, suppress(Stopped):
            for line in lines:
                if isinstance(line, Hello):
                    run = self._note_run(line)
                elif isinstance(line, ExampleScore):
                    self._store(line, run)
                elif isinstance(line, AuditScore):
                    stem = AuditStem(song=line.song, listener=line.listener, position=line.position)
                    self._ledger.store_audit(self._key, self._audits[stem].judge(line.value))
                else:
                    self._fail(line)

    def _note_run(self, hello: Hello) -> int:
        """The ledger's number for what this sandbox scores with; equal environments share one."""
        record = RunRecord(
            scorer=self._key.scorer.digest,
            engine=self._request.engine,
            sandbox=self._environment.sandbox,
            locked=self._environment.locked,
            image=self._environment.image,
            base_image=self._environment.base_image,
            versions=hello.versions,
            cpu=hello.cpu,
        )
        with self._lock:
            text = record.model_dump_json()
            if text not in self._runs:
                self._runs[text] = self._ledger.start_run(record)
            return self._runs[text]

    def _store(self, line: ExampleScore, run: int | None) -> None:
        example = StoredExample(line.song, line.listener, line.values)
        stored = self._ledger.store(
            self._key, example, run=run, seconds=line.seconds, cpu_seconds=line.cpu_seconds
        )
        with self._lock:
            self.scored += stored
            self._done += 1
            self._progress(self._done, self._total, f"{line.song} for {line.listener}")

    def _fail(self, line: ExampleFailure) -> None:
        """An example without a score: a finding if it is the submission's fault, else a fault of ours."""
        place = f"{line.song} for {line.listener}"
        with self._lock:
            if line.fault == "submission":
                self.findings.append(
                    Finding(
                        code=line.code,
                        severity=Severity.ERROR,
                        path=line.path or place,
                        message=line.message,
                        expected="a file that decodes to what its header says",
                        found="",
                        hint="Encode the file anew and pack the submission again.",
                    )
                )
            elif line.fault == "memory":
                self.faults.append(MemoryLimitError(f"{place}: {line.message}"))
            elif line.fault == "setup":
                self.faults.append(SetupError(f"{place}: {line.message}"))
            else:
                self.faults.append(
                    BugError(f"{place} could not be scored: {line.message}.", hint="Please report it.")
                )


def by_song(items: Iterable[Item]) -> Iterator[tuple[str, Iterator[Item]]]:
    """Items of one song together, as they come, so that a song is read and prepared once."""
    return groupby(items, key=lambda item: item.song)
