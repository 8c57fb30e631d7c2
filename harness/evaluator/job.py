"""One job: scores its examples in batches and its audits one by one, and sends a line for each."""

from __future__ import annotations

import math
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Protocol, cast

from harness.evaluator.engines import ENGINES, SongEngine, audit
from harness.evaluator.references import (
    References,
    StemError,
    audiograms_of,
    load_processed,
    load_references,
    processed_stems,
)
from harness.haaqi.listening import Listening, Values
from harness.protocol.errors import HarnessError, SetupError
from harness.protocol.records import AuditScore, AuditStem, ExampleFailure, ExampleScore, Job, Line
from validator.archive.submission import Submission, open_submission
from validator.challenge.challenge import Challenge
from validator.challenge.manifest import archive_limits
from validator.challenge.rules import CAD1, Split


class LineSink(Protocol):
    """Takes the protocol's lines.

    Attributes:
        nonce: The job's, which every line repeats.
    """

    nonce: str

    def send(self, line: Line) -> None:
        """Takes one line."""
        ...


class JobRunner:
    """Scores a job's examples and audits; sends a line for each.

    Args:
        job: What to score.
        lines: Takes the lines.

    Raises:
        ChallengeError: If the data root is incomplete.
    """

    def __init__(self, job: Job, lines: LineSink) -> None:
        self._job = job
        self._lines = lines
        self._challenge = Challenge.load(Path(job.data), split=cast("Split", job.split))

    def run(self) -> None:
        """Scores everything.

        Raises:
            SetupError: If a reference can't be read.
        """
        job = self._job
        with open_submission(Path(job.submission), limits=archive_limits(self._challenge)) as submission:
            for song, examples in groupby(job.examples, key=lambda example: example.song):
                engine = ENGINES[job.engine](load_references(self._challenge.song(song)))
                listeners = [one.listener for one in examples]
                for first in range(0, len(listeners), job.batch):
                    self._score(submission, engine, song, listeners[first : first + job.batch])
            for song, audits in groupby(job.audits, key=lambda item: item.song):
                references = load_references(self._challenge.song(song))
                for item in audits:
                    self._answer(song, item.listener, partial(self._audit, submission, references, item))

    def _score(self, submission: Submission, engine: SongEngine, song: str, listeners: Sequence[str]) -> None:
        """Scores one batch of a song's listeners; each line has an equal share of the batch's time."""
        wall, cpu = time.monotonic(), time.process_time()
        found: Sequence[Values | Exception]
        try:
            found = engine.score_all([self._listening(submission, song, one) for one in listeners])
        except Exception as error:  # of the whole batch: every listener fails
            found = [error] * len(listeners)
        seconds = (time.monotonic() - wall) / len(found)
        cpu_seconds = (time.process_time() - cpu) / len(found)
        for listener, values in zip(listeners, found, strict=True):
            line = partial(self._example, song, listener, values, seconds, cpu_seconds)
            self._answer(song, listener, line)

    def _listening(self, submission: Submission, song: str, listener_id: str) -> Listening:
        listener = self._challenge.listener(listener_id)
        stems = processed_stems(submission, song=self._challenge.song(song), listener=listener)
        return Listening(processed=stems, audiograms=audiograms_of(listener))

    def _example(
        self, song: str, listener: str, values: Values | Exception, seconds: float, cpu_seconds: float
    ) -> Line:
        if isinstance(values, Exception):
            raise values
        return ExampleScore(
            nonce=self._lines.nonce,
            song=song,
            listener=listener,
            values=by_name(values),
            seconds=seconds,
            cpu_seconds=cpu_seconds,
        )

    def _audit(self, submission: Submission, references: References, item: AuditStem) -> Line:
        wall = time.monotonic()
        listener = self._challenge.listener(item.listener)
        processed = load_processed(submission, song=self._challenge.song(item.song), listener=listener)
        position = CAD1.scoring_order.index(item.value)
        return AuditScore(
            nonce=self._lines.nonce,
            song=item.song,
            listener=item.listener,
            value=item.value,
            haaqi=audit(references, processed, audiograms_of(listener), position=position),
            seconds=time.monotonic() - wall,
        )

    def _answer(self, song: str, listener: str, work: Callable[[], Line]) -> None:
        try:
            line = work()
        except Exception as error:
            line = failure_of(error, nonce=self._lines.nonce, song=song, listener=listener)
        self._lines.send(line)


def by_name(values: Sequence[float | None]) -> dict[str, float | None]:
    """Eight values in `CAD1.scoring_order` as a dict by name, in the order of scores.csv.

    Raises:
        SetupError: If a value is NaN: its reference is never above the hearing threshold.
    """
    named = dict(zip(CAD1.scoring_order, values, strict=True))
    for name, value in named.items():
        if value is not None and math.isnan(value):
            raise SetupError(
                f"HAAQI of {name} is not a number: its reference is never above the hearing threshold.",
                hint="Only a silent reference may have no value; check the data root's audio.",
            )
    return {name: named[name] for name in CAD1.columns}


def failure_of(error: Exception, *, nonce: str, song: str, listener: str) -> ExampleFailure:
    """The record of an example without a score; prints the traceback of an internal error to standard error."""
    path = ""
    if isinstance(error, StemError):
        fault, code, path, message = "submission", error.code, error.path, error.message
    elif isinstance(error, HarnessError):
        fault, code, message = error.fault.value, error.fault.value, error.message
    elif isinstance(error, MemoryError):
        fault, code, message = "memory", "memory", "There was not enough memory to score this example."
    else:
        fault, code, message = "bug", "bug", f"{type(error).__name__}: {error}"
        traceback.print_exception(error, file=sys.stderr)
    return ExampleFailure.model_validate(
        {
            "nonce": nonce,
            "song": song,
            "listener": listener,
            "fault": fault,
            "code": code[:80],
            "path": path[:800],
            "message": message[:2000],
        }
    )
