"""What the validator says about the audio is shown and stored by a scoring run, too."""

from __future__ import annotations

import json
import resource
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.presentation import print_outcome
from harness.ledger.ledger import Ledger
from harness.ledger.states import State
from harness.protocol.errors import SetupError
from harness.score import observations, shards
from harness.score.conductor import score
from harness.score.observations import FOLDER
from harness.score.request import Request
from tests.score.fakes import FakeSandbox
from tests.score.test_conductor import key_of
from validator import Challenge, validate

ORDER = {"drums": "bass", "bass": "other", "other": "vocals", "vocals": "drums"}


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "RETRY_WAITS", (0.0,))


@pytest.fixture
def swapped(oracle_zip: Path, tmp_path: Path) -> Path:
    """A submission with every stem under the name of another one, as a team sent it in 2023."""
    path = tmp_path / "submission_E005.zip"
    with zipfile.ZipFile(oracle_zip) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            ending = next((stem for stem in ORDER if f"_{stem}." in name), None)
            new = name if ending is None else name.replace(f"_{ending}.", f"_{ORDER[ending]}.")
            target.writestr(new, source.read(name))
    return path


@pytest.fixture
def request_(swapped: Path, synthetic_root: Path, tmp_path: Path) -> Request:
    challenge = Challenge.load(synthetic_root, split="test")
    return Request(
        submission=swapped, challenge=challenge, selected=challenge, team="E005", store=tmp_path / "store"
    )


def test_a_swapped_submission_is_not_scored_without_a_word(
    request_: Request, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = score(request_, FakeSandbox())
    assert outcome.average == 0.25
    assert "stems-permuted" in {one.code for one in outcome.audio}
    print_outcome(outcome, submission=request_.submission, team="E005", store=request_.store)
    printed = capsys.readouterr().err
    assert "The stems are saved under each other's names throughout" in printed
    assert f"The report is in {outcome.report_path}." in " ".join(printed.split())
    with Ledger(request_.store, read_only=True) as ledger:
        (step,) = ledger.history.latest(team="E005")
    assert step.state is State.SCORED
    assert step.cause.startswith("average score 0.25; ")
    assert "stems-permuted (1)" in step.cause


def test_the_report_in_the_store_says_what_validate_says(request_: Request) -> None:
    outcome = score(request_, FakeSandbox())
    assert outcome.report_path is not None
    assert outcome.report_path.parent == request_.store / FOLDER
    expected = json.loads(validate(request_.submission, request_.challenge).to_json())
    assert expected["counts"]["warning"] > 0
    assert json.loads(outcome.report_path.read_text()) == expected


def test_what_an_interrupted_run_saw_is_not_lost(request_: Request) -> None:
    half = request_.challenge.select(songs=[request_.challenge.songs[0].name])
    first = score(replace(request_, selected=half), FakeSandbox())
    assert first.average is None
    (kept,) = (request_.store / FOLDER).glob("*.jsonl")
    with kept.open("ab") as stream:
        stream.write(b'{"song": "killed while it wr')
    sandbox = FakeSandbox()
    again = score(request_, sandbox)
    assert again.scored == again.total // 2
    assert again.unseen == 0
    whole = score(replace(request_, store=request_.store.parent / "other"), FakeSandbox())
    assert again.audio == whole.audio
    assert b"killed" not in kept.read_bytes()


def test_an_example_of_which_nothing_was_kept_is_counted(request_: Request) -> None:
    score(request_, FakeSandbox())
    (kept,) = (request_.store / FOLDER).glob("*.jsonl")
    lines = kept.read_bytes().splitlines(keepends=True)
    kept.write_bytes(b"".join(lines[1:]))
    assert score(request_, FakeSandbox()).unseen == 1


def test_a_changed_file_is_named_with_its_line(request_: Request) -> None:
    score(request_, FakeSandbox())
    (kept,) = (request_.store / FOLDER).glob("*.jsonl")
    kept.write_bytes(kept.read_bytes().replace(b'"peak"', b'"pike"'))
    with pytest.raises(SetupError, match="line 1: expected what a run keeps of an example"):
        score(request_, FakeSandbox())


def test_a_full_disk_leaves_no_half_line(request_: Request) -> None:
    score(request_, FakeSandbox())
    (kept,) = (request_.store / FOLDER).glob("*.jsonl")
    whole = kept.read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    seen = observations.Observations(request_.store, key_of(request_))
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 10, before[1]))
    try:
        with pytest.raises(SetupError, match="can't be written"):
            seen.add("Song", "L1", ())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert kept.read_bytes() == whole
    seen.add("Song", "L1", ())
    assert kept.read_bytes() == whole + b'{"song":"Song","listener":"L1","files":[]}\n'


def test_the_report_on_an_invalid_submission_is_stored(request_: Request, tmp_path: Path) -> None:
    bad = tmp_path / "submission_E006.zip"
    with zipfile.ZipFile(bad, "w") as out:
        out.writestr("notes.txt", "sorry")
    score(replace(request_, submission=bad, team="E006"), FakeSandbox())
    (path,) = (request_.store / FOLDER).glob("*.json")
    assert json.loads(path.read_text())["valid"] is False


def test_an_ordinary_submission_has_no_warning(request_: Request, oracle_zip: Path) -> None:
    outcome = score(replace(request_, submission=oracle_zip), FakeSandbox())
    assert [one for one in outcome.audio if one.severity == "warning"] == []


def test_comparing_with_another_submission_changes_nothing_of_what_its_run_is_writing(
    request_: Request, oracle_zip: Path
) -> None:
    score(request_, FakeSandbox())
    (kept,) = (request_.store / FOLDER).glob("*.jsonl")
    kept.write_bytes(kept.read_bytes() + b'{"song": "half a li')
    before = kept.read_bytes()
    lines: list[str] = []
    score(replace(request_, submission=oracle_zip, team="E001"), FakeSandbox(), log=lines.append)
    assert kept.read_bytes() == before
    assert not any(line.startswith("Note:") for line in lines), "the same audio under other names"
