"""Any column, row or log entry that was changed without the harness is found."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from math import nextafter
from pathlib import Path
from typing import Any

import pytest

from harness.ledger.chain import check_chain
from harness.ledger.database import Database
from harness.ledger.ledger import Ledger
from harness.ledger.log import GENESIS, make_entry, row_digest
from harness.ledger.schema import IDENTITY
from harness.ledger.transaction import Transaction
from harness.provenance import verify_store
from harness.ranking.store import RANKING_FILE, write_ranking
from tests.provenance.tampering import database, restore_triggers, with_left_bass
from tests.stores import change, restore


def cells(store: Path) -> Iterator[tuple[str, str, int]]:
    """Every column of every table that the log covers and of the log itself, with rows to change it in."""
    with closing(sqlite3.connect(store / "ledger.sqlite")) as db:
        for table in [*IDENTITY, "log"]:
            names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            (rows,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()
            assert rows, f"the full store has no row in {table}"
            for name in names:
                for row in {0, rows // 2, rows - 1}:
                    yield table, name, row


def changed(value: Any) -> Any:
    if isinstance(value, str):
        return value[:-1] + ("0" if value[-1:] != "0" else "1")
    if value is None:
        return 0
    return value + 1 if isinstance(value, int) else value * (1 - 1e-15) + 1e-300


def test_a_change_in_every_column_of_every_table(store: Path, full_store: Path) -> None:
    pristine = (full_store / "ledger.sqlite").read_bytes()
    tried = 0
    for table, column, row in list(cells(full_store)):
        (store / "ledger.sqlite").write_bytes(pristine)
        with database(store) as db:
            db.execute("PRAGMA ignore_check_constraints = ON")
            names = ", ".join(IDENTITY.get(table, ("number",)))
            condition = f"({names}) = (SELECT {names} FROM {table} ORDER BY {names} LIMIT 1 OFFSET {row})"
            (value,) = db.execute(f"SELECT {column} FROM {table} WHERE {condition}").fetchone()
            new = changed(value)
            assert new != value
            db.execute(f"UPDATE OR REPLACE {table} SET {column} = ? WHERE {condition}", (new,))
        restore_triggers(store, full_store)
        problems = verify_store(store).problems
        assert problems, f"{table}.{column} of row {row}: {value!r} became {new!r}, but nothing was found"
        assert all(one.endswith((".", "?)")) and "Traceback" not in one for one in problems)
        tried += 1
    assert tried > 150


@pytest.mark.parametrize("table", list(IDENTITY))
def test_a_removed_row_and_an_added_row(store: Path, full_store: Path, table: str) -> None:
    with database(store) as db:
        names = ", ".join(IDENTITY[table])
        db.execute(f"DELETE FROM {table} WHERE ({names}) = (SELECT {names} FROM {table} LIMIT 1)")
    restore_triggers(store, full_store)
    assert any(f"of the table {table} is missing" in one for one in verify_store(store).problems)

    (store / "ledger.sqlite").write_bytes((full_store / "ledger.sqlite").read_bytes())
    with database(store) as db:
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        first = IDENTITY[table][0]
        new = "99" if first in {"id", "number", "run"} else "'E' || 'x'"
        picked = ", ".join(new if column == first else column for column in columns)
        if table == "entries":
            picked = picked.replace("team", "'E999'")
        if table == "peaks":
            db.execute("DELETE FROM peaks WHERE run = 1")
            picked = "1, bytes"
        db.execute(f"INSERT INTO {table} SELECT {picked} FROM {table} LIMIT 1")
    restore_triggers(store, full_store)
    problems = verify_store(store).problems
    if table == "peaks":
        assert any("differs from the log's entry" in one for one in problems)
    else:
        assert any(f"of the table {table} has no entry" in one for one in problems)


def forge(store: Path, full_store: Path, *, keep: int) -> str:
    """Cuts off the end of the log and the rows that only these entries wrote; returns the old head."""
    with Ledger(full_store, read_only=True) as ledger:
        head = ledger.head()
        log = ledger.log()
    with database(store) as db:
        for entry in reversed(log[keep:]):
            for row in json.loads(entry.rows):
                names = ", ".join(IDENTITY[row["table"]])
                marks = ", ".join("?" * len(row["row"]))
                db.execute(f"DELETE FROM {row['table']} WHERE ({names}) = ({marks})", row["row"])
        db.execute("DELETE FROM log WHERE number > ?", (keep,))
    restore_triggers(store, full_store)
    with Ledger(store) as ledger:
        write_ranking(ledger, store)
    return head


@pytest.mark.parametrize(
    ("relink", "renumber", "expected"),
    [
        (False, False, "does not follow the entry before it"),
        (False, True, "does not follow the entry before it"),
        (True, False, "entries are missing or were renumbered"),
    ],
)
def test_an_entry_removed_from_the_chain(
    full_store: Path, relink: bool, renumber: bool, expected: str
) -> None:
    """The entries after it are made to look right but for one thing."""
    with Ledger(full_store, read_only=True) as ledger:
        log = ledger.log()
    assert list(check_chain(log)) == []
    kept = log[:20]
    for entry in log[21:]:
        kept.append(
            make_entry(
                number=entry.number - renumber, at=entry.at, who=entry.who, kind=entry.kind, facts=entry.facts,
                rows=entry.rows, previous=kept[-1].sha256 if relink else entry.previous,
            )
        )  # fmt: skip
    problems = list(check_chain(kept))
    assert any(expected in one for one in problems)
    assert not any("does not match its SHA-256" in one for one in problems)


def test_a_log_cut_off_with_its_rows_is_found_by_the_head(store: Path, full_store: Path) -> None:
    with Ledger(full_store, read_only=True) as ledger:
        keep = len(ledger.log()) - 1
    head = forge(store, full_store, keep=keep)
    assert verify_store(store).problems == [], "this is only found by the published head"
    (problem, _) = verify_store(store, head=head).problems
    assert f"The log has no entry {head}" in problem


def test_a_rewritten_log_is_found_by_the_head(store: Path, full_store: Path) -> None:
    head = verify_store(store).head
    with database(store) as db:
        db.execute(f"UPDATE examples SET haaqi = {with_left_bass(0.999)} WHERE submission = ?", ("1" * 64,))
        db.execute("DELETE FROM audits")
        previous = GENESIS
        for row in db.execute(
            "SELECT number, at, who, kind, facts, rows FROM log ORDER BY number"
        ).fetchall():
            rows = []
            for one in json.loads(row[5]):
                names = ", ".join(IDENTITY[one["table"]])
                marks = ", ".join("?" * len(one["row"]))
                found = db.execute(
                    f"SELECT * FROM {one['table']} WHERE ({names}) = ({marks})", one["row"]
                ).fetchone()
                rows.append(one | {"sha256": row_digest(one["table"], found) if found else None})
            entry = make_entry(
                number=row[0], at=row[1], who=row[2], kind=row[3], facts=row[4], previous=previous,
                rows=json.dumps(rows, sort_keys=True, separators=(",", ":")),
            )  # fmt: skip
            db.execute(
                "UPDATE log SET rows = ?, previous = ?, sha256 = ? WHERE number = ?",
                (entry.rows, entry.previous, entry.sha256, entry.number),
            )
            previous = entry.sha256
    restore_triggers(store, full_store)
    (store / RANKING_FILE).unlink()
    with Ledger(store) as ledger:
        write_ranking(ledger, store)
    assert verify_store(store).problems == []
    assert verify_store(store, head=head).problems


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (f"UPDATE examples SET haaqi = {with_left_bass(1.5)} WHERE song = 'A'", "is 1.5, not a HAAQI"),
        (
            "UPDATE examples SET haaqi = json_set(haaqi, '$.left_bass', json('1e999')) WHERE song = 'A'",
            "not an object of numbers and nulls",
        ),
        ("UPDATE examples SET haaqi = json_remove(haaqi, '$.left_bass')", "its values are not exactly"),
        ("UPDATE examples SET haaqi = json_set(haaqi, '$.left_piano', 0.5)", "its values are not exactly"),
        ("UPDATE examples SET haaqi = replace(haaqi, ',', ', ')", "in canonical JSON"),
        ("UPDATE examples SET song = 'Z' WHERE song = 'A'", "is not an example of its challenge"),
        ("UPDATE audits SET fast = 0.25", "has another value for the fast engine"),
        ("UPDATE audits SET pyclarity = -0.25", "does not hold two HAAQI"),
        ("UPDATE steps SET state = 'scored' WHERE state = 'received'", "can't follow the one before it"),
        ("UPDATE failures SET fault = 'the moon'", "has an unknown cause"),
        ("UPDATE entries SET challenge = 'none'", "for a challenge that is not there"),
        ("UPDATE runs SET record = '{}'", "holds something that can't be read"),
        ("UPDATE challenges SET songs = '5'", "holds something that can't be read"),
    ],
)
def test_impossible_rows_are_found_whatever_the_log_says(store: Path, statement: str, expected: str) -> None:
    with database(store) as db:
        db.execute(statement)
    assert verify_store(store).problems
    with Database(store, read_only=True) as opened, pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.provenance.verification.expected_schema", lambda _: opened.schema())
        assert any(expected in one for one in verify_store(store).problems)


def test_dropped_triggers_are_found(store: Path) -> None:
    with database(store):
        pass
    (problem,) = verify_store(store).problems
    assert "were changed" in problem


def test_a_change_in_the_last_bit_of_a_value_is_found(store: Path, full_store: Path) -> None:
    with database(store) as db:
        db.execute(
            f"UPDATE examples SET haaqi = {with_left_bass(nextafter(1 / 11, 1.0))}"
            " WHERE (song, listener) = ('A', 'L1') AND submission = ?",
            ("1" * 64,),
        )
    restore_triggers(store, full_store)
    assert any("differs from the log's entry" in one for one in verify_store(store).problems)


def append(store: Path, kind: str, facts: dict[str, Any], *rows: tuple[str, tuple[Any, ...]]) -> None:
    """Appends an entry that continues the chain and gives the rows' present digests, as the harness would."""
    with closing(sqlite3.connect(store / "ledger.sqlite", isolation_level=None)) as db:
        Transaction(db).log(kind, facts, *rows)


