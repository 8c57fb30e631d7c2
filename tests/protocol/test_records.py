"""What comes out of a container is untrusted: everything that is not the protocol is refused."""

from __future__ import annotations

import json

import pytest

from harness.protocol.records import MAX_LINE_BYTES, ExampleScore, LineError, parse_line

NONCE = "0" * 32
GOOD = {
    "type": "example",
    "nonce": NONCE,
    "song": "A - B",
    "listener": "L0001",
    "values": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, None],
    "seconds": 1.0,
    "cpu_seconds": 1.0,
}


def line(**changes: object) -> bytes:
    return json.dumps(GOOD | changes).encode()


def test_a_good_line_is_taken() -> None:
    record = parse_line(line(), nonce=NONCE)
    assert isinstance(record, ExampleScore)
    assert record.values == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, None)


def test_every_bit_of_a_float_survives_the_way() -> None:
    value = 0.1234567890123456789
    record = ExampleScore.model_validate(GOOD | {"values": (value,) * 8})
    assert parse_line(record.model_dump_json().encode(), nonce=NONCE).values[0] == value  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (line(values=[float("nan")] + [0.5] * 7), "protocol"),
        (line(values=[float("inf")] + [0.5] * 7), "protocol"),
        (line(values=[1.0000001] + [0.5] * 7), "less than or equal to 1"),
        (line(values=[-0.0001] + [0.5] * 7), "greater than or equal to 0"),
        (line(values=["0.5"] + [0.5] * 7), "valid number"),
        (line(values=[0.5] * 7), "at least 8"),
        (line(values=[0.5] * 9), "at most 8"),
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
def test_everything_else_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(LineError, match=reason):
        parse_line(raw, nonce=NONCE)
