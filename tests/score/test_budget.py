"""A run has a total: it is shown, and whoever makes each example slow reaches it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.protocol.errors import DeadlineError
from harness.score import budget, shards
from harness.score.budget import Budget, duration, expected_seconds
from harness.score.conductor import score
from harness.score.request import Request
from tests.score.fakes import FakeSandbox
from validator import Challenge

TEST_SUBMISSION = 2597 * 8 * 30.0
"""Seconds of all stems of a submission to split test."""


@pytest.fixture
def request_(oracle_zip: Path, synthetic_root: Path, tmp_path: Path) -> Request:
    challenge = Challenge.load(synthetic_root, split="test")
    return Request(
        submission=oracle_zip,
        challenge=challenge,
        selected=challenge,
        team="E001",
        store=tmp_path / "store",
        audits=0,
    )


def test_a_test_submission_may_take_two_days_and_not_weeks() -> None:
    found = Budget(expected_seconds("fast", stem_seconds=TEST_SUBMISSION, songs=49))
    assert 10 * 3600 < found.expected < 24 * 3600
    assert found.total == budget.FACTOR * found.expected < 48 * 3600
    official = Budget(expected_seconds("pyclarity", stem_seconds=TEST_SUBMISSION, songs=49))
    assert official.total > 3 * 280 * 3600, "pyclarity takes 280 hours"


def test_the_total_is_shown_before_anything_is_scored(request_: Request) -> None:
    lines: list[str] = []
    score(request_, FakeSandbox(), log=lines.append)
    assert lines == ["Expected 1 min of processor time; at most 30 min in total."]
    score(request_, FakeSandbox(), log=lines.append)
    assert len(lines) == 1, "nothing was left to score"


def test_a_run_that_has_used_its_total_ends_and_keeps_its_scores(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10**9, 1000))
    monkeypatch.setattr(shards.time, "monotonic", lambda: float(next(clock)))  # type: ignore[attr-defined]
    monkeypatch.setattr(budget, "FLOOR_SECONDS", 500.0)
    monkeypatch.setattr(budget, "FACTOR", 1.0)
    sandbox = FakeSandbox()
    with pytest.raises(DeadlineError, match=r"it has taken 8 min of sandbox time in total") as caught:
        score(request_, sandbox)
    assert len(sandbox.tasks) == 1, "the second song is not begun"
    assert "Scores stored before are kept" in caught.value.hint


def test_no_sandbox_gets_more_time_than_is_left(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "FLOOR_SECONDS", 100.0)
    monkeypatch.setattr(budget, "FACTOR", 1.0)
    sandbox = FakeSandbox()
    score(request_, sandbox)
    assert all(task.seconds <= 100.0 for task in sandbox.tasks)


@pytest.mark.parametrize(
    ("seconds", "text"), [(60.0, "1 min"), (2400.0, "40 min"), (10_800.0, "3.0 h"), (41_400.0, "11.5 h")]
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
