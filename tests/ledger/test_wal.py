"""A write-ahead log that is damaged or belongs to another ledger is refused before SQLite merges it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from harness.ledger import wal
from harness.ledger.database import FILE
from harness.ledger.entities import Key, StoredExample
from harness.ledger.ledger import Ledger
from harness.protocol.errors import SetupError
from harness.provenance import verify_store
from harness.ranking.store import RANKING_FILE
from tests.values import values

ROOT = Path(__file__).resolve().parents[2]
WAL = f"{FILE}-wal"


def kill_writer(store: Path, *, decisions: int) -> None:
    """Leaves the write-ahead log of a process that disqualifies a team so often and is killed."""
    code = (
        "import os, sys; from pathlib import Path; from harness.ledger.ledger import Ledger\n"
        "ledger = Ledger(Path(sys.argv[1]))\n"
        "for n in range(int(sys.argv[2])): ledger.history.disqualify('E001', reason=f'attempt {n}' * 100)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, store, str(decisions)], env={"PYTHONPATH": str(ROOT)}, check=False
    )
    assert done.returncode == -9
    (store / f"{FILE}-shm").unlink()


def listing(store: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in store.iterdir() if not one.name.endswith("-shm")}


def check_refused(store: Path, expected: str) -> None:
    """It is refused for writing as `verify` refuses it, and nothing is changed."""
    before = listing(store)
    assert [one for one in verify_store(store).problems if RANKING_FILE not in one]
    with pytest.raises(SetupError, match=expected) as caught:
        Ledger(store)
    assert "cad1 verify" in str(caught.value.hint)
    assert listing(store) == before


def test_the_log_of_a_killed_process_is_merged(filled: Path) -> None:
    kill_writer(filled, decisions=3)
    with Ledger(filled) as ledger:
        assert ledger.history.disqualified()["E001"].reason.startswith("attempt 2")


@pytest.mark.parametrize("place", [40, 5000, -5000])
def test_a_damaged_log_is_refused(filled: Path, place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.ledger.wal.PAUSE", 0.0)
    kill_writer(filled, decisions=30)
    data = bytearray((filled / WAL).read_bytes())
    data[place] ^= 1
    (filled / WAL).write_bytes(data)
    check_refused(filled, "is damaged from byte")


def test_the_log_of_a_later_ledger_is_refused(filled: Path, full_store: Path) -> None:
    """A ledger restored from a backup, with the write-ahead log of the ledger that it replaced."""
    with Ledger(filled) as ledger:
        for number in range(40):
            ledger.history.disqualify("E001", reason=f"attempt {number}" * 100)
    kill_writer(filled, decisions=2)
    shutil.copyfile(full_store / FILE, filled / FILE)
    check_refused(filled, "is damaged, or belongs to another ledger")


def test_the_log_of_an_earlier_ledger_is_refused(filled: Path, tmp_path: Path) -> None:
    """A newer ledger was copied over one whose process had been killed: its last entries would be lost."""
    kill_writer(filled, decisions=1)
    newer = Path(shutil.copytree(filled, tmp_path / "newer"))
    with Ledger(newer) as ledger:
        ledger.history.reinstate("E001", reason="later")
    shutil.copyfile(newer / FILE, filled / FILE)
    check_refused(filled, "is older than the ledger beside it")


def test_a_log_without_a_ledger_is_refused(filled: Path) -> None:
    kill_writer(filled, decisions=1)
    (filled / FILE).unlink()
    before = listing(filled)
    with pytest.raises(SetupError, match=f"there is no {FILE} beside it"):
        Ledger(filled)
    assert listing(filled) == before


def test_a_running_process_does_not_keep_others_out(filled: Path, make_key: Callable[[str], Key]) -> None:
    with Ledger(filled) as first:
        for number in range(20):
            first.history.disqualify("E001", reason=f"attempt {number}")
            with Ledger(filled) as other:
                assert other.store(make_key("7"), StoredExample(f"S{number}", "L1", values(0.5)), run=None)
        assert (filled / WAL).stat().st_size > 0


def test_a_large_log_is_checked_in_a_fraction_of_a_second(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("CREATE TABLE t (content BLOB)")
        for _ in range(10):
            db.execute("INSERT INTO t VALUES (?)", (os.urandom(4_000_000),))
        data = (tmp_path / "large-wal").read_bytes()
    assert len(data) > 40_000_000
    start = time.process_time()
    assert wal._find_damage(data) is None
    assert time.process_time() - start < 2.0  # 4 s in plain Python
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 1
    place = wal._find_damage(bytes(damaged))
    assert place is not None
    assert 0 < len(data) // 2 - place < 4096 + 24
