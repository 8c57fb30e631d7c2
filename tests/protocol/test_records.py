"""Output of a sandbox is untrusted: everything that does not follow the protocol is rejected."""

from __future__ import annotations

import json

import pytest

from harness.protocol.records import MAX_LINE_BYTES, ExampleScore, LineError, RunRecord, parse_line
from tests.values import values

NONCE = "0" * 32
GOOD = {
    "type": "example",
    "nonce": NONCE,
    "song": "A - B",
    "listener": "L0001",
    "values": values(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, None),
    "seconds": 1.0,
    "cpu_seconds": 1.0,
}


def line(**changes: object) -> bytes:
    return json.dumps(GOOD | changes).encode()


def test_a_valid_line_is_parsed() -> None:
    record = parse_line(line(), nonce=NONCE)
    assert isinstance(record, ExampleScore)
    assert record.values == values(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, None)


def test_every_bit_of_a_float_survives_the_line() -> None:
    value = 0.1234567890123456789
    record = ExampleScore.model_validate(GOOD | {"values": values(value)})
    parsed = parse_line(record.model_dump_json().encode(), nonce=NONCE)
    assert isinstance(parsed, ExampleScore)
    assert parsed.values == values(value)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (line(values=values(0.5) | {"left_bass": float("nan")}), "protocol"),
        (line(values=values(0.5) | {"left_bass": float("inf")}), "protocol"),
        (line(values=values(0.5) | {"left_bass": 1.0000001}), "less than or equal to 1"),
        (line(values=values(0.5) | {"left_bass": -0.0001}), "greater than or equal to 0"),
        (line(values=values(0.5) | {"left_bass": "0.5"}), "valid number"),
        (line(values=[0.5] * 8), "should be an object"),
        (line(values={}), "at least 1"),
        (line(values={f"n{number}": 0.5 for number in range(65)}), "at most 64"),
        (line(values={"": 0.5}), "at least 1"),
        (line(values={"x" * 401: 0.5}), "at most 400"),
        (line(average=0.9), "Extra inputs"),
        (line(song=""), "at least 1"),
        (line(song="x" * 401), "at most 400"),
        (line(type="score"), "does not match"),
        (line(nonce="1" * 32), "another job's nonce"),
        (b"", "protocol"),
        (b"{" * 1000, "protocol"),
        (b"\xff\xfe", "protocol"),
        (line()[:-10], "protocol"),
        (line(song="a") + b" " * MAX_LINE_BYTES, "bytes"),
        (b"[" * (MAX_LINE_BYTES - 1), "protocol"),
    ],
)
def test_everything_else_is_rejected(raw: bytes, reason: str) -> None:
    with pytest.raises(LineError, match=reason):
        parse_line(raw, nonce=NONCE)


def test_a_stored_run_record_calls_the_scorer_digest_scorer() -> None:
    stored = (
        '{"scorer":"' + "d" * 64 + '","engine":"fast","sandbox":"docker","locked":true,"image":"i",'
        '"base_image":"b","versions":{"numpy":"1.24.4"},"decoder":{"numpy":"2"},"cpu":"c"}'
    )
    record = RunRecord.model_validate_json(stored)
    assert record.scorer_digest == "d" * 64
    assert record.to_json() == stored
    before = stored.replace('"decoder":{"numpy":"2"},', "")
    assert RunRecord.model_validate_json(before).decoder == {}, "records from before the decoder"
