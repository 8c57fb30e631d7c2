"""What is scored is what arrived, references do not change, and an audit that has not passed means no rank."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from harness.ledger.entities import Key, Scorer
from harness.ledger.ledger import Ledger
from harness.ledger.rosters import challenge_digest
from harness.ledger.states import State
from harness.protocol.errors import InternalError, SetupError
from harness.protocol.records import AuditScore, ExampleFailure, SongReferences
from harness.provenance import verify_store
from harness.provenance.bundle import export, verify_bundle
from harness.ranking.tables import make_tables
from harness.sandbox.contract import Records, Task
from harness.sandbox.feed import AuditQuestion
from harness.score import shards
from harness.score.conductor import score
from harness.score.request import Request
from tests.score.fakes import NONCE, FakeSandbox
from validator import Challenge
from validator.archive import sealed
from validator.archive.submission import digest
from validator.challenge.fingerprints import audio_digest
from validator.challenge.rules import CAD1
from validator.formats.flac import decode_flac


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "RETRY_WAITS", (0.0,))


@pytest.fixture
def request_(oracle_zip: Path, synthetic_root: Path, tmp_path: Path) -> Request:
    root = shutil.copytree(synthetic_root, tmp_path / "root")
    challenge = Challenge.load(root, split="test")
    own = tmp_path / "submission_E001.zip"
    shutil.copyfile(oracle_zip, own)
    return Request(
        submission=own,
        challenge=challenge,
        selected=challenge,
        team="E001",
        store=tmp_path / "store",
    )


def key_of(request: Request) -> Key:
    found = digest(request.submission)
    assert found is not None
    return Key(found, challenge_digest(request.challenge), Scorer("d" * 64, request.engine, locked=True))


def ranking(request: Request) -> str:
    return (request.store / "ranking.md").read_text()


def statement(request: Request, folder: Path) -> str:
    """The result that the exported statement gives; the bundle is checked."""
    (folder / "bundle.zip").unlink(missing_ok=True)  # of an earlier state: it is never overwritten
    path = export(request.store, request.team, split=None, output=folder / "bundle.zip")
    assert verify_bundle(path) == []
    with zipfile.ZipFile(path) as archive:
        return str(json.loads(archive.read("statement.json"))["predicate"]["result"])


def failed_audits(request: Request) -> dict[tuple[str, str], ExampleFailure]:
    """An evaluator's answer of failure to whatever it is asked about."""
    return {
        (song, listener): ExampleFailure(
            nonce=NONCE, song=song, listener=listener, fault="bug", message="sorry"
        )
        for song, listener in request.challenge.examples
    }


# --- the audit -------------------------------------------------------------------------------------


def test_a_submission_whose_audits_fail_to_come_is_not_ranked(request_: Request, tmp_path: Path) -> None:
    """The evaluator gives scores, and then answers each audit with a failure."""

    class Evasive(FakeSandbox):
        def _audit(self, question: AuditQuestion) -> AuditScore | ExampleFailure:
            return failed_audits(request_)[question.song, question.example.listener]

    assert score(request_, Evasive()).faults
    assert "0.2500" not in ranking(request_)
    assert "auditing: 0 of 3" in ranking(request_)
    assert statement(request_, tmp_path) == "FAILED"
    assert verify_store(request_.store).problems == []

    score(request_, FakeSandbox())
    assert "0.2500" in ranking(request_), "an honest run completes the audit"
    assert statement(request_, tmp_path) == "PASSED"


def test_an_interrupted_audit_leaves_the_submission_unranked(request_: Request, tmp_path: Path) -> None:
    sandbox = FakeSandbox()
    sandbox.audit = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        score(request_, sandbox)
    score(replace(request_, audits=0), FakeSandbox())  # asks for no audit now: the plan stays
    assert "0.2500" not in ranking(request_)
    assert "auditing: 0 of 3" in ranking(request_)
    assert statement(request_, tmp_path) == "FAILED"


