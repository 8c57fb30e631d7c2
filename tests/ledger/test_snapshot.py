"""A ledger that is only read: nothing is created next to it, on a read-only disk or while others write."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.ledger.entities import Key, StoredExample
from harness.ledger.ledger import Ledger
from harness.protocol.errors import InternalError, SetupError
from harness.provenance import verify_store
from harness.ranking.render import markdown
from harness.ranking.tables import make_tables
from tests.values import values

ROOT = Path(__file__).resolve().parents[2]


def listing(store: Path) -> list[tuple[str, bytes]]:
    return sorted((one.name, one.read_bytes()) for one in store.iterdir())


def ranking(store: Path) -> str:
    with Ledger(store, read_only=True) as ledger:
        return markdown(make_tables(ledger))


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """A tmpfs; skips the test if none may be mounted."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", *options, "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def killed_writer(store: Path) -> Iterator[None]:
    """A process that wrote and was killed: the write-ahead log is left behind."""
    code = (
        "import os, sys; from pathlib import Path; from harness.ledger.ledger import Ledger\n"
        "ledger = Ledger(Path(sys.argv[1])); entry = ledger.entries()[0]\n"
        "ledger.history.disqualify('E001', reason='left in the log'); os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, store], env={"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -9
    assert (store / "ledger.sqlite-wal").stat().st_size > 0
    yield


def test_reading_creates_nothing(filled: Path) -> None:
    before = listing(filled)
    assert "E001" in ranking(filled)
    assert listing(filled) == before
    with Ledger(filled, read_only=True):
        assert listing(filled) == before


def test_a_read_only_ledger_can_not_be_written(filled: Path, make_key: Callable[[str], Key]) -> None:
    with Ledger(filled, read_only=True) as ledger:
        with pytest.raises(InternalError, match="opened for reading"):
            ledger.store(make_key("1"), StoredExample("A", "L1", values(0.5)), run=None)
        with pytest.raises(InternalError, match="opened for reading"):
            ledger.add_roster(next(iter(ledger.rosters().values())))


def test_reading_while_another_process_writes(filled: Path) -> None:
    with Ledger(filled) as writer:
        writer.history.disqualify("E001", reason="seen at once")
        names = {one.name for one in filled.iterdir()}
        with Ledger(filled, read_only=True) as reader:
            assert set(reader.history.disqualified()) == {"E001", "E004"}
            with reader.snapshot():
                before = reader.history.disqualified()
                writer.history.disqualify("E002", reason="while it is read")
                assert reader.history.disqualified() == before, "a snapshot is of one moment"
            assert set(reader.history.disqualified()) == {"E001", "E002", "E004"}
            assert {one.name for one in filled.iterdir()} == names
        writer.history.reinstate("E002", reason="and after")
    assert {one.name for one in filled.iterdir()} == {"ledger.sqlite", "ranking.md"}


@pytest.mark.parametrize("shared", [True, False])
def test_what_a_killed_process_wrote_is_read(filled: Path, shared: bool) -> None:
    with killed_writer(filled):
        pass
    if not shared:
        (filled / "ledger.sqlite-shm").unlink()
    names = {one.name for one in filled.iterdir()}
    assert "E001: disqualified: left in the log" in ranking(filled)
    assert {one.name for one in filled.iterdir()} == names
    with Ledger(filled) as ledger:
        assert "E001" in ledger.history.disqualified()


@pytest.mark.parametrize("killed", [False, True])
def test_a_read_only_disk(filled: Path, tmp_path: Path, killed: bool) -> None:
    with mounted(tmp_path / "disk") as disk:
        store = Path(shutil.copytree(filled, disk / "store"))
        if killed:
            with killed_writer(store):
                pass
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        before = listing(store)
        assert ("E001: disqualified" in ranking(store)) == killed
        found = verify_store(store)
        assert found.entries > 0
        assert len(found.problems) == killed, "the ranking was not written after the disqualification"
        with pytest.raises(SetupError, match="can't be"), Ledger(store) as ledger:
            ledger.history.disqualify("E002", reason="no way")
        assert listing(store) == before


def test_a_store_of_another_user(filled: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    code = (
        "import os, sys; from pathlib import Path\n"
        "from harness.ledger.ledger import Ledger; from harness.protocol.errors import SetupError\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "print(len(Ledger(Path(sys.argv[1]), read_only=True).entries()))\n"
        "try: Ledger(Path(sys.argv[1])).head()\n"
        "except SetupError as error: print(error.message)\n"
    )
    for one in [filled, *filled.parents][:5]:
        one.chmod(one.stat().st_mode | 0o055)
    before = listing(filled)
    done = subprocess.run(
        [sys.executable, "-c", code, filled], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    count, sentence = done.stdout.splitlines()
    assert count == "5"
    assert "can't be" in sentence
    assert "readonly" in sentence or "unable to open" in sentence
    assert listing(filled) == before


def test_a_copy_is_restarted_if_another_process_writes_meanwhile(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.ledger import snapshot

    tried = []
    real = snapshot._copy

    def copy(path: Path) -> sqlite3.Connection:
        tried.append(path)
        made = real(path)
        if len(tried) < 3:
            with Ledger(filled) as writer:
                writer.history.disqualify("E001", reason=f"attempt {len(tried)}")
        return made

    monkeypatch.setattr(snapshot, "_copy", copy)
    with Ledger(filled, read_only=True) as ledger:
        assert ledger.history.disqualified()["E001"].reason == "attempt 2"
    assert len(tried) == 3


def test_an_unfinished_ledger_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"")
    with pytest.raises(SetupError, match="There is no ledger"):
        Ledger(tmp_path, read_only=True)
    database = sqlite3.connect(tmp_path / "ledger.sqlite")
    database.execute("PRAGMA journal_mode = WAL")
    database.close()
    with pytest.raises(SetupError, match="There is no ledger"):
        Ledger(tmp_path, read_only=True)
    with Ledger(tmp_path) as ledger:
        assert ledger.entries() == []
