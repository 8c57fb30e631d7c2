"""One job's output, checked against the protocol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.protocol.errors import InternalError, SetupError
from harness.protocol.records import (
    MAX_LINE_BYTES,
    AuditScore,
    Done,
    ExampleFailure,
    Hello,
    Job,
    LineError,
    Refusal,
    parse_line,
)
from harness.sandbox.contract import MAX_DIAGNOSTICS, Answer, Result, printable


@dataclass
class Conversation:
    """Checks a job's output: hello first, one answer to each question, done last, nothing else.

    Pass bytes of standard output to `feed`; call `finish` when the output has ended.
    """

    job: Job
    diagnostics: bytes = b""
    _buffer: bytes = b""
    _hello: bool = False
    _done: bool = False
    _open_examples: set[tuple[str, str]] = field(init=False)
    _open_audits: set[tuple[str, str, str]] = field(init=False)

    def __post_init__(self) -> None:
        self._open_examples = {(e.song, e.listener) for e in self.job.examples}
        self._open_audits = {(a.song, a.listener, a.value) for a in self.job.audits}

    @property
    def complete(self) -> bool:
        """Whether the last line has come."""
        return self._done

    def note(self, raw: bytes) -> None:
        """Keeps the end of standard error for the organiser."""
        self.diagnostics = (self.diagnostics + raw)[-MAX_DIAGNOSTICS:]

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
            record = parse_line(raw, nonce=self.job.nonce)
        except LineError as error:
            raise self._broken(str(error)) from None
        if isinstance(record, Refusal):
            raise SetupError(_printable(record.message), hint=_printable(record.hint))
        if self._done:
            raise self._broken("a line after its last line")
        if isinstance(record, Hello) == self._hello:
            raise self._broken(
                "its first line came twice" if self._hello else "results came before its first line"
            )
        if isinstance(record, Hello):
            if record.scorer_digest != self.job.scorer_digest or (
                self.job.require_lock and not record.locked
            ):
                raise self._broken("another lock's digest")
            self._hello = True
            return record
        if isinstance(record, Done):
            if left := len(self._open_examples) + len(self._open_audits):
                raise self._broken(f"its last line came with {left} question{'s' * (left > 1)} unanswered")
            self._done = True
            return record
        self._tick_off(record)
        return record

    def _tick_off(self, record: Answer) -> None:
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
        return InternalError(
            f"The evaluator broke the protocol: {what}; nothing from that line was stored.",
            hint="Scores stored before are kept. The log in the store holds the evaluator's output.",
            detail=printable(self.diagnostics),
        )


def _printable(text: str) -> str:
    """Text of a parsed record on one line, `?` for control characters."""
    return "".join(character if character.isprintable() else "?" for character in text)
