"""The ledger stores every score once and bit for bit, and explains its errors."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from harness.ledger.entities import AuditRecord, Entry, Key, Roster, Scorer, StoredExample
from harness.ledger.ledger import Ledger
from harness.ledger.states import Case, State
from harness.protocol.aggregation import mean
from harness.protocol.errors import InternalError, SetupError
from tests.stores import change
from tests.values import values
from validator.challenge.rules import CAD1

SCORER = Scorer("d" * 64, "fast", True)
ROSTER = Roster("c" * 64, "test", ("A", "B"), ("L1", "L2"))
KEY = Key("s" * 64, ROSTER.digest, SCORER)
EXAMPLE = StoredExample("A", "L1", values(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, None))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path)
    made.add_roster(ROSTER)
    return made


def test_an_example_comes_back_bit_for_bit(ledger: Ledger) -> None:
    value = 0.1234567890123456789
    example = StoredExample("A", "L2", values(value))
    assert ledger.store(KEY, example, run=None)
    assert ledger.store(KEY, EXAMPLE, run=None)
    assert ledger.examples(KEY) == {("A", "L2"): example, ("A", "L1"): EXAMPLE}


def test_an_example_is_never_overwritten(ledger: Ledger) -> None:
    assert ledger.store(KEY, EXAMPLE, run=None)
    assert not ledger.store(KEY, StoredExample("A", "L1", values(0.9)), run=None)
    assert ledger.examples(KEY)["A", "L1"] == EXAMPLE


def test_scores_of_two_scorers_are_separate(ledger: Ledger) -> None:
    ledger.store(KEY, EXAMPLE, run=None)
    for scorer in (
        Scorer("e" * 64, "fast", True),
        Scorer("d" * 64, "pyclarity", True),
        Scorer("d" * 64, "fast", False),
    ):
        assert ledger.examples(Key(KEY.submission, KEY.challenge, scorer)) == {}


def test_the_mean_leaves_out_only_undefined_values() -> None:
    assert EXAMPLE.score == pytest.approx(0.4, abs=1e-16)
    assert EXAMPLE.undefined == 1
    assert mean([None]) is None
    assert mean([0.1] * 10) == 0.1


def test_what_one_process_stores_another_reads(ledger: Ledger, tmp_path: Path) -> None:
    with Ledger(tmp_path) as other:
        other.store(KEY, EXAMPLE, run=None)
    assert ("A", "L1") in ledger.examples(KEY)


def test_a_team_that_enters_again_has_one_entry_of_the_first_time(ledger: Ledger) -> None:
    for entered in ("2026-01-01", "2026-01-02"):
        ledger.enter(Entry("E001", KEY, "s.zip", 1, "scored", entered))
    (entry,) = ledger.entries()
    assert entry.entered == "2026-01-01"
    assert ledger.rosters() == {ROSTER.digest: ROSTER}


def test_audits_are_stored(ledger: Ledger) -> None:
    ledger.store_audit(KEY, AuditRecord("A", "L1", "left_bass", 0.1, 0.1 + 1e-12))
    (audit,) = ledger.audits(KEY)
    assert audit.passed
    assert not AuditRecord("A", "L1", "left_bass", 0.1, 0.1 + 2e-9).passed


def test_an_entry_needs_its_challenge(ledger: Ledger) -> None:
    with pytest.raises(SetupError, match="FOREIGN KEY"):
        ledger.enter(Entry("E001", Key("s", "unknown", SCORER), "s.zip", 1, "scored"))


def test_reading_does_not_create_a_ledger(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="There is no ledger"):
        Ledger(tmp_path / "none", read_only=True)
    assert not (tmp_path / "none").exists()


def test_a_damaged_and_a_later_ledger_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(SetupError, match="not a database"):
        Ledger(tmp_path)
    later = tmp_path / "later"
    Ledger(later).close()
    database = sqlite3.connect(later / "ledger.sqlite")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(SetupError, match="version 99"):
        Ledger(later)


def test_a_store_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(SetupError, match="can't be opened"):
        Ledger(tmp_path / "store")


def test_values_are_stored_as_canonical_json_by_name(ledger: Ledger, tmp_path: Path) -> None:
    ledger.store(KEY, EXAMPLE, run=None)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as database:
        ((text,),) = database.execute("SELECT haaqi FROM examples").fetchall()
    assert text == json.dumps(dict(sorted(EXAMPLE.values.items())), separators=(",", ":"))
    assert json.loads(text) == EXAMPLE.values


@pytest.mark.parametrize("value", [0.1 + 0.2, 5e-324, 2**-53, 1 - 2**-53, 1e-15 / 3, 1.0, 0.0])
def test_floats_keep_their_bits(ledger: Ledger, value: float) -> None:
    assert ledger.store(KEY, StoredExample("A", "L1", values(value)), run=None)
    stored = ledger.examples(KEY)["A", "L1"].values
    assert {one.hex() for one in stored.values() if one is not None} == {value.hex()}
    assert set(stored) == set(CAD1.columns)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        values(0.5) | {"left_piano": 0.5},
        dict.fromkeys(CAD1.columns[1:], 0.5),
        values(0.5) | {"left_bass": "0.5"},
        values(0.5) | {"left_bass": float("nan")},
        values(0.5) | {"left_bass": float("inf")},
        values(0.5) | {"left_bass": True},
    ],
)
def test_only_the_challenges_values_are_stored(ledger: Ledger, wrong: dict[str, Any]) -> None:
    with pytest.raises(InternalError, match="can't be stored with the values"):
        ledger.store(KEY, StoredExample("A", "L1", wrong), run=None)
    assert ledger.examples(KEY) == {}
    assert [entry.kind for entry in ledger.log()] == ["challenge"]
    assert ledger.store(KEY, EXAMPLE, run=None)


@pytest.mark.parametrize(
    "text", ["", "5", "[0.5]", '{"left_bass": "0.5"}', '{"left_bass": NaN}', '{"left_bass": 1e999}']
)
def test_damaged_values_are_not_read(ledger: Ledger, tmp_path: Path, text: str) -> None:
    ledger.store(KEY, EXAMPLE, run=None)
    change(tmp_path, "UPDATE examples SET haaqi = ?", (text,))
    with pytest.raises(SetupError, match="holds something that can't be read"):
        ledger.examples(KEY)


def test_a_transaction_that_fails_leaves_nothing(ledger: Ledger) -> None:
    before = ledger.log()
    with pytest.raises(SetupError, match="can't be written: FOREIGN KEY"):
        ledger.store(KEY, EXAMPLE, run=99)
    assert ledger.examples(KEY) == {}
    assert ledger.log() == before
    assert ledger.store(KEY, EXAMPLE, run=None)


def test_all_parts_write_to_one_log(ledger: Ledger) -> None:
    ledger.enter(Entry("E001", KEY, "s.zip", 1, "scored"))
    ledger.history.move(Case("E001", KEY.submission, KEY.challenge), State.RECEIVED)
    ledger.store(KEY, EXAMPLE, run=None)
    assert [entry.kind for entry in ledger.log()] == ["challenge", "entered", "moved", "stored"]