def test_a_failed_audit_is_repeated_and_may_pass(request_: Request) -> None:
    outcome = score(request_, FakeSandbox(audit=0.5))
    assert isinstance(outcome.faults[0], InternalError)
    assert "0.2500" not in ranking(request_)
    mended = FakeSandbox()
    again = score(request_, mended)
    assert len(mended.audited) == 3
    assert again.faults == []
    assert "0.2500" in ranking(request_)
    with Ledger(request_.store) as ledger:
        assert {audit.attempt for audit in ledger.audits(key_of(request_))} == {2}


def test_a_failed_audit_of_one_engine_does_not_fail_the_other(request_: Request) -> None:
    score(request_, FakeSandbox(audit=0.5))
    official = replace(request_, engine="pyclarity")
    outcome = score(official, FakeSandbox())
    assert outcome.faults == []
    assert outcome.audits == []
    with Ledger(request_.store) as ledger:
        assert ledger.history.latest()[-1].state is State.SCORED
    assert "0.2500" in ranking(request_)


def test_the_audit_is_drawn_with_a_salt_that_no_team_can_know(request_: Request, tmp_path: Path) -> None:
    drawn = []
    for number in range(4):
        sandbox = FakeSandbox()
        score(replace(request_, store=tmp_path / f"store{number}"), sandbox)
        drawn.append(frozenset(sandbox.audited))
    assert len(set(drawn)) > 1, "the same zip is audited elsewhere in another store"


