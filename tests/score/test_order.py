"""A loop over all submissions of a team, again or in another order, does not decide which of them counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.ledger.ledger import Ledger
from harness.ranking.counting import counted_entry
from harness.ranking.duplicates import notes_about
from harness.ranking.store import read_team_scores
from harness.score.conductor import score
from harness.score.request import Request
from tests.score.fakes import FakeSandbox
from validator import Challenge


@pytest.fixture
def requests(make_zip: Callable[[str, str], Path], synthetic_root: Path, tmp_path: Path) -> list[Request]:
    """Two submissions of one team."""
    challenge = Challenge.load(synthetic_root, split="test")
    return [
        Request(
            submission=make_zip("E001", separator),
            challenge=challenge,
            selected=challenge,
            team="E001",
            store=tmp_path / "store",
            audits=0,
        )
        for separator in ("oracle", "mixture")
    ]


def counted(request: Request) -> str:
    with Ledger(request.store, read_only=True) as ledger:
        return counted_entry(ledger, "E001")[0].key.submission


def test_scoring_all_submissions_again_in_any_order_changes_nothing(requests: list[Request]) -> None:
    first, last = requests
    score(first, FakeSandbox())
    before = counted(first)
    score(last, FakeSandbox())
    after = counted(first)
    assert before != after
    for request in (last, first, first, last, first):
        score(request, FakeSandbox())
        assert counted(first) == after


def test_an_interrupted_newer_submission_leaves_the_scores_of_the_one_before(requests: list[Request]) -> None:
    first, last = requests
    score(first, FakeSandbox())
    before = read_team_scores(first.store, "E001")
    broken = FakeSandbox()
    broken.behaviour = dict.fromkeys(last.challenge.examples, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        score(last, broken)
    assert read_team_scores(first.store, "E001") == before
    assert (before.stored, before.total) == (4, 4)


def test_another_teams_submission_with_the_same_bytes_and_stems_is_noted(requests: list[Request]) -> None:
    for request in (requests[0], replace(requests[0], team="E002")):
        score(request, FakeSandbox())
    with Ledger(requests[0].store, read_only=True) as ledger:
        key = ledger.entries()[0].key
        assert notes_about(ledger, key, team="E002") == ["E001 sent the same bytes."]
        assert notes_about(ledger, key, team="E001") == ["E002 sent the same bytes."]
