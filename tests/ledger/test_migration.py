"""Ledgers of earlier versions continue as ledgers of the current one, with everything that they held."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from harness.ledger import migration, schema
from harness.ledger.database import FILE
from harness.ledger.entities import Entry, Key, Roster, Scorer, StoredExample
from harness.ledger.ledger import Ledger
from harness.ledger.log import GENESIS
from harness.ledger.states import Case, State
from harness.ledger.versions import expected_schema
from harness.protocol.errors import SetupError
from harness.protocol.records import RunRecord
from harness.provenance import export, verify_bundle, verify_store
from harness.provenance.packing import unpack
from harness.ranking.render import RENDERERS, markdown
from harness.ranking.store import RANKING_FILE, read_tables, read_team_scores, write_ranking
from harness.ranking.tables import make_tables
from harness.ranking.wording import reword
from tests.stores import DUMPS, change, fill, restore
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

LOGGED = (2, 3, 4)
"""Earlier versions that keep a log. `versionN/` is what such a version gave for `versionN.sql`."""


ENTRIES = {2: 51, 3: 51, 4: 57}
"""How many entries the log of each of these stores has."""


def head_of(version: int) -> str:
    return (DUMPS / f"version{version}" / "head").read_text().strip()


@pytest.fixture
def version1(tmp_path: Path) -> Path:
    """A store of version 1: a complete submission, one half scored."""
    return restore(1, tmp_path / "version1")


@pytest.fixture(params=LOGGED)
def version(request: pytest.FixtureRequest) -> int:
    """An earlier version that keeps a log."""
    return int(request.param)


@pytest.fixture
def old_store(version: int, tmp_path: Path) -> Path:
    """The store that `tests.stores.fill` made with that version."""
    return restore(version, tmp_path / "old")


def contents(store: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in store.iterdir()}


def check_results(store: Path, folder: Path, version: int) -> None:
    """Ranking, scores and bundles are those of the version before."""
    before = DUMPS / f"version{version}"
    tables = read_tables(store)
    assert RENDERERS["csv"](tables) == (before / "ranking.csv").read_text()
    old, new = json.loads((before / "ranking.json").read_text()), json.loads(RENDERERS["json"](tables))
    for table in [*old["tables"], *new["tables"]]:
        table.pop("notes")
        for one in table["incomplete"]:
            assert (one.pop("audits_done", 0), one.pop("audits_planned", 0)) == (0, 0)
            assert one.pop("uncounted", None) is None
    assert new == old
    assert markdown(tables) == reword((before / "ranking.md").read_text())
    for team in ("E001", "E003", "E009"):
        text = (before / f"{team}.scores.csv").read_text()
        assert read_team_scores(store, team).text == text
        bundle = export(store, team, split=None, output=folder)
        assert verify_bundle(bundle) == []
        old_members = unpack((before / f"{team}.cad1.zip").read_bytes())
        members = unpack(bundle.read_bytes())
        assert members["scores.csv"] == old_members["scores.csv"]
        old_run, run = json.loads(old_members["run.json"]), json.loads(members["run.json"])
        with Ledger(store, read_only=True) as ledger:
            assert run.pop("log_head") == ledger.head()
        old_run.pop("log_head")
        if version < 4:  # the bundles of version 4 were made again when runs got the decoder's versions
            for one in run["runs"]:
                assert one.pop("decoder") == {}, "records from before the decoder"
        assert (old_run.pop("schema_version"), run.pop("schema_version")) == (1 if version < 4 else 2, 2)
        if version < 4:
            assert (run.pop("references"), run.pop("audio")) == ({}, {})
            assert run.pop("audit_plan") == (None if team == "E009" else {"salt": "", "number": 1})
            for audit in run["audits"]:
                assert (audit.pop("audio"), audit.pop("attempt")) == ("", 1)
        assert run == old_run
        statements = [json.loads(one["statement.json"])["predicate"] for one in (old_members, members)]
        assert statements[0]["result"] == statements[1]["result"]
        assert statements[0]["passedTests"] == statements[1]["passedTests"]


def test_an_earlier_version_opens_and_ranks_the_same_without_being_changed(
    old_store: Path, version: int, tmp_path: Path
) -> None:
    before = contents(old_store)
    check_results(old_store, tmp_path, version)
    with Ledger(old_store, read_only=True) as ledger:
        assert ledger.head() == head_of(version)
        assert [entry.kind for entry in ledger.log()].count("migrated") == 0
        assert ledger.history.disqualified()["E004"].reason == "scored with the test songs"
    assert contents(old_store) == before


def test_bundles_of_an_earlier_version_are_still_verified(version: int) -> None:
    for team in ("E001", "E003", "E009"):
        assert verify_bundle(DUMPS / f"version{version}" / f"{team}.cad1.zip") == []


def test_an_earlier_version_is_verified_as_it_is_stored(old_store: Path, version: int) -> None:
    before = contents(old_store)
    for head in (None, head_of(version)):
        found = verify_store(old_store, head=head)
        assert (found.problems, found.head, found.entries, found.examples) == (
            [],
            head_of(version),
            ENTRIES[version],
            19,
        )
    assert contents(old_store) == before


def test_an_earlier_version_is_verified_while_another_process_writes(old_store: Path, version: int) -> None:
    with closing(sqlite3.connect(old_store / FILE, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        triggers = writer.execute("SELECT name, sql FROM sqlite_master WHERE name = 'examples_no_update'")
        for name, sql in triggers.fetchall():
            writer.execute(f"DROP TRIGGER {name}")
            writer.execute("UPDATE examples SET stored = 'never'")
            writer.execute(sql)
        writer.execute("UPDATE examples SET stored = 'never' WHERE ? < 4", (version,))
        assert (old_store / f"{FILE}-wal").exists()
        found = verify_store(old_store)
        assert (found.problems, found.head) == ([], head_of(version))
        with Ledger(old_store, read_only=True) as ledger:
            assert ledger.head() == head_of(version)
        writer.execute("COMMIT")
        assert len([one for one in verify_store(old_store).problems if "table examples" in one]) > 10


def test_an_earlier_version_is_migrated_with_its_log(old_store: Path, version: int, tmp_path: Path) -> None:
    head = head_of(version)
    with Ledger(old_store, read_only=True) as ledger:
        old = ledger.log()
    with Ledger(old_store) as ledger:
        log = ledger.log()
        assert log[: len(old)] == old
        assert {entry.kind for entry in log[len(old) :]} == {"migrated"}
        assert json.loads(log[-1].facts) == {"from_version": 4, "to_version": 5}
        assert log[-1].rows == "[]"
        last = [entry for entry in log[len(old) :] if json.loads(entry.facts)["to_version"] == 4]
        rows = [row for entry in last for row in json.loads(entry.rows)]
        tables = [row["table"] for row in rows if row["sha256"]]
        expected = {"examples": 19, "audits": 4, "audit_plans": 4, "entries": 5}
        assert {table: tables.count(table) for table in set(tables)} == (expected if version < 4 else {})
    assert log[len(old)].previous == head
    check_results(old_store, tmp_path, version)
    assert verify_store(old_store, head=head).problems == []
    found = verify_store(old_store)
    assert (found.problems, found.head, found.examples) == ([], log[-1].sha256, 19)
    with Ledger(old_store) as ledger:
        assert ledger.log() == log, "it is migrated once"
        write_ranking(ledger, old_store)
    assert "spot-checked" in (old_store / RANKING_FILE).read_text()
    assert verify_store(old_store, head=head).problems == []


def test_an_earlier_version_holds_what_the_same_calls_store_today(
    old_store: Path, version: int, tmp_path: Path
) -> None:
    fill(tmp_path / "new")
    with Ledger(old_store) as old, Ledger(tmp_path / "new", read_only=True) as new:
        assert old.rosters() == new.rosters()
        for one, other in zip(old.entries(), new.entries(), strict=True):
            assert (one.team, one.key) == (other.team, other.key)
            now = new.examples(one.key).items()
            assert old.examples(one.key) == {
                name: example if version >= 4 else replace(example, audio="") for name, example in now
            }
            assert len(old.audits(one.key)) == len(new.audits(one.key))


def test_a_failed_audit_of_version_3_is_not_the_audit_of_another_engine(tmp_path: Path) -> None:
    """Version 3 kept one audit for all engines: `--engine pyclarity` could not help a submission that failed it."""
    store = restore(3, tmp_path / "old")
    change(store, "UPDATE audits SET pyclarity = fast + 0.1 WHERE submission LIKE '1%'")
    key = Key("1" * 64, ROSTER.digest, replace(SCORER, engine="pyclarity"))
    with Ledger(store) as ledger:
        ledger.enter(Entry("E001", key, "submission_E001.zip", 1, "scored"))
        for song, listener in ledger.rosters()[ROSTER.digest].examples:
            ledger.store(key, StoredExample(song, listener, values(0.5)), run=None)
        fast, _, pyclarity = make_tables(ledger)
    assert [one.failed_audits for one in fast.unranked if one.team == "E001"] == [1]
    assert [(row.team, row.audited) for row in pyclarity.rows] == [("E001", 0)]


def test_an_audit_that_failed_in_version_3_can_be_made_again(tmp_path: Path) -> None:
    store = restore(3, tmp_path / "old")
    change(store, "UPDATE audits SET pyclarity = fast + 0.1 WHERE submission LIKE '1%'")
    key = Key("1" * 64, ROSTER.digest, SCORER)
    with Ledger(store) as ledger:
        (audit,) = ledger.audits(key)
        assert "E001" not in {row.team for row in make_tables(ledger)[0].rows}
        ledger.store_audit(key, replace(audit, pyclarity=audit.fast))
        assert "E001" in {row.team for row in make_tables(ledger)[0].rows}


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE examples SET stored = 'never' WHERE submission LIKE '1%' AND song = 'A'", "differs from"),
        ("DELETE FROM examples WHERE submission LIKE '9%' AND listener = 'L1'", "is missing"),
        ("INSERT INTO disqualifications VALUES ('E002', 'a rival', '2026', 'me')", "has no entry"),
        ("UPDATE disqualifications SET who = 'nobody'", "differs from"),
        ("UPDATE entries SET name = 'other.zip' WHERE team = 'E001'", "differs from"),
    ],
)
def test_a_migration_does_not_vouch_for_what_was_changed_before_it(
    old_store: Path, statement: str, problem: str
) -> None:
    change(old_store, statement)
    assert any(problem in one for one in verify_store(old_store).problems)
    Ledger(old_store).close()
    problems = [one for one in verify_store(old_store).problems if "of the table" in one]
    assert problems
    assert all(problem in one for one in problems)
    assert len(problems) <= 2, "only the rows that were changed"


def test_a_migration_does_not_vouch_for_an_audit_that_was_changed_before_it(
    old_store: Path, version: int
) -> None:
    change(old_store, "UPDATE audits SET pyclarity = fast WHERE submission LIKE '1%'")
    Ledger(old_store).close()
    problems = [one for one in verify_store(old_store).problems if "of the table" in one]
    assert len(problems) == (2 if version < 4 else 1), "version 4 kept the row; before, it had another name"
    assert all("of the table audits" in one and "1111" in one for one in problems)


def test_changed_tables_of_an_earlier_version_are_found(old_store: Path) -> None:
    with closing(sqlite3.connect(old_store / FILE)) as db:
        db.execute("DROP TRIGGER log_no_delete")
    (problem,) = verify_store(old_store).problems
    assert "tables, indexes or triggers" in problem


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_migrated_tables_are_those_of_a_new_ledger(version: int, tmp_path: Path) -> None:
    with Ledger(restore(version, tmp_path / "old")) as one, Ledger(tmp_path / "new") as other:
        assert one.path.exists()
        assert other.path.exists()
    for name in ("old", "new"):
        with closing(sqlite3.connect(tmp_path / name / FILE)) as db:
            assert schema.read_schema(db) == expected_schema(schema.VERSION)
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


@pytest.mark.parametrize("step", ["_add_steps", "_with_named_values", "_arrivals"])
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
    change(version1, "UPDATE challenges SET songs = 'no JSON'")
    before = contents(version1)[FILE]
    with pytest.raises(SetupError, match="version 1 and can't be migrated to version 5"):
        Ledger(version1, read_only=read_only)
    assert contents(version1)[FILE] == before


def test_what_was_changed_after_the_migration_is_found(version1: Path) -> None:
    Ledger(version1).close()
    change(version1, "UPDATE examples SET haaqi = replace(haaqi, '0.25', '0.26') WHERE song = 'A'")
    assert len([one for one in verify_store(version1).problems if "examples" in one]) >= 2


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_later_version_is_left_alone(version: int, tmp_path: Path) -> None:
    old = restore(version, tmp_path)
    change(old, "PRAGMA user_version = 6")
    before = (old / FILE).read_bytes()
    for read_only in (True, False):
        with pytest.raises(SetupError, match="version 6; this harness reads version 5"):
            Ledger(old, read_only=read_only)
    assert (old / FILE).read_bytes() == before
