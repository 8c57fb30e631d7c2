"""A backup is a consistent copy of the ledger beside a run, and a store that is restored from it is verified."""

from __future__ import annotations

import shutil
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from harness.ledger.database import FILE
from harness.ledger.entities import Key, Scorer, StoredExample
from harness.ledger.ledger import Ledger
from harness.protocol.errors import SetupError, UsageError
from harness.provenance import verify_store
from harness.provenance.backup import back_up
from harness.ranking.render import markdown
from harness.ranking.store import RANKING_FILE, read_tables
from tests.stores import ROSTER, restore
from tests.values import values


def restored(backup: Path, store: Path) -> Path:
    """A store made from a backup, as docs/store.md says."""
    store.mkdir()
    shutil.copyfile(backup, store / FILE)
    (store / RANKING_FILE).write_text(markdown(read_tables(store)))
    return store


def test_a_restored_store_is_verified_and_ranks_the_same(filled: Path, tmp_path: Path) -> None:
    before = {one.name: one.read_bytes() for one in filled.iterdir()}
    made = back_up(filled, tmp_path / "new folder" / "backup.sqlite")
    assert {one.name: one.read_bytes() for one in filled.iterdir()} == before
    (file,) = (tmp_path / "new folder").iterdir()
    assert made.sha256 == sha256(file.read_bytes()).hexdigest()
    store = restored(file, tmp_path / "restored")
    found = verify_store(store, head=made.head)
    assert (found.problems, found.head) == ([], verify_store(filled).head)
    assert (store / RANKING_FILE).read_bytes() == (filled / RANKING_FILE).read_bytes()
    with Ledger(store) as ledger:
        ledger.history.reinstate("E004", reason="it can be written to")
    assert verify_store(store, head=made.head).since is not None


def test_a_backup_beside_a_run_is_one_moment_of_it(filled: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    key = Key("7" * 64, ROSTER.digest, Scorer("d" * 64, "fast", True))

    def write() -> None:
        with Ledger(filled) as ledger:
            while not stop.is_set():
                run = ledger.start_run(record)
                for song, listener in ROSTER.examples:
                    ledger.store(key, StoredExample(song, listener, values(0.5)), run=run)

    with Ledger(filled, read_only=True) as ledger:
        record = ledger.run_details(ledger.entries()[0].key)[0].record
    thread = threading.Thread(target=write)
    thread.start()
    try:
        heads = []
        for number in range(5):
            made = back_up(filled, tmp_path / f"{number}.sqlite")
            assert (
                verify_store(restored(tmp_path / f"{number}.sqlite", tmp_path / str(number))).problems == []
            )
            heads.append(made.head)
    finally:
        stop.set()
        thread.join()
    assert len(set(heads)) > 1, "it was written to meanwhile"
    with Ledger(filled, read_only=True) as ledger:
        log = [entry.sha256 for entry in ledger.log()]
    assert [log.index(head) for head in heads] == sorted(log.index(head) for head in heads)


def test_a_backup_never_overwrites_a_file(filled: Path, tmp_path: Path) -> None:
    path = tmp_path / "backup.sqlite"
    path.write_text("precious")
    with pytest.raises(UsageError, match="exists already"):
        back_up(filled, path)
    assert path.read_text() == "precious"


def test_a_backup_of_nothing_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="There is no ledger"):
        back_up(tmp_path / "typo", tmp_path / "backup.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_a_backup_that_cannot_be_written_says_so(filled: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="can't be written"):
        back_up(filled, tmp_path / "file" / "backup.sqlite")


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_ledger_of_an_earlier_version_is_copied_as_it_is(version: int, tmp_path: Path) -> None:
    old = restore(version, tmp_path / "old")
    made = back_up(old, tmp_path / "backup.sqlite")
    (tmp_path / "restored").mkdir()
    shutil.copyfile(tmp_path / "backup.sqlite", tmp_path / "restored" / FILE)
    for name in old.glob("*.md"):
        shutil.copy(name, tmp_path / "restored")
    found, before = verify_store(tmp_path / "restored"), verify_store(old)
    assert found == before
    assert made.head == before.head
