"""What was changed behind the ledger's back is found: any byte, any column, any row, any file."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from harness.ledger.entities import StoredExample
from harness.ledger.ledger import Ledger
from harness.ledger.log import GENESIS, chained, row_digest
from harness.ledger.schema import IDENTITY
from harness.protocol.errors import SetupError, UsageError
from harness.provenance.chain import check_chain
from harness.provenance import verify_store
from harness.provenance.verification import MAX_PROBLEMS
from harness.ranking.store import RANKING_FILE, write_ranking
from tests.values import values

FLIPS = 400


@pytest.fixture
def store(full_store: Path, tmp_path: Path) -> Path:
    """A copy of the full store."""
    return Path(shutil.copytree(full_store, tmp_path / "copy"))


def database(store: Path) -> closing[sqlite3.Connection]:
    """The bare file, without the triggers' protection."""
    db = sqlite3.connect(store / "ledger.sqlite", isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")  # these tests write hundreds of times
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    return closing(db)


def restore_triggers(store: Path, full_store: Path) -> None:
    """Puts the dropped triggers back, as a careful forger would."""
    with closing(sqlite3.connect(full_store / "ledger.sqlite")) as db:
        triggers = db.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    with closing(sqlite3.connect(store / "ledger.sqlite", isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        for (sql,) in triggers:
            db.execute(sql)


def test_a_store_that_nobody_touched_fits(full_store: Path) -> None:
    before = sorted(one.name for one in full_store.iterdir())
    found = verify_store(full_store)
    assert found.problems == []
    assert found.examples == 19
    with Ledger(full_store, read_only=True) as ledger:
        log = ledger.log()
        assert found.head == log[-1].sha256 == ledger.head()
        assert found.entries == len(log)
        for entry in (log[0], log[len(log) // 2], log[-1]):
            assert verify_store(full_store, head=entry.sha256).problems == []
    assert sorted(one.name for one in full_store.iterdir()) == before


def test_the_log_says_who_did_what(full_store: Path) -> None:
    with Ledger(full_store, read_only=True) as ledger:
        log = ledger.log()
    kinds = {entry.kind for entry in log}
    assert kinds >= {
        "entered",
        "scored",
        "audited",
        "moved",
        "failed",
        "disqualified",
        "self-reported",
        "run",
    }
    assert all("@" in entry.who and entry.at for entry in log)
    assert log[0].previous == GENESIS
    assert json.loads(log[-1].facts) == {"team": "E004", "why": "scored with the test songs"}


def test_scored_again_by_another_scorer_is_in_the_log(filled: Path, make_key) -> None:
    from dataclasses import replace

    with Ledger(filled) as ledger:
        entry = ledger.entries()[0]
        ledger.enter(entry)
        other = replace(entry.key, scorer=replace(entry.key.scorer, engine="pyclarity"))
        ledger.enter(replace(entry, key=other))
        assert [one.kind for one in ledger.log()[-2:]] == ["entered", "re-scored"]


def cells(store: Path) -> Iterator[tuple[str, str, int]]:
    """Every column of every table that the log vouches for, of the log itself, and a row to change it in."""
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


def test_every_column_of_every_table(store: Path, full_store: Path) -> None:
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
        assert problems, f"{table}.{column} of row {row}: {value!r} became {new!r}, and nothing was found"
        assert all(one.endswith((".", "?)")) and "Traceback" not in one for one in problems)
        tried += 1
    assert tried > 150


@pytest.mark.parametrize("table", list(IDENTITY))
def test_a_row_that_is_gone_and_one_that_was_added(store: Path, full_store: Path, table: str) -> None:
    with database(store) as db:
        names = ", ".join(IDENTITY[table])
        db.execute(f"DELETE FROM {table} WHERE ({names}) = (SELECT {names} FROM {table} LIMIT 1)")
    restore_triggers(store, full_store)
    assert any(f"of the table {table} is gone" in one for one in verify_store(store).problems)

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
        assert any("is not as the log's entry" in one for one in problems)
    else:
        assert any(f"of the table {table} is in no entry" in one for one in problems)


def dump(store: Path) -> list[object]:
    """Everything that a reader of the ledger can see."""
    with Ledger(store, read_only=True) as ledger:
        return [ledger.contents(), ledger.log(), ledger.leases.all(), ledger.schema()]


def test_one_byte_flipped_anywhere_in_the_file(store: Path, full_store: Path) -> None:
    """Found, or it was in space that holds nothing: then the ledger's contents are the same."""
    path = store / "ledger.sqlite"
    pristine = (full_store / "ledger.sqlite").read_bytes()
    contents = dump(full_store)
    generator = random.Random(20231017)
    harmless = 0
    used = [place for place, byte in enumerate(pristine) if byte]
    places = generator.sample(used, FLIPS) + generator.sample(range(len(pristine)), FLIPS // 4)
    for place in [*range(100), *places]:
        damaged = bytearray(pristine)
        damaged[place] ^= generator.randrange(1, 256)
        path.write_bytes(damaged)
        problems = verify_store(store).problems
        if not problems:
            assert dump(store) == contents, f"byte {place} was flipped, and nothing was found"
            harmless += 1
    assert harmless < len(places) / 3, "most of the file is in use; these flips must be found"


def test_one_byte_flipped_in_what_a_killed_process_left(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The write-ahead log holds transactions too: found, or the ledger's contents are the same."""
    monkeypatch.setattr("harness.provenance.wal.PAUSE", 0.0)
    code = (
        "import os, sys; from pathlib import Path; from harness.ledger.ledger import *\n"
        "ledger = Ledger(Path(sys.argv[1])); key = ledger.entries()[2].key\n"
        "ledger.store(key, StoredExample('B, too', 'L2', values(0.25)), run=1)\n"
        "for n in range(12): ledger.history.disqualify('E001', why=f'attempt {n}')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code, store], env={"PYTHONPATH": str(root)}, check=False)
    assert done.returncode == -9
    path = store / "ledger.sqlite-wal"
    pristine = path.read_bytes()
    (store / "ledger.sqlite-shm").unlink()
    contents = dump(store)
    assert len([one for one in verify_store(store).problems if RANKING_FILE not in one]) == 0
    size = int.from_bytes(pristine[8:12], "big") + 24
    assert len(pristine) > 32 + 20 * size
    generator = random.Random(5)
    last = len(pristine) - size
    places = [*range(32), *range(32, 32 + 24), *range(last, last + 24), *range(32, len(pristine), size // 2)]
    places += generator.sample(range(len(pristine)), 60)
    for place in places:
        damaged = bytearray(pristine)
        damaged[place] ^= generator.randrange(1, 256)
        path.write_bytes(damaged)
        problems = [one for one in verify_store(store).problems if RANKING_FILE not in one]
        if not problems:
            assert dump(store) == contents, f"byte {place} was flipped, and nothing was found"


def test_a_flip_in_the_values_is_found_every_time(store: Path, full_store: Path) -> None:
    path = store / "ledger.sqlite"
    pristine = path.read_bytes()
    with closing(sqlite3.connect(path)) as db:
        values = [row[0] for row in db.execute("SELECT left_bass FROM examples WHERE left_bass <> 0.5")]
        hashes = [row[0] for row in db.execute("SELECT sha256 FROM log")]
    import struct

    patterns = [struct.pack(">d", value) for value in values] + [one.encode() for one in hashes]
    tried = 0
    generator = random.Random(1)
    for pattern in patterns:
        place = pristine.find(pattern)
        assert place >= 0
        damaged = bytearray(pristine)
        damaged[place + generator.randrange(len(pattern))] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        assert verify_store(store).problems, f"a flip near byte {place} was not found"
        tried += 1
    assert tried > 60


@pytest.mark.parametrize("size", [1, 99, 100, 511, 4096, 5000, 8192])
def test_a_file_that_was_cut_short(store: Path, size: int) -> None:
    path = store / "ledger.sqlite"
    path.write_bytes(path.read_bytes()[:size])
    try:
        problems = verify_store(store).problems
    except SetupError as error:
        problems = [error.message]
    assert problems


def test_garbage_instead_of_a_ledger(store: Path) -> None:
    (store / "ledger.sqlite").write_bytes(random.Random(3).randbytes(20_000))
    (problem,) = verify_store(store).problems
    assert "not a database" in problem


def forge(store: Path, full_store: Path, *, keep: int) -> str:
    """Cuts the log and the rows that only later entries wrote, as one would to undo them; returns the old head."""
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
    ("relink", "renumber", "said"),
    [
        (False, False, "does not follow the entry before it"),
        (False, True, "does not follow the entry before it"),
        (True, False, "entries are missing or were renumbered"),
    ],
)
def test_an_entry_taken_out_of_the_chain(full_store: Path, relink: bool, renumber: bool, said: str) -> None:
    """Each of its followers is made to look right but for one thing."""
    with Ledger(full_store, read_only=True) as ledger:
        log = ledger.log()
    assert list(check_chain(log)) == []
    kept = log[:20]
    for entry in log[21:]:
        kept.append(
            chained(
                number=entry.number - renumber, at=entry.at, who=entry.who, kind=entry.kind, facts=entry.facts,
                rows=entry.rows, previous=kept[-1].sha256 if relink else entry.previous,
            )
        )  # fmt: skip
    problems = list(check_chain(kept))
    assert any(said in one for one in problems)
    assert not any("has not the SHA-256" in one for one in problems)


def test_a_tail_cut_off_with_its_rows_is_found_by_the_head(store: Path, full_store: Path) -> None:
    with Ledger(full_store, read_only=True) as ledger:
        keep = len(ledger.log()) - 1
    head = forge(store, full_store, keep=keep)
    assert verify_store(store).problems == [], "by itself this can't be seen: it is what the head is published for"
    (problem, _) = verify_store(store, head=head).problems
    assert f"The log has no entry {head}" in problem


def test_a_log_written_anew_is_found_by_the_head(store: Path, full_store: Path) -> None:
    head = verify_store(store).head
    with database(store) as db:
        db.execute("UPDATE examples SET left_bass = 0.999 WHERE submission = ?", ("1" * 64,))
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
            entry = chained(
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
    ("change", "said"),
    [
        ("UPDATE examples SET left_bass = 1.5 WHERE song = 'A'", "is 1.5, which is no HAAQI"),
        ("UPDATE examples SET left_bass = 9e999 WHERE song = 'A'", "is inf, which is no HAAQI"),
        ("UPDATE examples SET song = 'Z' WHERE song = 'A'", "is an example that its challenge has not"),
        ("UPDATE audits SET fast = 0.25", "has another value for our engine"),
        ("UPDATE audits SET pyclarity = -0.25", "is no audit of a HAAQI"),
        ("UPDATE steps SET state = 'scored' WHERE state = 'received'", "can't follow the one before it"),
        ("UPDATE failures SET fault = 'the moon'", "by nobody's fault"),
        ("UPDATE entries SET challenge = 'none'", "for a challenge that is not there"),
        ("UPDATE runs SET record = '{}'", "holds something that can't be read"),
        ("UPDATE challenges SET songs = '5'", "holds something that can't be read"),
    ],
)
def test_what_can_not_be_is_said_whatever_the_log_says(store: Path, change: str, said: str) -> None:
    with database(store) as db:
        db.execute(change)
    assert verify_store(store).problems
    with Ledger(store, read_only=True) as ledger, pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.provenance.verification.schema.expected", ledger.schema)
        assert any(said in one for one in verify_store(store).problems)


def test_dropped_triggers_are_found(store: Path) -> None:
    with database(store):
        pass
    (problem,) = verify_store(store).problems
    assert "somebody changed them" in problem


@pytest.mark.parametrize(
    ("old", "new"),
    [("E001", "E005"), ("| 1 ", "| 9 "), ("not ranked", "ranked"), ("\n\n", "\n\nWe won.\n\n")],
)
def test_a_ranking_that_the_examples_do_not_give(store: Path, old: str, new: str) -> None:
    path = store / RANKING_FILE
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    (problem,) = verify_store(store).problems
    assert "it is not what the stored examples give" in problem


def test_a_ranking_that_is_gone_or_is_no_text(store: Path) -> None:
    (store / RANKING_FILE).unlink()
    assert verify_store(store).problems == [
        f"There is no {RANKING_FILE} in {store}, though submissions are ranked."
    ]
    (store / RANKING_FILE).write_bytes(b"\xff\xfe")
    assert "can't be read" in verify_store(store).problems[0]


def test_a_last_bit_of_one_value_moves_nothing_shown_and_is_found(store: Path, full_store: Path) -> None:
    with database(store) as db:
        db.execute(
            "UPDATE examples SET left_bass = left_bass + 2e-16"
            " WHERE (song, listener) = ('A', 'L1') AND submission = ?",
            ("1" * 64,),
        )
    restore_triggers(store, full_store)
    assert any("is not as the log's entry" in one for one in verify_store(store).problems)


def test_many_problems_are_counted_and_not_all_told(filled: Path, make_key, full_store: Path) -> None:
    with Ledger(filled) as ledger:
        for number in range(MAX_PROBLEMS + 20):
            ledger.store(make_key("7"), StoredExample(f"S{number}", "L1", values(0.5)), run=None)
    problems = verify_store(filled).problems
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1] == "And 21 more that don't fit."


@pytest.mark.parametrize("head", ["", "1234", "g" * 64, "a" * 63])
def test_a_head_that_is_no_hash_is_wrong_use(full_store: Path, head: str) -> None:
    with pytest.raises(UsageError, match="is no SHA-256"):
        verify_store(full_store, head=head)


def test_a_head_may_be_typed_in_capitals(full_store: Path) -> None:
    head = verify_store(full_store).head
    assert verify_store(full_store, head=f" {head.upper()}\n").problems == []


def test_no_ledger_is_no_forgery_but_a_fault_of_the_setup(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="There is no ledger"):
        verify_store(tmp_path)
    (tmp_path / "ledger.sqlite").write_bytes(b"")
    with pytest.raises(SetupError, match="There is no ledger"):
        verify_store(tmp_path)
