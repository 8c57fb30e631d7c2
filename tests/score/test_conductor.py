"""The conductor with a scripted sandbox: what it stores, and which cause it records for a failure."""

from __future__ import annotations

import socket
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.ledger.entities import Key, Scorer
from harness.ledger.leases import Leases
from harness.ledger.ledger import Ledger
from harness.ledger.rosters import challenge_digest, roster_of
from harness.ledger.states import Case, State, Step
from harness.protocol.errors import DeadlineError, InternalError, MachineError, SetupError
from harness.protocol.records import ExampleFailure, Hello
from harness.sandbox.contract import Records, Stopped, Task
from harness.score import heartbeat, shards
from harness.score.conductor import score
from harness.score.request import Request
from tests.score.fakes import NONCE, FakeSandbox
from validator import Challenge
from validator.archive.submission import digest


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "RETRY_WAITS", (0.0,))


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
            "message": "broken",
        }
    )


def key_of(request: Request) -> Key:
    found = digest(request.submission)
    assert found is not None
    return Key(found, challenge_digest(request.challenge), Scorer("d" * 64, request.engine, locked=True))


def history(request: Request) -> list[Step]:
    """The states that the submission went through."""
    key = key_of(request)
    with Ledger(request.store) as ledger:
        return ledger.history.steps(Case(request.team, key.submission, key.challenge))


def test_a_whole_submission_is_scored_ranked_and_audited(request_: Request) -> None:
    sandbox = FakeSandbox()
    outcome = score(request_, sandbox)
    assert outcome.average == 0.25
    assert (outcome.scored, outcome.stored, outcome.total) == (4, 4, 4)
    assert len(outcome.audits) == 3
    assert not outcome.faults
    assert "0.2500" in (request_.store / "ranking.md").read_text()
    assert all(len(names) <= 1 for names in sandbox.songs), "a shard holds the listeners of one song"


def test_a_failed_audit_is_an_internal_error_and_the_team_is_not_ranked(request_: Request) -> None:
    outcome = score(request_, FakeSandbox(audit=1.1e-9))
    assert isinstance(outcome.faults[0], InternalError)
    assert "The audit failed: 3 of 3 stems" in outcome.faults[0].message
    ranking = (request_.store / "ranking.md").read_text()
    assert "0.2500" not in ranking
    assert "the audit failed" in ranking


def test_an_audit_tolerates_rounding(request_: Request) -> None:
    outcome = score(request_, FakeSandbox(audit=1e-12))
    assert not outcome.faults
    assert max(audit.difference for audit in outcome.audits) > 0


def test_no_audit_if_none_is_requested_or_pyclarity_scored(request_: Request) -> None:
    assert score(replace(request_, audits=0), FakeSandbox()).audits == []
    assert score(replace(request_, engine="pyclarity"), FakeSandbox()).audits == []


def test_an_audit_is_not_repeated(request_: Request) -> None:
    score(request_, FakeSandbox())
    again = FakeSandbox()
    outcome = score(request_, again)
    assert again.tasks == []
    assert len(outcome.audits) == 3


