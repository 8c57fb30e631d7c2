"""One job's output, checked against the protocol."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from harness.protocol.errors import InternalError, SetupError
from harness.protocol.records import (
    MAX_LINE_BYTES,
    AuditScore,
    Done,
    ExampleFailure,
    ExampleScore,
    Hello,
    Job,
    LineError,
    Refusal,
    SongReferences,
    parse_line,
)
from harness.sandbox.contract import Result, Running
from harness.sandbox.feed import AuditQuestion, BatchQuestion, Question, SongQuestion
from validator.findings.text import quoted


class Conversation:
    """Checks an evaluator's output: hello first, one answer to each question, done last, nothing else.

    Call `ask` before a question is sent, from the thread that sends them, and `asked_all` after the last. Pass
    bytes of standard output to `feed`; call `finish` when the output has ended.

    Args:
        job: The job.
        running: The evaluator; makes the errors.
    """

    def __init__(self, job: Job, running: Running) -> None:
        self._job = job
        self._running = running
        self._buffer = b""
        self._hello = False
        self._done = False
        self._asked_all = False
        self._lock = threading.Lock()
        self._open_songs: set[str] = set()
        self._open_examples: set[tuple[str, str]] = set()
        self._open_audits: set[tuple[str, str, str]] = set()

    @property
    def complete(self) -> bool:
        """Whether the last line has come."""
        return self._done

    @property
    def waiting(self) -> bool:
        """Whether the evaluator owes a line."""
        return bool(
            not self._hello
            or self._open_songs
            or self._open_examples
            or self._open_audits
            or (self._asked_all and not self._done)
        )

    def ask(self, question: Question) -> None:
        """Notes that a question will be sent."""
        with self._lock:
            if isinstance(question, SongQuestion):
                self._open_songs.add(question.song)
            elif isinstance(question, BatchQuestion):
                self._open_examples |= {(question.song, one.listener) for one in question.examples}
            elif isinstance(question, AuditQuestion):
                self._open_audits.add((question.song, question.example.listener, question.value))

    def asked_all(self) -> None:
        """Notes that nothing more will be sent."""
        self._asked_all = True

    def feed(self, raw: bytes) -> Iterator[Hello | Result]:
        """Takes a chunk of output and yields the records that it completes.

        Raises:
            InternalError: If a line breaks the protocol.
            SetupError: If the sandbox refuses to score.
        """
        self._buffer += raw
        while True:
            line, newline, rest = self._buffer.partition(b"\n")
            if not newline:
                break
            self._buffer = rest
            yield self._record(line)
        if len(self._buffer) > MAX_LINE_BYTES:
            raise self._broken(f"a line of more than {MAX_LINE_BYTES} bytes")

    def finish(self) -> None:
        """Checks that the output was complete.

        Raises:
            InternalError: If it ended before the last line.
        """
        if not self._done or self._buffer:
            raise self._broken("its output ended before its last line")

    def _record(self, raw: bytes) -> Hello | Result:
        try:
            record = parse_line(raw, nonce=self._job.nonce)
        except LineError as error:
            raise self._broken(str(error)) from None
        if isinstance(record, Refusal):
            hint = quoted("evaluator", record.hint) if record.hint else ""
            raise SetupError(
                f"The evaluator refused to score. {quoted('evaluator', record.message)}", hint=hint
            )
        if self._done:
            raise self._broken("a line after its last line")
        if isinstance(record, Hello) == self._hello:
            raise self._broken(
                "its first line came twice" if self._hello else "results came before its first line"
            )
        if isinstance(record, Hello):
            if record.scorer_digest != self._job.scorer_digest or (
                self._job.require_lock and not record.locked
            ):
                raise self._broken("another lock's digest")
            self._hello = True
        elif isinstance(record, Done):
            self._end()
        else:
            with self._lock:
                self._tick_off(record)
        return record

    def _end(self) -> None:
        left = len(self._open_examples) + len(self._open_audits) + len(self._open_songs)
        if left or not self._asked_all:
            raise self._broken(f"its last line came with {left} question{'s' * (left != 1)} unanswered")
        self._done = True

    def _tick_off(self, record: ExampleScore | ExampleFailure | AuditScore | SongReferences) -> None:
        if isinstance(record, SongReferences):
            if record.song not in self._open_songs:
                raise self._broken("a song that was not sent, or twice")
            self._open_songs.remove(record.song)
            return
        example = (record.song, record.listener)
        if isinstance(record, AuditScore):
            audit = (*example, record.value)
            if audit not in self._open_audits:
                raise self._broken("an audit that was not asked for, or twice")
            self._open_audits.remove(audit)
        elif example in self._open_examples:
            self._open_examples.remove(example)
        else:
            audits = {a for a in self._open_audits if a[:2] == example}
            if not isinstance(record, ExampleFailure) or not audits:
                raise self._broken("an example that was not asked for, or twice")
            self._open_audits.remove(min(audits))

    def _broken(self, what: str) -> InternalError:
        return self._running.broke_protocol(what)
