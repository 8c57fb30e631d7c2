"""A line that breaks the protocol raises an error, and nothing of it is used."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from harness.protocol.errors import InternalError, SetupError
from harness.protocol.records import Example, ExampleScore, Hello, Job
from harness.sandbox.contract import MAX_DIAGNOSTICS, printable
from harness.sandbox.conversation import Conversation
from tests.values import values

JOB = Job(
    nonce="a" * 32,
    scorer_digest="b" * 64,
    split="test",
    engine="fast",
    submission="/s",
    data="/d",
    examples=(Example(song="S", listener="L1"), Example(song="S", listener="L2")),
)
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


DONE = {"type": "done", "nonce": JOB.nonce, "examples": 2, "failures": 0, "peak_memory": 1}
FAILURE = {
    "type": "failure",
    "nonce": JOB.nonce,
    "song": "S",
    "listener": "L2",
    "fault": "submission",
    "code": "flac-md5",
    "path": "p",
    "message": "m",
}


def raw(*lines: Mapping[str, object]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def test_a_complete_conversation_byte_by_byte() -> None:
    conversation = Conversation(JOB)
    text = raw(HELLO, example("L1"), FAILURE, DONE)
    records = [
        record for position in range(len(text)) for record in conversation.feed(text[position : position + 1])
    ]
    conversation.finish()
    assert [type(record) for record in records][:2] == [Hello, ExampleScore]
    assert len(records) == 4


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ([example("L1")], "results came before its first line"),
        ([HELLO, HELLO], "its first line came twice"),
        ([HELLO, example("L1"), example("L1")], "not asked for, or twice"),
        ([HELLO, example("L3")], "not asked for, or twice"),
        ([HELLO, DONE], "its last line came with 2 questions unanswered"),
        ([HELLO, example("L1"), DONE], "its last line came with 1 question unanswered"),
        ([HELLO, example("L1"), example("L2"), DONE, DONE], "a line after its last line"),
        ([HELLO | {"scorer_digest": "c" * 64}], "another lock's digest"),
        ([HELLO | {"locked": False}], "another lock's digest"),
    ],
)
def test_an_unexpected_line_is_an_internal_error(lines: list[dict[str, object]], what: str) -> None:
    with pytest.raises(InternalError, match=what):
        list(Conversation(JOB).feed(raw(*lines)))


def test_an_end_before_the_last_line_is_an_internal_error() -> None:
    conversation = Conversation(JOB)
    taken = list(conversation.feed(raw(HELLO, example("L1"))[:-5]))
    assert len(taken) == 1
    with pytest.raises(InternalError, match="its output ended before its last line"):
        conversation.finish()


def test_a_flood_without_a_newline_is_stopped() -> None:
    conversation = Conversation(JOB)
    taken = [list(conversation.feed(b"x" * 1000)) for _ in range(16)]
    assert not any(taken)
    with pytest.raises(InternalError, match="a line of more than"):
        list(conversation.feed(b"x" * 1000))


def test_a_refusal_is_a_setup_error_and_printable() -> None:
    refusal = {"type": "refusal", "nonce": JOB.nonce, "message": "no\x1b[31m", "hint": "h"}
    with pytest.raises(SetupError, match=r"no\?\[31m"):
        list(Conversation(JOB).feed(raw(refusal)))


def test_diagnostics_are_capped_and_printable() -> None:
    conversation = Conversation(JOB)
    for _ in range(100):
        conversation.note(b"\x1b[2J" + b"y" * 10_000)
    assert len(conversation.diagnostics) == MAX_DIAGNOSTICS
    assert printable(b"a\x1b[2J\xffb\n") == "a?[2J?b\n"