def damaged(request: Request, example: tuple[str, str], folder: Path) -> tuple[Request, str]:
    """The submission with one FLAC of the example cut in half, and that file's path."""
    song, listener = example
    path = f"{listener}/{song}/{listener}_{song}_left_bass.flac"
    with zipfile.ZipFile(request.submission) as source, zipfile.ZipFile(folder / "bad.zip", "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, data[: len(data) // 2] if name.endswith(path) else data)
    return replace(request, submission=folder / "bad.zip"), path


def test_a_broken_file_affects_only_its_example(request_: Request, tmp_path: Path) -> None:
    broken, path = damaged(request_, request_.challenge.examples[1], tmp_path)
    outcome = score(broken, FakeSandbox())
    assert outcome.scored == 3
    assert outcome.average is None
    (finding,) = outcome.findings
    assert (finding.code, finding.path) == ("flac-truncated", path)
    assert not outcome.faults
    assert history(broken)[-1].state is State.INVALID
    with Ledger(broken.store) as ledger:
        (failed,) = ledger.failures(key_of(broken))
    assert (failed.fault, failed.code, failed.path) == ("submission", "flac-truncated", path)
    assert "not ranked, 3 of 4" in (broken.store / "ranking.md").read_text()


@pytest.mark.parametrize(("fault", "code"), [("memory", 4), ("setup", 3), ("bug", 5)])
def test_a_failure_the_submission_did_not_cause_is_not_a_finding(
    request_: Request, fault: str, code: int
) -> None:
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
    assert outcome.scored == 3
    assert [type(error) for error in outcome.faults] == [DeadlineError]
    assert [(step.state, step.fault) for step in history(request_)] == [
        (State.RECEIVED, ""),
        (State.SCORING, ""),
        (State.FAILED, "timeout"),
    ]
    whole = score(request_, FakeSandbox())
    assert (whole.scored, whole.stored) == (1, 4)
    with Ledger(request_.store) as ledger:
        assert ledger.failures(key_of(request_)) == [], "a scored example has not failed"
    assert history(request_)[-1].state is State.SCORED


def test_a_setup_error_stops_the_run_and_keeps_the_scores(request_: Request) -> None:
    sandbox = FakeSandbox()
    sandbox.behaviour[request_.challenge.examples[1]] = SetupError("the engine vanished")
    with pytest.raises(SetupError, match="vanished"):
        score(replace(request_, workers=1), sandbox)
    roster = roster_of(request_.challenge)
    with Ledger(request_.store) as ledger:
        (entry,) = ledger.entries()
        assert roster.examples[0] in ledger.examples(entry.key)
    last = history(request_)[-1]
    assert (last.state, last.fault, last.cause) == (State.FAILED, "setup", "the engine vanished")


def test_the_run_continues_when_the_engine_comes_back(request_: Request) -> None:
    sandbox = FakeSandbox()
    example = request_.challenge.examples[1]
    sandbox.behaviour[example] = MachineError("the engine vanished")
    lines: list[str] = []

    def restart_engine(text: str) -> None:
        lines.append(text)
        if "vanished" in text:
            del sandbox.behaviour[example]

    outcome = score(request_, sandbox, log=restart_engine)
    assert (outcome.scored, outcome.faults) == (4, [])
    assert lines[1:] == ["the engine vanished Retrying in 0 s."]


def test_an_interrupted_submission_is_received_again(request_: Request) -> None:
    sandbox = FakeSandbox()
    sandbox.behaviour[request_.challenge.examples[2]] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        score(replace(request_, workers=1), sandbox)
    assert history(request_)[-1].state is State.RECEIVED
    with Ledger(request_.store) as ledger:
        assert ledger.leases.all() == []
    assert score(request_, FakeSandbox()).stored == 4


def test_a_second_run_waits_for_the_first_and_finds_its_scores(request_: Request) -> None:
    started, go_on = threading.Event(), threading.Event()

    class Slow(FakeSandbox):
        def run(self, task: Task) -> Records:
            started.set()
            assert go_on.wait(30)
            yield from super().run(task)

    first = threading.Thread(target=score, args=(request_, Slow()))
    first.start()
    assert started.wait(30)
    lines: list[str] = []
    second = FakeSandbox()

    def log(text: str) -> None:
        lines.append(text)
        go_on.set()

    # both runs are in this process: pretend that the second is another
    outcome = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heartbeat, "runner", lambda: socket.gethostname() + " 1@0")
        patch.setattr(heartbeat, "POLL_SECONDS", 0.01)
        outcome = score(request_, second, log=log)
    first.join(30)
    assert len(lines) == 1
    assert "waiting for it to finish" in lines[0]
    assert second.tasks == []
    assert (outcome.scored, outcome.stored) == (0, 4)


