"""Plans, audits and references are written once; the latest attempt of an audit counts."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.ledger.audits import audit_progress
from harness.ledger.database import FILE
from harness.ledger.entities import AuditPlan, AuditRecord, Entry, Key, Roster, Scorer, StoredExample
from harness.ledger.ledger import MAX_PEAK, Ledger
from harness.ledger.schema import IDENTITY, WRITTEN_ONCE
from harness.protocol.aggregation import draw_audits
from harness.protocol.errors import InternalError, SetupError
from tests.stores import RUN, audio_of
from tests.values import values

SCORER = Scorer("d" * 64, "fast", True)
ROSTER = Roster("c" * 64, "test", ("A", "B"), ("L1", "L2"))
KEY = Key("5" * 64, ROSTER.digest, SCORER)
AUDIT = AuditRecord("A", "L1", "left_bass", 0.1, 0.1, audio_of("A", "L1"))
EXAMPLES = {
    (song, listener): StoredExample(song, listener, values(*(0.1,) * 7, None), audio_of(song, listener))
    for song, listener in ROSTER.examples
}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path)
    made.add_roster(ROSTER)
    return made


def test_a_plan_is_made_once_with_a_salt_that_nobody_could_know(ledger: Ledger, tmp_path: Path) -> None:
    assert ledger.audit_plan(KEY) is None
    plan = ledger.plan_audit(KEY, number=3)
    assert plan.number == 3
    assert len(bytes.fromhex(plan.salt)) == 16
    assert ledger.plan_audit(KEY, number=0) == plan
    with Ledger(tmp_path, read_only=True) as reader:
        assert reader.audit_plan(KEY) == plan
    other = replace(KEY, scorer=replace(SCORER, engine="pyclarity"))
    assert ledger.audit_plan(other) is None
    assert ledger.plan_audit(other, number=3).salt != plan.salt
    assert [entry.kind for entry in ledger.log()] == ["challenge", "planned", "planned"]


def test_an_audit_can_be_made_again_and_the_latest_counts(ledger: Ledger) -> None:
    ledger.store_audit(KEY, replace(AUDIT, pyclarity=0.2))
    ledger.store_audit(KEY, AUDIT)
    assert ledger.audits(KEY) == [replace(AUDIT, attempt=2)]
    ledger.store_audit(KEY, replace(AUDIT, stem="left_drums", attempt=7))
    assert [(one.stem, one.attempt) for one in ledger.audits(KEY)] == [("left_bass", 2), ("left_drums", 1)]


def test_audits_know_their_engine_and_their_environment(ledger: Ledger) -> None:
    ledger.store_audit(KEY, AUDIT)
    for scorer in (replace(SCORER, engine="pyclarity"), replace(SCORER, locked=False)):
        assert ledger.audits(replace(KEY, scorer=scorer)) == []


def test_another_reference_of_a_song_is_refused_by_name(ledger: Ledger) -> None:
    ledger.add_reference(ROSTER.digest, "A", "1" * 64)
    ledger.add_reference(ROSTER.digest, "A", "1" * 64)
    ledger.add_reference(ROSTER.digest, "B", "2" * 64)
    with pytest.raises(SetupError, match="The reference of 'A' has changed") as caught:
        ledger.add_reference(ROSTER.digest, "A", "3" * 64)
    assert "333333333333…" in caught.value.message
    assert "111111111111…" in caught.value.message
    assert caught.value.hint
    assert ledger.references(ROSTER.digest) == {"A": "1" * 64, "B": "2" * 64}
    assert ledger.references("other") == {}
    assert [entry.kind for entry in ledger.log()] == ["challenge", "reference", "reference"]


@pytest.mark.parametrize("peak", [-1, MAX_PEAK + 1, 2**63])
def test_a_peak_that_no_machine_has_is_refused(ledger: Ledger, peak: int) -> None:
    run = ledger.start_run(RUN)
    with pytest.raises(InternalError, match=f"a peak memory of {peak} bytes"):
        ledger.note_peak(run, peak)
    ledger.note_peak(run, MAX_PEAK)


def test_the_audio_of_an_example_is_stored(ledger: Ledger) -> None:
    ledger.store(KEY, EXAMPLES["A", "L1"], run=None)
    assert ledger.examples(KEY) == {("A", "L1"): EXAMPLES["A", "L1"]}


@pytest.mark.parametrize("table", WRITTEN_ONCE)
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE", "REPLACE"])
def test_rows_are_written_once(full_store: Path, tmp_path: Path, table: str, verb: str) -> None:
    path = tmp_path / FILE
    path.write_bytes((full_store / FILE).read_bytes())
    first = IDENTITY[table][0]
    statement = {
        "UPDATE": f"UPDATE {table} SET {first} = {first}",
        "DELETE": f"DELETE FROM {table}",
        "REPLACE": f"INSERT OR REPLACE INTO {table} SELECT * FROM {table} LIMIT 1",
    }[verb]
    with closing(sqlite3.connect(path)) as db, pytest.raises(sqlite3.IntegrityError, match="written once"):
        db.execute(statement)


def audits(plan: AuditPlan) -> list[AuditRecord]:
    drawn = draw_audits(
        {name: one.values for name, one in EXAMPLES.items()},
        submission=KEY.submission, salt=plan.salt, number=plan.number,
    )  # fmt: skip
    return [AuditRecord(*stem, 0.1, 0.1, audio_of(*stem[:2])) for stem in drawn]


def test_only_the_drawn_stems_fulfil_a_plan() -> None:
    plan = AuditPlan("1" * 32, 3)
    good = audits(plan)
    progress = audit_progress(plan, good, EXAMPLES, submission=KEY.submission)
    assert (progress.planned, progress.done, progress.missing, progress.failed) == (3, 3, (), ())
    others = [one for one in audits(AuditPlan("1" * 32, 28)) if one not in good]
    assert len(others) == 25
    progress = audit_progress(plan, [*others, *good[1:]], EXAMPLES, submission=KEY.submission)
    assert (progress.done, progress.missing) == (2, ((good[0].song, good[0].listener, good[0].stem),))
    another = audit_progress(replace(plan, salt="2" * 32), good, EXAMPLES, submission=KEY.submission)
    assert another.missing


@pytest.mark.parametrize(
    "wrong", [{"pyclarity": 0.1 + 2e-9}, {"fast": 0.2, "pyclarity": 0.2}, {"audio": "0" * 64}]
)
def test_an_audit_agrees_only_with_the_value_and_the_audio_that_were_scored(wrong: dict[str, Any]) -> None:
    plan = AuditPlan("1" * 32, 3)
    first, *rest = audits(plan)
    progress = audit_progress(plan, [replace(first, **wrong), *rest], EXAMPLES, submission=KEY.submission)
    assert progress.failed == ((first.song, first.listener, first.stem),)


def test_a_plan_without_a_salt_is_fulfilled_by_as_many_audits() -> None:
    plan = AuditPlan("", 2)
    good = audits(AuditPlan("1" * 32, 2))
    assert audit_progress(plan, good, EXAMPLES, submission=KEY.submission).missing == ()
    assert len(audit_progress(plan, good[:1], EXAMPLES, submission=KEY.submission).missing) == 1


def test_entries_are_in_the_order_of_the_log_whatever_the_clock_says(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(["2027-01-01", "2026-01-01", "2025-01-01"])
    monkeypatch.setattr("harness.ledger.transaction.now", lambda: next(times))
    for digit in "12":
        ledger.enter(Entry("E001", replace(KEY, submission=digit * 64), f"{digit}.zip", 1, "scored"))
    assert [entry.name for entry in ledger.entries()] == ["1.zip", "2.zip"]
    ledger.enter(Entry("E001", replace(KEY, submission="1" * 64), "1.zip", 1, "scored"))
    assert [entry.name for entry in ledger.entries()] == ["1.zip", "2.zip"], (
        "entering it again changes nothing"
    )
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        arrived = dict(db.execute("SELECT name, arrived FROM entries"))
    log = {
        json.loads(entry.rows)[0]["row"][0]: entry.number for entry in ledger.log() if entry.kind == "entered"
    }
    assert sorted(arrived.values()) == sorted(log.values())
