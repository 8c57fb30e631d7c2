"""A queue of submissions with a scripted sandbox: all are validated first, and one that fails stops no other."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.console import to_harness_error
from harness.ledger.ledger import Ledger
from harness.ledger.rosters import challenge_digest
from harness.ledger.states import Case, State
from harness.protocol.errors import InternalError, SetupError, UsageError
from harness.ranking.store import RANKING_FILE
from harness.sandbox.contract import Environment
from harness.score import arrivals, shards
from harness.score.changes import Change
from harness.score.kept import find
from harness.score.queue import Result, score_all, summary, worst_exit_code
from harness.score.request import Request
from tests.score.fakes import FakeSandbox
from validator import Challenge
from validator.archive.submission import digest

MakeZip = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "RETRY_WAITS", (0.0,))


class CountingSandbox(FakeSandbox):
    """Counts how often it is prepared."""

    prepared = 0

    def prepare(self) -> Environment:
        self.prepared += 1
        return super().prepare()


@pytest.fixture
def requests(make_zip: MakeZip, synthetic_root: Path, tmp_path: Path) -> list[Request]:
    """E001 valid, E002 without a file, E003 valid."""
    challenge = Challenge.load(synthetic_root, split="test")
    made = []
    for team, separator in (("E001", "oracle"), ("E002", "mixture"), ("E003", "leaky")):
        path = Path(shutil.copy(make_zip("E001", separator), tmp_path / f"submission_{team}.zip"))
        if team == "E002":
            drop_one(path)
        made.append(Request(path, challenge, challenge, team, tmp_path / "store"))
    return made


def drop_one(path: Path) -> None:
    """Rewrites a zip without its first stem."""
    with zipfile.ZipFile(path) as source:
        members = {name: source.read(name) for name in source.namelist()}
    members.pop(next(name for name in members if name.endswith("bass.flac")))
    with zipfile.ZipFile(path, "w") as target:
        for name, data in members.items():
            target.writestr(name, data)


def run(requests: list[Request], sandbox: FakeSandbox, **options: object) -> list[Result]:
    return score_all(requests, sandbox, explain=to_harness_error, **options)  # type: ignore[arg-type]


def test_one_invalid_submission_stops_no_other(requests: list[Request]) -> None:
    results = run(requests, FakeSandbox())
    assert [result.state for result in results] == [State.SCORED, State.INVALID, State.SCORED]
    assert [result.average for result in results] == [0.25, None, 0.25]
    assert results[1].cause == "1 error: missing (1)"
    assert worst_exit_code(results) == 1
    assert summary(results) == "3 submissions: 1 invalid, 2 scored."


def test_all_are_validated_before_the_first_is_scored(requests: list[Request]) -> None:
    seen: list[str] = []
    sandbox = FakeSandbox()
    run(
        requests, sandbox, on_result=lambda result: seen.append(f"{result.request.team} {len(sandbox.tasks)}")
    )
    assert seen[0] == "E002 0", "the invalid one is reported before anything is scored"


def test_the_sandbox_is_prepared_once_and_only_if_something_is_valid(requests: list[Request]) -> None:
    sandbox = CountingSandbox()
    run(requests, sandbox)
    assert sandbox.prepared == 1
    sandbox = CountingSandbox()
    run(requests[1:2], sandbox)
    assert sandbox.prepared == 0


def test_a_failed_submission_stops_no_other_and_the_worst_exit_code_is_the_greatest(
    requests: list[Request],
) -> None:
    sandbox = FakeSandbox()
    first = requests[0].challenge.examples[0]
    sandbox.behaviour[first] = InternalError("The evaluator crashed.")
    results = run(requests, sandbox)
    assert [result.state for result in results] == [State.FAILED, State.INVALID, State.FAILED]
    assert [result.exit_code for result in results] == [5, 1, 5]
    assert worst_exit_code(results) == 5


def test_an_unexpected_exception_is_a_result_with_an_internal_error(
    requests: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(request: Request, submission: object) -> None:
        raise ZeroDivisionError(request.team)

    monkeypatch.setattr("harness.score.queue.validate_headers", fail)
    results = run(requests, FakeSandbox())
    assert {result.exit_code for result in results} == {5}
    assert "ZeroDivisionError" in results[0].cause


def test_what_is_scored_is_only_hashed_when_the_command_is_run_again(requests: list[Request]) -> None:
    first = run(requests, FakeSandbox())
    with Ledger(requests[0].store) as ledger:
        entries = ledger.entries()
        before = len(ledger.log())
    again = FakeSandbox()
    results = run([requests[0], requests[2]], again)
    assert again.tasks == []
    assert [result.scored_before for result in results] == [True, True]
    assert [result.average for result in results] == [first[0].average, first[2].average]
    with Ledger(requests[0].store) as ledger:
        assert ledger.entries() == entries, "it was entered again, as if it had arrived again"
        assert len(ledger.log()) == before


def test_another_scorer_scores_again(requests: list[Request]) -> None:
    run(requests[:1], FakeSandbox())
    again = FakeSandbox(locked=False)
    (result,) = run(requests[:1], again)
    assert again.tasks
    assert not result.scored_before


def test_a_queue_that_is_interrupted_continues_where_it_was(requests: list[Request]) -> None:
    sandbox = FakeSandbox()
    second = requests[2].challenge.examples[-1]
    interrupted: list[str] = []

    def interrupt(result: Result) -> None:
        if result.state is State.SCORED:
            sandbox.behaviour[second] = KeyboardInterrupt()
            interrupted.append(result.request.team)

    with pytest.raises(KeyboardInterrupt):
        run(requests, sandbox, on_result=interrupt)
    assert interrupted == ["E001"]
    again = FakeSandbox()
    results = run(requests, again)
    assert results[0].scored_before
    assert results[2].state is State.SCORED
    assert results[2].outcome is not None
    assert results[2].outcome.scored < len(requests[2].challenge.examples)
    assert (requests[0].store / RANKING_FILE).is_file()


def test_progress_counts_the_examples_of_all_submissions(requests: list[Request]) -> None:
    seen: list[tuple[int, int, str]] = []
    run(requests, FakeSandbox(), progress=lambda *one: seen.append(one))
    scoring = [one for one in seen if not one[2].startswith("validating")]
    assert {total for _, total, _ in scoring} == {8}
    done = [done for done, _, _ in scoring]
    assert done == sorted(done)
    assert done[-1] == 8
    assert any(item.startswith("E003: ") for _, _, item in scoring)


def test_each_change_of_state_is_reported_once(requests: list[Request]) -> None:
    seen: list[Change] = []
    run(requests, FakeSandbox(), on_change=seen.append)
    steps = [(change.team, change.before, change.after) for change in seen]
    assert steps == [
        ("E002", None, "received"),
        ("E002", "received", "invalid"),
        ("E001", None, "received"),
        ("E001", "received", "scoring"),
        ("E001", "scoring", "scored"),
        ("E003", None, "received"),
        ("E003", "received", "scoring"),
        ("E003", "scoring", "scored"),
    ]
    assert [change.average for change in seen if change.after == "scored"] == [0.25, 0.25]
    assert seen[1].cause == "1 error: missing (1)"
    assert {change.file for change in seen if change.team == "E001"} == {"submission_E001.zip"}


def test_the_end_of_a_dead_run_is_reported_too(requests: list[Request]) -> None:
    request = requests[0]
    run([request], FakeSandbox())
    with Ledger(request.store) as ledger:
        entry = ledger.entries()[0]
        case = Case("E001", entry.key.submission, challenge_digest(request.challenge))
        ledger.history.move(case, State.SCORING, scorer=entry.key.scorer)  # of a run that is killed now
    seen: list[Change] = []
    run([request], FakeSandbox(), on_change=seen.append)
    assert next((change.before, change.after) for change in seen) == ("scoring", "failed")


def test_submissions_are_kept_by_their_digest(requests: list[Request], tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    results = run([replace(one, keep=folder) for one in requests], FakeSandbox())
    for result in results:
        kept = find(folder, result.sha256)
        assert kept is not None
        assert kept.name == f"{result.sha256}.zip"
        assert kept.read_bytes() == result.request.submission.read_bytes()
        assert not kept.samefile(result.request.submission), "a link changes with the original"
    assert {one.suffix for one in folder.iterdir() if not one.name.startswith(".")} == {".zip"}


def test_what_is_kept_does_not_change_with_the_original(requests: list[Request], tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    (result,) = run([replace(requests[0], keep=folder)], FakeSandbox())
    before = requests[0].submission.read_bytes()
    requests[0].submission.write_bytes(b"overwritten")
    kept = find(folder, result.sha256)
    assert kept is not None
    assert kept.read_bytes() == before


def test_a_folder_is_kept_as_a_folder_and_a_copy_that_was_cut_off_is_made_again(
    requests: list[Request], tmp_path: Path
) -> None:
    unpacked, folder = tmp_path / "submission_E009", tmp_path / "kept"
    with zipfile.ZipFile(requests[0].submission) as source:
        source.extractall(unpacked)
    sha256 = digest(unpacked)
    left = folder / f".{sha256}.part"
    left.mkdir(parents=True)
    (left / "half.flac").write_bytes(b"")
    request = replace(requests[0], submission=unpacked, team="E009", keep=folder)
    (result,) = run([request], FakeSandbox())
    assert result.state is State.SCORED
    assert sha256 is not None
    kept = find(folder, sha256)
    assert kept == folder / sha256
    assert digest(kept) == sha256
    assert not left.exists()


def test_a_folder_that_cannot_be_written_is_an_error_of_the_set_up(
    requests: list[Request], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    results = run([replace(one, keep=tmp_path / "file") for one in requests], FakeSandbox())
    assert isinstance(results[0].error, SetupError)
    assert "can't be kept" in results[0].cause


# which submissions, and whose


def test_the_team_is_in_the_name(tmp_path: Path) -> None:
    names = {
        "submission_E001.zip": "E001",
        "submission_E001.2.zip": "E001",
        "submission_E001 (1).zip": "E001",
        "submission_E001.tar.gz": "E001",
        "submission_two_words-1.tgz": "two_words-1",
        "submission_Team Blue.zip": None,
        "submission_.zip": None,
        "E001.zip": None,
        "submission_E001.zip.part": None,
        "submission_E001": None,
    }
    for name in names:
        (tmp_path / name).write_bytes(b"")
    assert {name: arrivals.team_in(tmp_path / name) for name in names} == names
    (tmp_path / "folder" / "submission_E002").mkdir(parents=True)
    assert arrivals.team_in(tmp_path / "folder" / "submission_E002") == "E002"


def test_a_folder_gives_its_submissions_the_oldest_first(tmp_path: Path) -> None:
    for age, name in enumerate(("submission_B.zip", "submission_A.2.zip", "submission_A.zip", "notes.txt")):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    found, others = arrivals.arrivals_of([tmp_path], team=None)
    assert [(one.path.name, one.team) for one in found] == [
        ("submission_A.zip", "A"),
        ("submission_A.2.zip", "A"),
        ("submission_B.zip", "B"),
    ]
    assert [path.name for path in others] == ["notes.txt"]


def test_a_link_in_a_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "submission_A.zip").write_bytes(b"")
    (tmp_path / "submission_B.zip").symlink_to(tmp_path / "submission_A.zip")
    found, others = arrivals.in_folder(tmp_path)
    assert [one.team for one in found] == ["A"]
    assert [path.name for path in others] == ["submission_B.zip"]


def test_a_submission_that_is_named_twice_is_scored_once(tmp_path: Path) -> None:
    path = tmp_path / "submission_A.zip"
    path.write_bytes(b"")
    assert len(arrivals.arrivals_of([path, tmp_path, tmp_path / "." / path.name], team=None)[0]) == 1


def test_a_team_belongs_to_one_submission(tmp_path: Path) -> None:
    for name in ("submission_A.zip", "submission_B.zip"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UsageError, match="--team E001 was given for 2 submissions"):
        arrivals.arrivals_of([tmp_path / "submission_A.zip", tmp_path / "submission_B.zip"], team="E001")
    (only,), _ = arrivals.arrivals_of([tmp_path / "submission_A.zip"], team="E001")
    assert only.team == "E001"


def test_a_name_without_a_team_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.zip").write_bytes(b"")
    with pytest.raises(UsageError, match=r"mine.zip has no team in its name; expected submission_NAME.zip"):
        arrivals.arrivals_of([tmp_path / "mine.zip"], team=None)
    with pytest.raises(UsageError, match="There is no submission at"):
        arrivals.arrivals_of([tmp_path / "submission_none.zip"], team=None)
