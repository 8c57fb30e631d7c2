"""A ledger of version 1 goes on as one of version 2, with all that it held."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from harness.ledger import migration, schema
from harness.ledger.ledger import Case, Entry, Key, Ledger, Roster, Scorer, State, StoredExample
from harness.protocol.errors import SetupError
from harness.protocol.records import RunRecord
from harness.provenance.verification import verify
from harness.ranking.render import markdown, write_ranking
from harness.ranking.tables import tables
from tests.values import values
from validator.challenge.rules import CAD1

SCORER = Scorer("d" * 64, "fast", True)
ROSTER = Roster("c" * 64, "test", ("A", "B"), ("L1",))
RECORD = RunRecord(
    scorer_digest=SCORER.digest,
    engine="fast",
    sandbox="docker",
    locked=True,
    image="",
    base_image="",
    versions={},
    cpu="",
)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store as version 1 left it: a complete submission, one half done, audits."""
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        for statement in schema.statements(1):
            db.execute(statement)
        db.execute("PRAGMA user_version = 1")
        db.execute(
            "INSERT INTO challenges VALUES (?, ?, ?, ?)",
            (ROSTER.digest, ROSTER.split, json.dumps(ROSTER.songs), json.dumps(ROSTER.listeners)),
        )
        db.execute("INSERT INTO runs VALUES (1, '2026-01-01', ?)", (RECORD.to_json(),))
        for number, team in enumerate(("E001", "E002"), start=1):
            submission = str(number) * 64
            db.execute(
                "INSERT INTO entries VALUES (?, ?, ?, ?, ?, 1, 'scored', ?, 'fast', 1, ?)",
                (number, team, ROSTER.digest, submission, "s.zip", SCORER.digest, f"2026-01-0{number}"),
            )
            for song in ROSTER.songs[: 3 - number]:
                db.execute(
                    f"INSERT INTO examples VALUES ({', '.join('?' * 19)})",
                    (submission, ROSTER.digest, SCORER.digest, "fast", 1, song, "L1")
                    + (0.25,) * len(CAD1.columns)
                    + (1.0, 1.0, 1, "2026-01-01"),
                )
    return tmp_path


def test_everything_is_kept_and_adopted(old: Path) -> None:
    with Ledger(old) as ledger:
        assert [row.team for row in tables(ledger)[0].rows] == ["E001"]
        assert [len(ledger.examples(entry.key)) for entry in ledger.entries()] == [2, 1]
        assert ledger.runs(ledger.entries()[0].key) == [RECORD]
        assert [step.state for step in ledger.latest()] == [State.SCORED, State.RECEIVED]
        assert [entry.kind for entry in ledger.log()].count("adopted") == 7
        write_ranking(ledger, old)
    assert verify(old).problems == []


def test_its_tables_are_those_of_a_new_ledger(old: Path, tmp_path: Path) -> None:
    with Ledger(old) as one, Ledger(tmp_path / "new") as other:
        assert one.schema() == other.schema() == schema.expected()


def test_it_can_be_read_without_being_changed(old: Path) -> None:
    before = {one.name: one.read_bytes() for one in old.iterdir()}
    with Ledger(old, read_only=True) as ledger:
        assert "| E001" in markdown(tables(ledger))
        assert ledger.leases() == []
    (problem,) = verify(old).problems
    assert "version 1, which kept no log" in problem
    assert {one.name: one.read_bytes() for one in old.iterdir()} == before


def test_it_goes_on(old: Path) -> None:
    key = Key("2" * 64, ROSTER.digest, SCORER)
    with Ledger(old) as ledger:
        assert not ledger.store(key, StoredExample("A", "L1", values(0.5)), run=1)
        assert ledger.store(key, StoredExample("B", "L1", values(0.5)), run=1)
        case = Case("E002", key.submission, key.challenge)
        ledger.move(case, State.SCORING, scorer=SCORER)
        ledger.move(case, State.SCORED, scorer=SCORER)
        ledger.enter(Entry("E002", key, "s.zip", 1, "scored"))
        write_ranking(ledger, old)
    assert verify(old).problems == []


def test_a_migration_that_is_interrupted_has_not_happened(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(migration, "_find_ways", fail)
        with pytest.raises(KeyboardInterrupt):
            Ledger(old)
    with closing(sqlite3.connect(old / "ledger.sqlite")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert ("log",) not in db.execute("SELECT name FROM sqlite_master").fetchall()
    test_everything_is_kept_and_adopted(old)


def test_what_was_changed_after_the_adoption_is_found(old: Path) -> None:
    Ledger(old).close()
    with closing(sqlite3.connect(old / "ledger.sqlite", isolation_level=None)) as db:
        db.execute("UPDATE examples SET left_bass = 0.26 WHERE song = 'A'")
    assert len([one for one in verify(old).problems if "examples" in one]) >= 2


def test_a_later_version_is_left_alone(old: Path) -> None:
    with closing(sqlite3.connect(old / "ledger.sqlite", isolation_level=None)) as db:
        db.execute("PRAGMA user_version = 3")
    before = (old / "ledger.sqlite").read_bytes()
    for read_only in (True, False):
        with pytest.raises(SetupError, match="version 3; this harness reads version 2"):
            Ledger(old, read_only=read_only)
    assert (old / "ledger.sqlite").read_bytes() == before