def test_a_run_takes_over_from_a_dead_one(request_: Request) -> None:
    key = key_of(request_)
    case = Case(request_.team, key.submission, key.challenge)
    with Ledger(request_.store) as ledger:
        ledger.add_roster(roster_of(request_.challenge))
        ledger.history.move(case, State.RECEIVED)
        ledger.leases.claim(
            key,
            team=request_.team,
            runner=f"{socket.gethostname()} 99999999@1",
            done=0,
            total=4,
            is_dead=heartbeat.is_dead,
        )
        ledger.history.move(case, State.SCORING, scorer=key.scorer)
    assert score(request_, FakeSandbox()).stored == 4
    states = [step.state for step in history(request_)]
    assert states == [
        State.RECEIVED,
        State.SCORING,
        State.FAILED,
        State.RECEIVED,
        State.SCORING,
        State.SCORED,
    ]
    assert history(request_)[2].fault == "setup"


def test_a_run_that_loses_its_lease_ends(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(Leases, "beat", lambda *_, **__: False)

    class Endless(FakeSandbox):
        def run(self, task: Task) -> Records:
            yield Hello(nonce=NONCE, scorer_digest="d" * 64, locked=True, versions={}, cpu="none")
            assert task.stop.wait(30), "nobody stopped it"
            raise Stopped

    with pytest.raises(SetupError, match="taken over"):
        score(request_, Endless())
    assert history(request_)[-1].state is State.SCORING, "the other run sets the state now"


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
    with Ledger(request_.store) as ledger:
        assert ledger.entries() == []
        (step,) = ledger.history.latest()
    assert (step.state, step.fault) == (State.INVALID, "submission")
    assert "1 error: missing (1)" in step.cause


def test_limits_follow_the_audio_and_the_engine(request_: Request) -> None:
    found: dict[str, Task] = {}
    for engine in ("fast", "pyclarity"):
        sandbox = FakeSandbox()
        score(replace(request_, engine=engine, audits=0), sandbox)
        found[engine] = sandbox.tasks[0]
    assert found["pyclarity"].seconds > found["fast"].seconds
    assert found["pyclarity"].memory > found["fast"].memory


def test_unlocked_scores_are_not_audited_and_marked(request_: Request) -> None:
    outcome = score(request_, FakeSandbox(locked=False))
    assert outcome.audits == []
    assert "UNLOCKED" in (request_.store / "ranking.md").read_text()


def test_the_challenge_digest_depends_on_songs_listeners_and_split(request_: Request) -> None:
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

    def progress(done: int, total: int, _: str) -> None:
        seen.append((done, total))

    score(request_, FakeSandbox(), progress=progress)
    assert seen[0] == (0, 4)
    assert [done for done, _ in seen[1:5]] == [1, 2, 3, 4]


def test_the_log_notes_that_another_team_has_one_of_the_stems(
    request_: Request, make_zip: Callable[[str, str], Path], tmp_path: Path
) -> None:
    score(request_, FakeSandbox())
    song, listener = request_.challenge.examples[0]
    path = f"{listener}/{song}/{listener}_{song}_left_bass.flac"
    mixed = tmp_path / "submission_E002.zip"
    with (
        zipfile.ZipFile(make_zip("E002", "mixture")) as source,
        zipfile.ZipFile(request_.submission) as first,
        zipfile.ZipFile(mixed, "w") as target,
    ):
        (copied,) = [name for name in first.namelist() if name.endswith(path)]
        for name in source.namelist():
            target.writestr(name, first.read(copied) if name.endswith(path) else source.read(name))
    lines: list[str] = []
    score(replace(request_, submission=mixed, team="E002"), FakeSandbox(), log=lines.append)
    (note,) = [line for line in lines if line.startswith("Note:")]
    assert "1 of 32 stems is the same as in" in note
    assert "of E001" in note


def test_the_log_notes_that_another_team_has_sent_the_same(request_: Request) -> None:
    lines: list[str] = []
    score(request_, FakeSandbox(), log=lines.append)
    assert not any(line.startswith("Note:") for line in lines)
    score(replace(request_, team="E002"), FakeSandbox(), log=lines.append)
    (note,) = [line for line in lines if line.startswith("Note:")]
    assert "E001" in note
