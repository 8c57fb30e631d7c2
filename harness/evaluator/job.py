"""One job: scores the batches and audits that the host sends, and answers each with its lines."""

from __future__ import annotations

import math
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from harness.evaluator.engines import ENGINES, SongEngine, audit
from harness.evaluator.inbox import BatchSamples, Inbox, signals
from harness.evaluator.references import References, make_references
from harness.haaqi.listening import Listening, Values
from harness.protocol.errors import Fault, HarnessError, SetupError
from harness.protocol.records import (
    AuditMessage,
    AuditScore,
    BatchMessage,
    EndMessage,
    Engine,
    ExampleFailure,
    ExampleScore,
    Line,
    ListenerMessage,
    SongMessage,
    SongReferences,
)
from validator.challenge.fingerprints import references_digest
from validator.challenge.rules import CAD1, side_and_stem


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
    """Scores what the host sends, song by song; sends a line for each question.

    Args:
        engine: Which HAAQI scores.
        inbox: The host's messages after the job itself.
        lines: Takes the lines.
    """

    def __init__(self, engine: Engine, inbox: Inbox, lines: LineSink) -> None:
        self._engine = engine
        self._inbox = inbox
        self._lines = lines

    def run(self) -> None:
        """Answers every message until the last.

        Raises:
            FrameError: If the host breaks the protocol.
        """
        references: References | None = None
        scorer: SongEngine | None = None
        while not isinstance(message := self._inbox.message(), EndMessage):
            if isinstance(message, SongMessage):
                references, scorer = self._references(message.song), None
            elif references is None:
                raise ValueError(f"a message of the type {message.type} came before the song")
            elif isinstance(message, BatchMessage):
                scorer = scorer or ENGINES[self._engine](references)
                self._score(scorer, references.song, message.listeners)
            elif isinstance(message, AuditMessage):
                self._audit(references, message)
            else:
                raise ValueError("the job came twice")

    def _references(self, song: str) -> References:
        stems = {stem: self._inbox.samples().reshape(-1, len(CAD1.sides)) for stem in CAD1.stems}
        self._lines.send(SongReferences(nonce=self._lines.nonce, song=song, sha256=references_digest(stems)))
        return make_references(song, stems)

    def _score(self, engine: SongEngine, song: str, listeners: Sequence[ListenerMessage]) -> None:
        """Scores one batch of a song's listeners; each line has an equal share of the batch's time."""
        wall, cpu = time.monotonic(), time.process_time()
        samples = BatchSamples(self._inbox, listeners=len(listeners), stems=len(CAD1.scoring_order))
        found: Sequence[Values | Exception]
        try:
            found = engine.score_all(
                [
                    Listening(
                        processed=signals(samples, listener=number, scales=scales_of(one)),
                        audiograms=audiograms_of(one),
                    )
                    for number, one in enumerate(listeners)
                ]
            )
        except Exception as error:  # of the whole batch: every listener fails
            found = [error] * len(listeners)
        samples.skip_rest()
        seconds = (time.monotonic() - wall) / len(found)
        cpu_seconds = (time.process_time() - cpu) / len(found)
        for one, values in zip(listeners, found, strict=True):
            line = partial(self._example, song, one.listener, values, seconds, cpu_seconds)
            self._answer(song, one.listener, line)

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

    def _audit(self, references: References, message: AuditMessage) -> None:
        position = CAD1.scoring_order.index(message.value)
        samples = BatchSamples(self._inbox, listeners=1, stems=position + 1)
        scales = scales_of(message.listener)[: position + 1]
        processed = list(signals(samples, listener=0, scales=scales))
        listener = message.listener.listener

        def work() -> Line:
            wall = time.monotonic()
            haaqi = audit(references, processed, audiograms_of(message.listener), position=position)
            return AuditScore(
                nonce=self._lines.nonce,
                song=references.song,
                listener=listener,
                value=message.value,
                haaqi=haaqi,
                seconds=time.monotonic() - wall,
            )

        self._answer(references.song, listener, work)

    def _answer(self, song: str, listener: str, work: Callable[[], Line]) -> None:
        try:
            line = work()
        except Exception as error:
            line = failure_of(error, nonce=self._lines.nonce, song=song, listener=listener)
        self._lines.send(line)


def scales_of(listener: ListenerMessage) -> list[float]:
    """The scale factors of a listener's stems in `CAD1.scoring_order`; 1 for a stem that has none."""
    return [listener.scales.get(name, 1.0) for name in CAD1.scoring_order]


def audiograms_of(listener: ListenerMessage) -> list[tuple[float, ...]]:
    """For each stem of `CAD1.scoring_order`, the ear's six levels in dB HL at `CAD1.frequencies`."""
    return [listener.audiograms[side_and_stem(name)[0]] for name in CAD1.scoring_order]


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
    if isinstance(error, HarnessError):
        fault, message = error.fault, error.message
    elif isinstance(error, MemoryError):
        fault, message = Fault.MEMORY, "There was not enough memory to score this example."
    else:
        fault, message = Fault.BUG, f"{type(error).__name__}: {error}"
        traceback.print_exception(error, file=sys.stderr)
    return ExampleFailure.model_validate(
        {
            "nonce": nonce,
            "song": song,
            "listener": listener,
            "fault": fault.value,
            "message": message[:2000],
        }
    )
