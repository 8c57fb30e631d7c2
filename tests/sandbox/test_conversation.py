"""A line that breaks the protocol raises an error, and nothing of it is used."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from harness.protocol.errors import InternalError, SetupError
from harness.protocol.records import ExampleScore, Hello, Job, SongReferences
from harness.sandbox.contract import MAX_DIAGNOSTICS, Running, printable
from harness.sandbox.conversation import Conversation
from harness.sandbox.feed import BatchQuestion, SongQuestion
from tests.values import values
from validator.challenge.audio import ExampleAudio

JOB = Job(nonce="a" * 32, scorer_digest="b" * 64, engine="fast")


class Quiet(Running):
    """A program that is never written to and has no limits."""

    def write(self, data: bytes | memoryview) -> None:
        raise NotImplementedError

    def check_limits(self) -> None:
        raise NotImplementedError

    def check_end(self, *, complete: bool) -> None:
        raise NotImplementedError


def conversation_about(*listeners: str, all_asked: bool = True) -> Conversation:
    """A conversation in which these listeners of one song were asked for."""
    conversation = Conversation(JOB, Quiet("evaluator", memory=1))
    conversation.ask(SongQuestion("S", {}))
    conversation.ask(BatchQuestion("S", tuple(ExampleAudio(one, {}, {}, {}) for one in listeners)))
    if all_asked:
        conversation.asked_all()
    return conversation


HELLO = {
    "type": "hello",
    "nonce": JOB.nonce,
    "scorer_digest": JOB.scorer_digest,
    "locked": True,
    "versions": {},
    "cpu": "x",
}


def example(listener: str) -> dict[str, object]:
    return {
        "type": "example",
        "nonce": JOB.nonce,
        "song": "S",
        "listener": listener,
        "values": values(0.5),
        "seconds": 1.0,
        "cpu_seconds": 1.0,
    }


SONG = {"type": "references", "nonce": JOB.nonce, "song": "S", "sha256": "c" * 64}
DONE = {"type": "done", "nonce": JOB.nonce, "examples": 2, "failures": 0, "peak_memory": 1}
FAILURE = {
    "type": "failure",
    "nonce": JOB.nonce,
    "song": "S",
    "listener": "L2",
    "fault": "bug",
    "message": "m",
}


def raw(*lines: Mapping[str, object]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def test_a_complete_conversation_byte_by_byte() -> None:
    conversation = conversation_about("L1", "L2")
    text = raw(HELLO, SONG, example("L1"), FAILURE, DONE)
    records = [
        record for position in range(len(text)) for record in conversation.feed(text[position : position + 1])
    ]
    conversation.finish()
    assert [type(record) for record in records][:3] == [Hello, SongReferences, ExampleScore]
    assert len(records) == 5


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ([example("L1")], "results came before its first line"),
        ([HELLO, HELLO], "its first line came twice"),
        ([HELLO, example("L1"), example("L1")], "not asked for, or twice"),
        ([HELLO, example("L3")], "not asked for, or twice"),
        ([HELLO, SONG, SONG], "a song that was not sent, or twice"),
        ([HELLO, DONE], "its last line came with 3 questions unanswered"),
        ([HELLO, SONG, example("L1"), DONE], "its last line came with 1 question unanswered"),
        ([HELLO, SONG, example("L1"), example("L2"), DONE, DONE], "a line after its last line"),
        ([HELLO | {"scorer_digest": "c" * 64}], "another lock's digest"),
        ([HELLO | {"locked": False}], "another lock's digest"),
    ],
)
def test_an_unexpected_line_is_an_internal_error(lines: list[dict[str, object]], what: str) -> None:
    with pytest.raises(InternalError, match=what):
        list(conversation_about("L1", "L2").feed(raw(*lines)))


def test_the_last_line_before_the_last_question_is_an_internal_error() -> None:
    conversation = conversation_about("L1", all_asked=False)
    with pytest.raises(InternalError, match="its last line came with 0 questions unanswered"):
        list(conversation.feed(raw(HELLO, SONG, example("L1"), DONE)))


def test_an_end_before_the_last_line_is_an_internal_error() -> None:
    conversation = conversation_about("L1")
    taken = list(conversation.feed(raw(HELLO, example("L1"))[:-5]))
    assert len(taken) == 1
    with pytest.raises(InternalError, match="its output ended before its last line"):
        conversation.finish()


def test_a_flood_without_a_newline_is_stopped() -> None:
    conversation = conversation_about()
    taken = [list(conversation.feed(b"x" * 1000)) for _ in range(16)]
    assert not any(taken)
    with pytest.raises(InternalError, match="a line of more than"):
        list(conversation.feed(b"x" * 1000))


def test_a_refusal_is_a_setup_error_that_quotes_it() -> None:
    refusal = {"type": "refusal", "nonce": JOB.nonce, "message": "no\x1b[31m", "hint": "h"}
    with pytest.raises(SetupError, match=r'refused to score\. The evaluator said: "no\\x1b\[31m"') as caught:
        list(conversation_about().feed(raw(refusal)))
    assert caught.value.hint == 'The evaluator said: "h"'


def test_diagnostics_are_capped_and_printable() -> None:
    running = Quiet("evaluator", memory=1)
    for _ in range(100):
        running.note(b"\x1b[2J" + b"y" * 10_000)
    assert len(running.diagnostics) == MAX_DIAGNOSTICS
    assert printable(b"a\x1b[2J\xffb\n") == "a?[2J?b\n"