def test_the_audit_is_of_the_samples_that_were_scored(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = FakeSandbox()
    sandbox.audit = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        score(request_, sandbox)
    monkeypatch.setattr("validator.challenge.audio.audio_digest", lambda stems, scales: "e" * 64)
    with pytest.raises(SetupError, match="is not what was scored"):
        score(request_, FakeSandbox())


def test_each_example_keeps_the_digest_of_what_was_scored(request_: Request) -> None:
    score(request_, FakeSandbox())
    song, listener = request_.challenge.examples[0]
    stems, scales = {}, {}
    with zipfile.ZipFile(request_.submission) as archive:
        names = archive.namelist()
        for name in CAD1.columns:
            side, stem = name.split("_")
            path = CAD1.stem_name(listener, song, side, stem)
            data = archive.read(next(one for one in names if one.endswith(path)))
            stems[name] = decode_flac(data, rate=24000, channels=1, bits=16, max_frames=10**6)
            text = CAD1.scale_name(listener, song, side, stem)
            scale = [one for one in names if one.endswith(text)]
            scales[name] = float(archive.read(scale[0])) if scale else 1.0
    with Ledger(request_.store) as ledger:
        stored = ledger.examples(key_of(request_))[song, listener]
    assert stored.audio == audio_digest(stems, scales)


# --- the submission --------------------------------------------------------------------------------


class ExchangingSandbox(FakeSandbox):
    """Does something to the submission once the first song is scored."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()
        self._act = act

    def run(self, task: Task) -> Records:
        yield from super().run(task)
        self._act()


def test_a_zip_that_is_overwritten_while_it_is_scored_is_not_scored_on(
    request_: Request, make_zip: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed, "BLOCK_BYTES", 4096)  # the zip is small: one block would hold all of it
    other = make_zip("E002", "mixture").read_bytes()

    def overwrite() -> None:
        with request_.submission.open("r+b") as stream:
            stream.write(other)
            stream.truncate()

    before = key_of(request_)
    with pytest.raises(SetupError, match=r"submission_E001\.zip changed while it was scored") as caught:
        score(replace(request_, audits=0), ExchangingSandbox(overwrite))
    assert "Nothing of what changed was scored" in caught.value.hint
    with Ledger(request_.store) as ledger:
        assert len({song for song, _ in ledger.examples(before)}) == 1, "only what came before"
        assert ledger.history.latest()[-1].state is State.FAILED
    with Ledger(request_.store) as ledger:
        assert all(table.rows == () for table in make_tables(ledger))


def test_a_zip_that_is_replaced_is_scored_as_it_arrived(
    request_: Request, make_zip: Callable[[str, str], Path]
) -> None:
    other = make_zip("E002", "mixture")

    def replace_file() -> None:
        new = request_.submission.with_name("new.zip")
        shutil.copyfile(other, new)
        os.replace(new, request_.submission)  # noqa: PTH105

    before = key_of(request_)
    outcome = score(replace(request_, audits=0), ExchangingSandbox(replace_file))
    assert outcome.average == 0.25
    with Ledger(request_.store) as ledger:
        assert len(ledger.examples(before)) == 4


def test_a_file_of_a_folder_that_changes_is_not_scored(request_: Request, tmp_path: Path) -> None:
    folder = tmp_path / "submission_E001"
    with zipfile.ZipFile(request_.submission) as archive:
        archive.extractall(folder)
    song, listener = request_.challenge.examples[-1]
    changed = next(folder.rglob(f"{listener}_{song}_left_bass.flac"))

    def change() -> None:
        data = bytearray(changed.read_bytes())
        data[-100] ^= 1
        changed.write_bytes(data)

    with pytest.raises(SetupError, match="left_bass"):
        score(replace(request_, submission=folder, audits=0), ExchangingSandbox(change))


def test_flacs_without_md5_end_in_one_clear_error_each_time(request_: Request, tmp_path: Path) -> None:
    bad = tmp_path / "submission_E009.zip"
    with zipfile.ZipFile(request_.submission) as source, zipfile.ZipFile(bad, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, data[:26] + bytes(16) + data[42:] if name.endswith(".flac") else data)
    found = set()
    for _ in range(3):
        sandbox = FakeSandbox()
        outcome = score(replace(request_, submission=bad), sandbox)
        assert not outcome.report.valid
        assert sandbox.tasks == []
        found.add(frozenset((finding.code, finding.path) for finding in outcome.report.findings))
    (findings,) = found
    assert {code for code, _ in findings} == {"flac-no-md5"}


# --- the references --------------------------------------------------------------------------------


def test_another_reference_between_two_runs_is_a_set_up_error_that_names_the_song(
    request_: Request,
) -> None:
    song = request_.challenge.songs[1]
    part = request_.challenge.select(listeners=[request_.challenge.listeners[0].id])
    score(replace(request_, selected=part), FakeSandbox())
    path = song.reference_path("bass")
    pcm, rate = soundfile.read(path, dtype="int16")
    soundfile.write(path, (pcm // 2).astype(np.int16), rate, subtype="PCM_16")
    for team in ("E001", "E002"):
        with pytest.raises(SetupError, match="reference") as caught:
            score(replace(request_, team=team), FakeSandbox())
        assert song.name in caught.value.message
    with Ledger(request_.store) as ledger:
        assert len(ledger.examples(key_of(request_))) < 4


def test_an_evaluator_that_has_other_references_stores_nothing(request_: Request) -> None:
    class Confused(FakeSandbox):
        def run(self, task: Task) -> Records:
            for line in super().run(task):
                wrong = isinstance(line, SongReferences)
                yield line.model_copy(update={"sha256": "e" * 64}) if wrong else line

    with pytest.raises(InternalError, match="has other references of"):
        score(request_, Confused())
    with Ledger(request_.store) as ledger:
        assert ledger.examples(key_of(request_)) == {}


def test_audio_behind_links_is_read_like_any_other(request_: Request, tmp_path: Path) -> None:
    song = request_.challenge.songs[0]
    assert song.folder is not None
    moved = tmp_path / "elsewhere"
    shutil.move(song.folder, moved)
    song.folder.symlink_to(moved)
    assert score(request_, FakeSandbox()).average == 0.25
    song.folder.unlink()
    song.folder.symlink_to(tmp_path / "nowhere")
    with pytest.raises(SetupError, match="nowhere"):
        score(replace(request_, store=tmp_path / "store2"), FakeSandbox())
