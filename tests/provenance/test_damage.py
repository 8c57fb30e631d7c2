"""Any damaged byte of the ledger is found, or makes no difference."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from harness.ledger.database import Database
from harness.ledger.leases import Leases
from harness.protocol.errors import SetupError
from harness.provenance import verify_store
from harness.ranking.store import RANKING_FILE

FLIPS = 400


def dump(store: Path) -> list[object]:
    """Everything in a ledger that can be read."""
    with Database(store, read_only=True) as database:
        leases = Leases(database).all()
        return [database.contents(), database.log(), leases, database.schema()]


def test_a_byte_flipped_anywhere_in_the_file(store: Path, full_store: Path) -> None:
    """It is found, unless it was in unused space: then the ledger's contents are the same."""
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
            assert dump(store) == contents, f"byte {place} was flipped, but nothing was found"
            harmless += 1
    assert harmless < len(places) / 3, "most of the file is in use; these flips must be found"


def test_a_byte_flipped_in_the_write_ahead_log(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The write-ahead log holds transactions too: it is found, or the ledger's contents are the same."""
    monkeypatch.setattr("harness.ledger.wal.PAUSE", 0.0)
    code = (
        "import os, sys; from pathlib import Path; \n"
        "from harness.ledger.entities import StoredExample; from harness.ledger.ledger import Ledger\n"
        "from tests.values import values\n"
        "ledger = Ledger(Path(sys.argv[1])); key = ledger.entries()[2].key\n"
        "ledger.store(key, StoredExample('B, too', 'L2', values(0.25)), run=1)\n"
        "for n in range(12): ledger.history.disqualify('E001', reason=f'attempt {n}')\n"
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
            assert dump(store) == contents, f"byte {place} was flipped, but nothing was found"


def test_a_flip_in_the_values_is_found_every_time(store: Path, full_store: Path) -> None:
    path = store / "ledger.sqlite"
    pristine = path.read_bytes()
    with closing(sqlite3.connect(path)) as db:
        stored = [json.loads(row[0])["left_bass"] for row in db.execute("SELECT haaqi FROM examples")]
        hashes = [row[0] for row in db.execute("SELECT sha256 FROM log")]
    patterns = [f'"left_bass":{value!r}'.encode() for value in stored if value != 0.5]
    assert len(patterns) > 10
    patterns += [one.encode() for one in hashes]
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
