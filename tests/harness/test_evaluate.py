"""What the evaluator makes of an engine's values and of what goes wrong."""

from __future__ import annotations

import pytest

from harness.errors import SetupError
from harness.evaluate import failure_of, in_columns
from harness.records import SCORING_ORDER, STEM_COLUMNS
from harness.references import StemError

NONCE = "0" * 32


def test_values_are_put_in_the_order_of_scores_csv() -> None:
    values: list[float | None] = [position / 10 for position in range(8)]
    found = dict(zip(STEM_COLUMNS, in_columns(values), strict=True))
    assert [found[name] for name in SCORING_ORDER] == values
    assert found["left_drums"] == 0.0
    assert found["left_bass"] == 0.2


def test_an_undefined_value_stays_undefined_and_nan_is_told() -> None:
    assert in_columns([None] * 8) == (None,) * 8
    with pytest.raises(SetupError, match="HAAQI of right_drums is not a number"):
        in_columns([0.5, float("nan"), *[0.5] * 6])


@pytest.mark.parametrize(
    ("error", "fault", "code"),
    [
        (StemError("flac-md5", "a/b.flac", "broken"), "submission", "flac-md5"),
        (SetupError("no reference"), "setup", "setup"),
        (MemoryError(), "memory", "memory"),
        (ZeroDivisionError("oh"), "bug", "bug"),
    ],
)
def test_whose_fault_it_is(
    error: Exception, fault: str, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record = failure_of(error, nonce=NONCE, song="S", listener="L")
    assert (record.fault, record.code) == (fault, code)
    assert ("ZeroDivisionError" in capsys.readouterr().err) == (fault == "bug")


def test_an_overlong_message_is_cut() -> None:
    assert len(failure_of(SetupError("x" * 5000), nonce=NONCE, song="S", listener="L").message) == 2000