def first_example(store: Path) -> tuple[Any, ...]:
    with closing(sqlite3.connect(store / "ledger.sqlite")) as db:
        return tuple(db.execute(f"SELECT {', '.join(IDENTITY['examples'])} FROM examples").fetchone())


@pytest.mark.parametrize("kind", ["peak", "scored", "stored", "migrated", "improved"])
def test_a_well_chained_entry_about_a_changed_example_is_found(store: Path, kind: str) -> None:
    head = verify_store(store).head
    example = first_example(store)
    change(
        store,
        f"UPDATE examples SET haaqi = {with_left_bass(0.999)}"
        f" WHERE ({', '.join(IDENTITY['examples'])}) = ({', '.join('?' * len(example))})",
        example,
    )
    facts = {"from_version": 3, "to_version": 4} if kind == "migrated" else {"run": 1}
    append(store, kind, facts, ("examples", example))
    with Ledger(store) as ledger:
        write_ranking(ledger, store)
    for published in (None, head):
        problems = verify_store(store, head=published).problems
        assert any("of the table examples again" in one and "written once" in one for one in problems)
        if kind == "peak":
            assert any(
                "is of the kind 'peak' and names a row of the table examples" in one for one in problems
            )
        if kind == "migrated":
            assert any("migrates the ledger to a version that it had already" in one for one in problems)
        if kind == "improved":
            assert any("is of the unknown kind 'improved'" in one for one in problems)


