"""The ledger holds every score once, and says so in a sentence where it can't."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from harness.ledger.ledger import AuditRecord, Entry, Key, Ledger, Roster, Scorer, StoredExample, mean
from harness.protocol.errors import SetupError
from tests.values import values

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


def test_scores_of_two_scorers_stay_apart(ledger: Ledger) -> None:
    ledger.store(KEY, EXAMPLE, run=None)
    for scorer in (
        Scorer("e" * 64, "fast", True),
        Scorer("d" * 64, "pyclarity", True),
        Scorer("d" * 64, "fast", False),
    ):
        assert ledger.examples(Key(KEY.submission, KEY.challenge, scorer)) == {}


def test_the_mean_leaves_out_what_is_undefined_and_nothing_else() -> None:
    assert EXAMPLE.score == pytest.approx(0.4, abs=1e-16)
    assert EXAMPLE.undefined == 1
    assert mean([None]) is None
    assert mean([0.1] * 10) == 0.1


def test_what_one_process_stores_another_reads(ledger: Ledger, tmp_path: Path) -> None:
    with Ledger(tmp_path) as other:
        other.store(KEY, EXAMPLE, run=None)
    assert ("A", "L1") in ledger.examples(KEY)


def test_a_team_that_enters_again_has_one_entry(ledger: Ledger) -> None:
    for entered in ("2026-01-01", "2026-01-02"):
        ledger.enter(Entry("E001", KEY, "s.zip", 1, "scored", entered))
    (entry,) = ledger.entries()
    assert entry.entered == "2026-01-02"
    assert ledger.rosters() == {ROSTER.digest: ROSTER}


def test_audits_are_kept(ledger: Ledger) -> None:
    ledger.store_audit(KEY, AuditRecord("A", "L1", "left_bass", 0.1, 0.1 + 1e-12))
    (audit,) = ledger.audits(KEY)
    assert audit.passed
    assert not AuditRecord("A", "L1", "left_bass", 0.1, 0.1 + 2e-9).passed


def test_an_entry_needs_its_challenge(ledger: Ledger) -> None:
    with pytest.raises(SetupError, match="FOREIGN KEY"):
        ledger.enter(Entry("E001", Key("s", "unknown", SCORER), "s.zip", 1, "scored"))


def test_no_ledger_where_one_is_only_read(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="There is no ledger"):
        Ledger(tmp_path / "none", read_only=True)
    assert not (tmp_path / "none").exists()


def test_a_damaged_and_a_later_ledger_are_told(tmp_path: Path) -> None:
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


def test_a_store_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(SetupError, match="can't be opened"):
        Ledger(tmp_path / "store")


def test_a_transaction_that_fails_leaves_nothing(ledger: Ledger) -> None:
    bad = StoredExample("A", "L1", ("text",) * 8)  # type: ignore[arg-type]
    with pytest.raises(SetupError, match="can't be written"):
        ledger.store(KEY, bad, run=None)
    assert ledger.examples(KEY) == {}
    assert ledger.store(KEY, EXAMPLE, run=None)
