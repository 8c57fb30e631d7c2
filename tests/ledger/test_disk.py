"""A disk that fills up, a store that disappears: the error is explained, stored scores stay, scoring continues."""

from __future__ import annotations

import errno
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.ledger.entities import Entry, Key, Roster, Scorer, StoredExample
from harness.ledger.ledger import Ledger
from harness.protocol.errors import SetupError
from harness.provenance import verify_store
from harness.ranking.store import RANKING_FILE, write_ranking
from tests.values import values

SCORER = Scorer("d" * 64, "fast", True)
ROSTER = Roster("c" * 64, "test", tuple(f"song {n}" for n in range(60)), tuple(f"L{n}" for n in range(50)))
KEY = Key("5" * 64, ROSTER.digest, SCORER)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def filled_up(disk: Path) -> Iterator[None]:
    """No byte is free."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        try:
            while stream.write(b"x" * 4096):
                pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
    try:
        yield
    finally:
        ballast.unlink()


def example(number: int) -> StoredExample:
    return StoredExample(*ROSTER.examples[number], values(0.5))


def begin(ledger: Ledger) -> None:
    ledger.add_roster(ROSTER)
    ledger.enter(Entry("E001", KEY, "s.zip", 1, "scored"))


def test_a_disk_that_fills_up_during_a_run(disk: Path) -> None:
    store = disk / "store"
    with Ledger(store) as ledger:
        begin(ledger)
        stored = 0
        with pytest.raises(SetupError, match="full") as caught:  # noqa: PT012  (which one fails is unknown)
            for number in range(len(ROSTER.examples)):
                assert ledger.store(KEY, example(number), run=None)
                stored += 1
        assert stored > 20
        assert "can't be written" in caught.value.message
        assert "continues from there" in caught.value.hint
        assert len(ledger.examples(KEY)) == stored
        with pytest.raises(SetupError, match="can't be written"):
            ledger.store(KEY, example(stored), run=None)
    assert [one for one in verify_store(store).problems if RANKING_FILE not in one] == []
    larger = Path(shutil.copytree(store, disk.parent / "larger"))
    with Ledger(larger) as ledger:
        assert len(ledger.examples(KEY)) == stored
        assert ledger.store(KEY, example(stored), run=None)
        write_ranking(ledger, larger)
    assert verify_store(larger).problems == []


def test_a_full_disk_that_gets_space_again(disk: Path) -> None:
    store = disk / "store"
    with Ledger(store) as ledger:
        begin(ledger)
        assert ledger.store(KEY, example(0), run=None)
        write_ranking(ledger, store)
        before = (store / RANKING_FILE).read_text()
        assert ledger.store(KEY, example(1), run=None)
        with filled_up(disk):
            failed = 0
            for number in range(2, 12):
                try:
                    ledger.store(KEY, example(number), run=None)
                except SetupError:
                    failed += 1
            assert failed, "a full disk takes no more than what its last page holds"
            count = len(ledger.examples(KEY))
            ledger.examples(KEY)
            with pytest.raises(SetupError, match=r"ranking\.md can't be written"):
                write_ranking(ledger, store)
            assert (store / RANKING_FILE).read_text() == before
        assert len(ledger.examples(KEY)) == count == 12 - failed
        for number in range(12):
            ledger.store(KEY, example(number), run=None)
        assert len(ledger.examples(KEY)) == 12
        write_ranking(ledger, store)
    assert verify_store(store).problems == []
    assert sorted(one.name for one in store.iterdir()) == ["ledger.sqlite", RANKING_FILE]


def test_no_room_to_begin_with(disk: Path) -> None:
    store = disk / "store"
    store.mkdir()
    with filled_up(disk), pytest.raises(SetupError, match="can't be opened"):
        Ledger(store)
    with Ledger(store) as ledger:
        begin(ledger)
    assert verify_store(store).problems == []


def test_no_space_for_sqlites_files_next_to_a_ledger(disk: Path) -> None:
    store = disk / "store"
    with Ledger(store) as ledger:
        begin(ledger)
    with filled_up(disk):
        with Ledger(store, read_only=True) as ledger:
            assert len(ledger.entries()) == 1
        with pytest.raises(SetupError, match="can't be"), Ledger(store) as ledger:  # noqa: PT012
            for number in range(40):
                ledger.store(KEY, example(number), run=None)
    with Ledger(store) as ledger:
        begin(ledger)
        write_ranking(ledger, store)
    assert verify_store(store).problems == []


def test_a_store_that_disappears_during_a_run(filled: Path) -> None:
    with Ledger(filled) as ledger:
        shutil.rmtree(filled)
        with pytest.raises(SetupError, match="can't be written"):
            ledger.history.disqualify("E001", reason="nowhere")
        with pytest.raises(SetupError):
            write_ranking(ledger, filled)
    assert not filled.exists()


def test_a_ledger_that_is_replaced_during_a_run(filled: Path, tmp_path: Path) -> None:
    with Ledger(filled) as ledger:
        shutil.copy(filled / "ledger.sqlite", tmp_path / "copy")
        (tmp_path / "copy").replace(filled / "ledger.sqlite")
        with pytest.raises(SetupError, match="moved or replaced"):
            ledger.history.disqualify("E001", reason="another file")


def test_a_folder_in_place_of_the_ranking(filled: Path) -> None:
    (filled / RANKING_FILE).unlink()
    (filled / RANKING_FILE).mkdir()
    with Ledger(filled) as ledger, pytest.raises(SetupError, match=r"ranking\.md can't be written"):
        write_ranking(ledger, filled)