@pytest.mark.parametrize("table", ["challenges", "runs", "song_references", "audit_plans", "audits"])
def test_a_row_that_is_written_once_gets_no_second_digest(store: Path, table: str) -> None:
    kinds = {
        "challenges": "challenge",
        "runs": "run",
        "song_references": "reference",
        "audit_plans": "planned",
        "audits": "audited",
    }
    with closing(sqlite3.connect(store / "ledger.sqlite")) as db:
        row = tuple(db.execute(f"SELECT {', '.join(IDENTITY[table])} FROM {table}").fetchone())
    append(store, kinds[table], {}, (table, row))
    (problem, _) = verify_store(store).problems
    assert f"of the table {table} again" in problem


def test_a_migration_writes_each_row_once_and_happens_once(tmp_path: Path) -> None:
    store = restore(3, tmp_path / "old")
    Ledger(store).close()
    example = first_example(store)
    change(store, f"UPDATE examples SET haaqi = {with_left_bass(0.999)} WHERE song = 'A'")
    facts = {"from_version": 3, "to_version": 4}
    append(store, "migrated", facts, ("examples", example))
    assert any("of the table examples again" in one for one in verify_store(store).problems)
    with Ledger(store) as ledger:
        ledger.history.disqualify("E001", reason="something else")
    append(store, "migrated", facts, ("entries", (1,)))
    problems = verify_store(store).problems
    assert any("migrates the ledger to a version that it had already" in one for one in problems)


@pytest.mark.parametrize("column", ["salt = '0123456789abcdef0123456789abcdef'", "number = 0"])
def test_a_changed_plan_is_found(store: Path, column: str) -> None:
    change(store, f"UPDATE audit_plans SET {column}")
    assert any("of the table audit_plans differs" in one for one in verify_store(store).problems)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE audits SET audio = '00'", "has a digest that is not a SHA-256"),
        ("UPDATE song_references SET sha256 = ''", "has a digest that is not a SHA-256"),
        (f"UPDATE audits SET audio = '{'0' * 64}'", "was made of other audio than the stored example"),
        ("UPDATE audits SET attempt = 2", "has no attempt 1, but a later one"),
    ],
)
def test_impossible_audits_are_found(store: Path, statement: str, expected: str) -> None:
    change(store, statement)
    assert any(expected in one for one in verify_store(store).problems)


def test_the_head_lists_what_has_changed_since(store: Path) -> None:
    head = verify_store(store).head
    since = verify_store(store, head=head).since
    assert since is not None
    assert (since.kinds, since.teams, since.entries) == ((), (), 0)
    with Ledger(store) as ledger:
        key = ledger.entries()[0].key
        ledger.history.disqualify("E002", reason="its own reasons")
        ledger.store_audit(key, replace(ledger.audits(key)[0], pyclarity=0.0))
        ledger.note_peak(3, 2**40)
        write_ranking(ledger, store)
    found = verify_store(store, head=head)
    assert found.problems == []
    assert found.since is not None
    assert found.since.kinds == (("audited", 1), ("disqualified", 1), ("peak", 1))
    assert found.since.teams == ("E001", "E002", "E003")
    assert verify_store(store).since is None
    everything = verify_store(store, head=GENESIS).since
    assert everything is not None
    assert everything.entries == found.entries
    assert everything.teams == ("E001", "E002", "E003", "E004", "E009")
