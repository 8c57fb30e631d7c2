"""The outcome of a scoring run: complete, or an error that names why it is not."""

from __future__ import annotations

from typing import Any

import pytest

from harness.ledger.entities import StoredExample
from harness.ledger.rosters import roster_of
from harness.protocol.errors import DeadlineError, SetupError
from harness.score.request import MAX_PROBLEMS, Outcome
from tests.values import values
from validator import Challenge, Finding, Severity, validate


@pytest.fixture
def outcome(oracle_zip: Any, synthetic_root: Any) -> Outcome:
    challenge = Challenge.load(synthetic_root, split="test")
    return Outcome(report=validate(oracle_zip, challenge, quick=True), roster=roster_of(challenge))


def test_an_average_is_complete(outcome: Outcome) -> None:
    outcome.average = 0.5
    outcome.examples = {("Song", "L1"): StoredExample("Song", "L1", values(0.5))}
    outcome.require_complete("submission_E001.zip")
    assert (outcome.stored, outcome.total) == (1, 4)


def test_a_failure_is_raised_before_anything_else(outcome: Outcome) -> None:
    outcome.average = 0.5
    outcome.faults = [DeadlineError("late"), SetupError("full")]
    with pytest.raises(DeadlineError, match="late"):
        outcome.require_complete("submission_E001.zip")


def test_a_rejected_submission_lists_the_first_problems(outcome: Outcome) -> None:
    outcome.findings = [
        Finding(code="flac-md5", severity=Severity.ERROR, path=f"file{number}", message="broken")
        for number in range(MAX_PROBLEMS + 1)
    ]
    with pytest.raises(
        SetupError, match=r"submission_E001\.zip was rejected: file0: broken; .*file4"
    ) as caught:
        outcome.require_complete("submission_E001.zip")
    assert f"file{MAX_PROBLEMS}" not in caught.value.message
