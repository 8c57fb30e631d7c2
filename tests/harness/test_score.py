"""The conductor, with a sandbox that answers as it is told: what it stores, and whose fault it says things are."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import BugError, DeadlineError, SetupError
from harness.ranking.ledger import Ledger
from harness.records import AuditScore, ExampleFailure, ExampleScore, Hello
from harness.sandbox.base import Environment, Records, Task
from harness.score import Request, challenge_digest, roster_of, score
from validator import Challenge

NONCE = "0" * 32


class FakeSandbox:
    """Scores every stem with the same number; does what a test tells it for some examples."""

    name = "fake"

    def __init__(self, *, audit: float = 0.0, locked: bool = True) -> None:
        self.tasks: list[Task] = []
        self.behaviour: dict[tuple[str, str], Exception | ExampleFailure] = {}
        self._audit = audit
        self._locked = locked
        self._lock = threading.Lock()

    def prepare(self) -> Environment:
        return Environment("fake", "d" * 64, locked=self._locked)

    def run(self, task: Task) -> Records:
        with self._lock:
            self.tasks.append(task)
        yield Hello(nonce=NONCE, lock="d" * 64, locked=self._locked, versions={}, cpu="none")
        for example in task.examples:
            told = self.behaviour.get((example.song, example.listener))
            if isinstance(told, Exception):
                raise told
            yield told or ExampleScore(
                nonce=NONCE,
                song=example.song,
                listener=example.listener,
                values=(0.25,) * 8,
                seconds=0.1,
                cpu_seconds=0.1,
            )
        for item in task.audits:
            yield AuditScore(
                nonce=NONCE,
                song=item.song,
                listener=item.listener,
                position=item.position,
                value=0.25 + self._audit,
                seconds=0.1,
            )


@pytest.fixture
def request_(oracle_zip: Path, synthetic_root: Path, tmp_path: Path) -> Request:
    challenge = Challenge.load(synthetic_root, split="test")
    return Request(
        submission=oracle_zip,
        challenge=challenge,
        selected=challenge,
        team="E001",
        store=tmp_path / "store",
        workers=2,
    )


def failure(example: tuple[str, str], fault: str) -> ExampleFailure:
    return ExampleFailure.model_validate(
        {
            "nonce": NONCE,
            "song": example[0],
            "listener": example[1],
            "fault": fault,
            "code": "flac-md5",
            "path": "x.flac",
            "message": "broken",
        }
    )


def test_a_whole_submission_is_scored_ranked_and_audited(request_: Request) -> None:
    sandbox = FakeSandbox()
    outcome = score(request_, sandbox)
    assert outcome.average == 0.25
    assert (outcome.scored, outcome.stored, outcome.total) == (4, 4, 4)
    assert len(outcome.audits) == 3
    assert not outcome.faults
    assert "0.2500" in (request_.store / "ranking.md").read_text()
    songs = [{example.song for example in task.examples} for task in sandbox.tasks]
    assert all(len(names) <= 1 for names in songs), "a shard holds the listeners of one song"


def test_an_audit_that_differs_is_a_bug_and_the_team_is_not_ranked(request_: Request) -> None:
    outcome = score(request_, FakeSandbox(audit=1.1e-9))
    assert isinstance(outcome.faults[0], BugError)
    assert "The audit failed: 3 of 3 stems" in outcome.faults[0].message
    ranking = (request_.store / "ranking.md").read_text()
    assert "0.2500" not in ranking
    assert "the audit failed" in ranking


def test_a_difference_of_rounding_passes(request_: Request) -> None:
    outcome = score(request_, FakeSandbox(audit=1e-12))
    assert not outcome.faults
    assert max(audit.difference for audit in outcome.audits) > 0


def test_no_audit_where_none_is_asked_for_or_pyclarity_scored(request_: Request) -> None:
    assert score(replace(request_, audits=0), FakeSandbox()).audits == []
    assert score(replace(request_, engine="pyclarity"), FakeSandbox()).audits == []


def test_an_audit_is_not_repeated(request_: Request) -> None:
    score(request_, FakeSandbox())
    again = FakeSandbox()
    outcome = score(request_, again)
    assert again.tasks == []
    assert len(outcome.audits) == 3


def test_a_broken_file_costs_only_its_example(request_: Request) -> None:
    sandbox = FakeSandbox()
    broken = request_.challenge.examples[1]
    sandbox.behaviour[broken] = failure(broken, "submission")
    outcome = score(request_, sandbox)
    assert outcome.scored == 3
    assert outcome.average is None
    (finding,) = outcome.findings
    assert (finding.code, finding.path) == ("flac-md5", "x.flac")
    assert not outcome.faults
    assert "not ranked, 3 of 4" in (request_.store / "ranking.md").read_text()


@pytest.mark.parametrize(("fault", "code"), [("memory", 4), ("setup", 3), ("bug", 5)])
def test_what_is_not_the_submissions_fault_is_no_finding(request_: Request, fault: str, code: int) -> None:
    sandbox = FakeSandbox()
    broken = request_.challenge.examples[0]
    sandbox.behaviour[broken] = failure(broken, fault)
    outcome = score(request_, sandbox)
    assert outcome.findings == []
    assert [error.exit_code for error in outcome.faults] == [code]
    assert outcome.scored == 3


def test_a_shard_that_hits_its_deadline_does_not_stop_the_others(request_: Request) -> None:
    sandbox = FakeSandbox()
    sandbox.behaviour[request_.challenge.examples[0]] = DeadlineError("late")
    outcome = score(request_, sandbox)
    assert outcome.scored == 2
    assert [type(error) for error in outcome.faults] == [DeadlineError]
    whole = score(request_, FakeSandbox())
    assert (whole.scored, whole.stored) == (2, 4)


def test_a_fault_of_the_machine_stops_the_run_and_keeps_what_is_there(request_: Request) -> None:
    sandbox = FakeSandbox()
    sandbox.behaviour[request_.challenge.examples[1]] = SetupError("the engine vanished")
    with pytest.raises(SetupError, match="vanished"):
        score(replace(request_, workers=1), sandbox)
    roster = roster_of(request_.challenge)
    with Ledger(request_.store) as ledger:
        (entry,) = ledger.entries()
        assert roster.examples[0] in ledger.examples(entry.key)


def test_a_part_of_the_challenge_is_scored_and_not_ranked(request_: Request) -> None:
    selected = request_.challenge.select(songs=[request_.challenge.songs[1].name])
    outcome = score(replace(request_, selected=selected), FakeSandbox())
    assert (outcome.scored, outcome.stored, outcome.total) == (2, 2, 4)
    assert outcome.average is None


def test_two_teams_with_the_same_zip_share_its_scores(request_: Request) -> None:
    score(request_, FakeSandbox())
    outcome = score(replace(request_, team="E002"), FakeSandbox())
    assert outcome.scored == 0
    ranking = (request_.store / "ranking.md").read_text()
    assert ranking.count("0.2500") == 2


def test_an_invalid_submission_is_not_scored(request_: Request, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    sandbox = FakeSandbox()
    outcome = score(replace(request_, submission=tmp_path / "empty"), sandbox)
    assert not outcome.report.valid
    assert sandbox.tasks == []
    assert not request_.store.exists()


def test_limits_follow_the_audio_and_the_engine(request_: Request) -> None:
    found: dict[str, Task] = {}
    for engine in ("fast", "pyclarity"):
        sandbox = FakeSandbox()
        score(replace(request_, engine=engine, audits=0), sandbox)  # type: ignore[arg-type]
        found[engine] = sandbox.tasks[0]
    assert found["pyclarity"].seconds > found["fast"].seconds
    assert found["pyclarity"].memory > found["fast"].memory


def test_unlocked_scores_are_not_audited_and_stand_apart(request_: Request) -> None:
    outcome = score(request_, FakeSandbox(locked=False))
    assert outcome.audits == []
    assert "UNLOCKED" in (request_.store / "ranking.md").read_text()


def test_the_digest_tells_challenges_apart(request_: Request) -> None:
    challenge = request_.challenge
    listener = replace(challenge.listeners[0], left=tuple(level + 5 for level in challenge.listeners[0].left))
    digests = {
        challenge_digest(challenge),
        challenge_digest(challenge.select(songs=[challenge.songs[0].name])),
        challenge_digest(replace(challenge, listeners=(listener, *challenge.listeners[1:]))),
        challenge_digest(replace(challenge, split="valid")),
    }
    assert len(digests) == 4


def test_progress_counts_every_example(request_: Request) -> None:
    seen: list[tuple[int, int]] = []
    told: Callable[[int, int, str], None] = lambda done, total, _: seen.append((done, total))  # noqa: E731
    score(request_, FakeSandbox(), progress=told)
    assert seen[0] == (0, 4)
    assert [done for done, _ in seen[1:5]] == [1, 2, 3, 4]
