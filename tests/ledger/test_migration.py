"""Ledgers of earlier versions continue as ledgers of the current one, with everything that they held."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from harness.ledger import migration, schema
from harness.ledger.database import FILE
from harness.ledger.entities import Entry, Key, Roster, Scorer, StoredExample
from harness.ledger.ledger import Ledger
from harness.ledger.log import GENESIS
from harness.ledger.states import Case, State
from harness.protocol.errors import SetupError
from harness.protocol.records import RunRecord
from harness.provenance import export, verify_store
from harness.provenance.packing import unpack
from harness.ranking.render import RENDERERS, markdown
from harness.ranking.store import RANKING_FILE, read_tables, read_team_scores, write_ranking
from harness.ranking.tables import make_tables
from tests.stores import DUMPS, fill, restore
from tests.values import values

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

BEFORE = DUMPS / "version2"
"""What the version before gave for `version2.sql`: ranking, scores, bundles and the head."""

HEAD = (BEFORE / "head").read_text().strip()


@pytest.fixture
def version1(tmp_path: Path) -> Path:
    """A store of version 1: a complete submission, one half scored."""
    return restore(1, tmp_path / "version1")


@pytest.fixture
def version2(tmp_path: Path) -> Path:
    """The store that `tests.stores.fill` made with version 2."""
    return restore(2, tmp_path / "version2")


def contents(store: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in store.iterdir()}


def execute(store: Path, statement: str) -> None:
    with closing(sqlite3.connect(store / FILE, isolation_level=None)) as db:
        db.execute(statement)


def check_results(store: Path, folder: Path) -> None:
    """Ranking, scores and bundles are those of the version before."""
    tables = read_tables(store)
    assert RENDERERS["csv"](tables) == (BEFORE / "ranking.csv").read_text()
    old, new = json.loads((BEFORE / "ranking.json").read_text()), json.loads(RENDERERS["json"](tables))
    for table in [*old["tables"], *new["tables"]]:
        table.pop("notes")
    assert new == old
    assert markdown(tables) == (
        (BEFORE / "ranking.md")
        .read_text()
        .replace("1 stems scored again by pyclarity", "1 stem spot-checked with pyclarity")
        .replace("failed: 1 by fault of a memory limit", "1 failed (cause: memory limit)")
    )
    for team in ("E001", "E003", "E009"):
        text = (BEFORE / f"{team}.scores.csv").read_text()
        assert read_team_scores(store, team).text == text
        bundle = export(store, team, split=None, output=folder)
        old_members = unpack((BEFORE / f"{team}.cad1.zip").read_bytes())
        members = unpack(bundle.read_bytes())
        assert members["scores.csv"] == old_members["scores.csv"]
        old_run, run = json.loads(old_members["run.json"]), json.loads(members["run.json"])
        with Ledger(store, read_only=True) as ledger:
            assert run.pop("log_head") == ledger.head()
        old_run.pop("log_head")
        assert run == old_run


def test_version_2_opens_and_ranks_the_same_without_being_changed(version2: Path, tmp_path: Path) -> None:
    before = contents(version2)
    check_results(version2, tmp_path)
    for team in ("E001", "E003", "E009"):
        assert (tmp_path / f"{team}_test.cad1.zip").read_bytes() == (BEFORE / f"{team}.cad1.zip").read_bytes()
    with Ledger(version2, read_only=True) as ledger:
        assert ledger.head() == HEAD
        assert [entry.kind for entry in ledger.log()].count("migrated") == 0
        assert ledger.history.disqualified()["E004"].reason == "scored with the test songs"
    assert contents(version2) == before


def test_version_2_is_verified_as_it_is_stored(version2: Path) -> None:
    before = contents(version2)
    for head in (None, HEAD):
        found = verify_store(version2, head=head)
        assert (found.problems, found.head, found.entries, found.examples) == ([], HEAD, 51, 19)
    assert contents(version2) == before


def test_version_2_is_verified_while_another_process_writes(version2: Path) -> None:
    with closing(sqlite3.connect(version2 / FILE, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE examples SET left_bass = 0.5")
        assert (version2 / f"{FILE}-wal").exists()
        found = verify_store(version2)
        assert (found.problems, found.head) == ([], HEAD)
        with Ledger(version2, read_only=True) as ledger:
            assert ledger.head() == HEAD
        writer.execute("COMMIT")
        assert len([one for one in verify_store(version2).problems if "table examples" in one]) > 10


def test_version_2_is_migrated_with_its_log(version2: Path, tmp_path: Path) -> None:
    with Ledger(version2, read_only=True) as ledger:
        old = ledger.log()
    with Ledger(version2) as ledger:
        log = ledger.log()
        assert log[: len(old)] == old
        assert {entry.kind for entry in log[len(old) :]} == {"migrated"}
        rows = [row for entry in log[len(old) :] for row in json.loads(entry.rows)]
        assert [row["table"] for row in rows].count("examples") == 19
        assert [row["table"] for row in rows].count("disqualifications") == 1
    assert log[len(old)].previous == HEAD
    check_results(version2, tmp_path)
    assert verify_store(version2, head=HEAD).problems == []
    found = verify_store(version2)
    assert (found.problems, found.head, found.examples) == ([], log[-1].sha256, 19)
    with Ledger(version2) as ledger:
        assert ledger.log() == log, "it is migrated once"
        write_ranking(ledger, version2)
    assert "spot-checked" in (version2 / RANKING_FILE).read_text()
    assert verify_store(version2, head=HEAD).problems == []


def test_version_2_holds_what_the_same_calls_store_today(version2: Path, tmp_path: Path) -> None:
    fill(tmp_path / "new")
    with Ledger(version2) as old, Ledger(tmp_path / "new", read_only=True) as new:
        assert old.rosters() == new.rosters()
        for one, other in zip(old.entries(), new.entries(), strict=True):
            assert (one.team, one.key) == (other.team, other.key)
            assert old.examples(one.key) == new.examples(one.key)
            assert old.audits(one.key) == new.audits(one.key)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("UPDATE examples SET left_bass = 0.26 WHERE submission LIKE '1%' AND song = 'A'", "differs from"),
        ("UPDATE examples SET stored = 'never' WHERE submission LIKE '1%' AND song = 'A'", "differs from"),
        ("DELETE FROM examples WHERE submission LIKE '9%' AND listener = 'L1'", "is missing"),
        ("INSERT INTO disqualifications VALUES ('E002', 'a rival', '2026', 'me')", "has no entry"),
        ("UPDATE disqualifications SET why = 'no reason'", "differs from"),
    ],
)
def test_a_migration_does_not_vouch_for_what_was_changed_before_it(
    version2: Path, change: str, problem: str
) -> None:
    execute(version2, change)
    assert any(problem in one for one in verify_store(version2).problems)
    Ledger(version2).close()
    problems = [one for one in verify_store(version2).problems if "of the table" in one]
    assert problems
    assert all(problem in one for one in problems)
    assert len(problems) <= 2, "only the rows that were changed"


def test_changed_tables_of_version_2_are_found(version2: Path) -> None:
    execute(version2, "DROP TRIGGER log_no_delete")
    (problem,) = verify_store(version2).problems
    assert "tables, indexes or triggers" in problem


@pytest.mark.parametrize("version", [1, 2])
def test_migrated_tables_are_those_of_a_new_ledger(version: int, tmp_path: Path) -> None:
    with Ledger(restore(version, tmp_path / "old")) as one, Ledger(tmp_path / "new") as other:
        assert one.path.exists()
        assert other.path.exists()
    for name in ("old", "new"):
        with closing(sqlite3.connect(tmp_path / name / FILE)) as db:
            assert schema.read_schema(db) == schema.expected_schema()
            assert db.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)


def test_version_1_is_kept_and_entered_in_the_log(version1: Path) -> None:
    with Ledger(version1) as ledger:
        assert [row.team for row in make_tables(ledger)[0].rows] == ["E001"]
        assert [len(ledger.examples(entry.key)) for entry in ledger.entries()] == [2, 1]
        assert [details.record for details in ledger.run_details(ledger.entries()[0].key)] == [RECORD]
        assert [step.state for step in ledger.history.latest()] == [State.SCORED, State.RECEIVED]
        kinds = [entry.kind for entry in ledger.log()]
        assert kinds.count("adopted") == 7
        assert set(kinds[-3:]) == {"migrated"}
        write_ranking(ledger, version1)
    assert verify_store(version1).problems == []


def test_version_1_can_be_read_without_being_changed(version1: Path) -> None:
    before = contents(version1)
    with Ledger(version1, read_only=True) as ledger:
        assert "| E001" in markdown(make_tables(ledger))
        assert ledger.leases.all() == []
        assert ledger.head() == GENESIS
    (problem,) = verify_store(version1).problems
    assert "version 1, which kept no log" in problem
    assert contents(version1) == before


def test_scoring_continues_on_version_1(version1: Path) -> None:
    key = Key("2" * 64, ROSTER.digest, SCORER)
    with Ledger(version1) as ledger:
        assert not ledger.store(key, StoredExample("A", "L1", values(0.5)), run=1)
        assert ledger.store(key, StoredExample("B", "L1", values(0.5)), run=1)
        case = Case("E002", key.submission, key.challenge)
        ledger.history.move(case, State.SCORING, scorer=SCORER)
        ledger.history.move(case, State.SCORED, scorer=SCORER)
        ledger.enter(Entry("E002", key, "s.zip", 1, "scored"))
        write_ranking(ledger, version1)
    assert verify_store(version1).problems == []


@pytest.mark.parametrize("step", ["_add_steps", "_with_named_values"])
def test_an_interrupted_migration_has_not_happened(
    version1: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(migration, step, fail)
        with pytest.raises(KeyboardInterrupt):
            Ledger(version1)
    with closing(sqlite3.connect(version1 / FILE)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert ("log",) not in db.execute("SELECT name FROM sqlite_master").fetchall()
    test_version_1_is_kept_and_entered_in_the_log(version1)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_damaged_ledger_is_not_migrated(version1: Path, read_only: bool) -> None:
    execute(version1, "UPDATE challenges SET songs = 'no JSON'")
    before = contents(version1)[FILE]
    with pytest.raises(SetupError, match="version 1 and can't be migrated to version 3"):
        Ledger(version1, read_only=read_only)
    assert contents(version1)[FILE] == before


def test_what_was_changed_after_the_migration_is_found(version1: Path) -> None:
    Ledger(version1).close()
    execute(version1, "UPDATE examples SET haaqi = replace(haaqi, '0.25', '0.26') WHERE song = 'A'")
    assert len([one for one in verify_store(version1).problems if "examples" in one]) >= 2


@pytest.mark.parametrize("version", [1, 2])
def test_a_later_version_is_left_alone(version: int, tmp_path: Path) -> None:
    old = restore(version, tmp_path)
    execute(old, "PRAGMA user_version = 4")
    before = (old / FILE).read_bytes()
    for read_only in (True, False):
        with pytest.raises(SetupError, match="version 4; this harness reads version 3"):
            Ledger(old, read_only=read_only)
    assert (old / FILE).read_bytes() == before
