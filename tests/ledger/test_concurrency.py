"""Several processes on one store, killed at any moment: one chain, whole rows, never an old ranking over a new."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness.ledger.database import AbsentError
from harness.ledger.entities import Entry, Key, Roster, Scorer, StoredExample
from harness.ledger.ledger import Ledger
from harness.provenance import verify_store
from harness.ranking import store as ranking_store
from harness.ranking.files import write_atomically
from harness.ranking.render import markdown
from harness.ranking.store import RANKING_FILE, write_ranking
from harness.ranking.tables import make_tables
from tests.values import values

ROOT = Path(__file__).resolve().parents[2]
SCORER = Scorer("d" * 64, "fast", True)
ROSTER = Roster("c" * 64, "test", tuple(f"song {n}" for n in range(20)), ("L1", "L2"))

WRITER = """
import sys
from pathlib import Path
from harness.ledger.entities import *
from harness.ledger.ledger import Ledger
from harness.ledger.states import Case, State
from harness.ranking.store import write_ranking
from tests.values import values
store, team, digit = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
roster = Roster("c" * 64, "test", tuple(f"song {n}" for n in range(20)), ("L1", "L2"))
key = Key(digit * 64, roster.digest, Scorer("d" * 64, "fast", True))
case = Case(team, key.submission, key.challenge)
with Ledger(store) as ledger:
    ledger.add_roster(roster)
    ledger.enter(Entry(team, key, "s.zip", 1, "scored"))
    held = ledger.leases.claim(key, team=team, runner=team, done=0, total=40, is_dead=lambda lease: True)
    ledger.history.move(case, State.RECEIVED)
    ledger.history.move(case, State.SCORING, scorer=key.scorer)
    for number, (song, listener) in enumerate(roster.examples):
        if (song, listener) not in ledger.examples(key):
            ledger.store_failure(key, Failure(song, listener, "memory", "", "not yet", ""))
            ledger.store(key, StoredExample(song, listener, values(0.5)), run=None)
        if number % 10 == 5:
            ledger.leases.beat(key, runner=team, done=number)
            write_ranking(ledger, store)
    ledger.store_audit(key, AuditRecord("song 0", "L1", "left_bass", 0.5, 0.5))
    ledger.history.move(case, State.SCORED, scorer=key.scorer)
    ledger.leases.release(key, runner=team)
    write_ranking(ledger, store)
"""


def writer(store: Path, team: str, digit: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, store, team, digit],
        env={"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_that_start_together_on_a_new_store_write_one_chain(tmp_path: Path) -> None:
    store = tmp_path / "store"
    children = [writer(store, f"E00{n}", str(n)) for n in range(4)]
    for child in children:
        _, log = child.communicate(timeout=300)
        assert child.returncode == 0, log
    found = verify_store(store)
    assert found.problems == []
    assert found.examples == 4 * 40
    assert (store / RANKING_FILE).read_text().count("| 1 ") == 4
    assert {one.name for one in store.iterdir()} == {"ledger.sqlite", RANKING_FILE}


def test_a_writer_killed_at_any_moment_leaves_a_valid_store(tmp_path: Path) -> None:
    generator = random.Random(8)
    store = tmp_path / "store"
    for _ in range(12):
        child = writer(store, "E001", "1")
        start = time.monotonic()
        while not (store / "ledger.sqlite").exists() and time.monotonic() - start < 60:
            time.sleep(0.005)
        time.sleep(generator.uniform(0.0, 0.25))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        try:
            found = verify_store(store)
        except AbsentError:  # killed before the ledger was made
            continue
        assert [one for one in found.problems if RANKING_FILE not in one] == []
    child = writer(store, "E001", "1")
    _, log = child.communicate(timeout=300)
    assert child.returncode == 0, log
    found = verify_store(store)
    assert found.problems == []
    assert found.examples == 40
    assert {one.name for one in store.iterdir()} == {"ledger.sqlite", RANKING_FILE}


def enter(ledger: Ledger, team: str, value: float) -> None:
    key = Key(f"{team}-{value}", ROSTER.digest, SCORER)
    ledger.report(
        Entry(team, key, "s.zip", 1, "scored"),
        ROSTER,
        [StoredExample(*example, values(value)) for example in ROSTER.examples],
    )


def test_an_older_ranking_never_replaces_a_newer_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread is held up between making its ranking and writing it, while another enters and writes."""
    made, go_on = threading.Event(), threading.Event()
    real = write_atomically

    def slow(path: Path, content: str | bytes) -> None:
        if threading.current_thread().name == "slow":
            made.set()
            go_on.wait(60)
        real(path, content)

    monkeypatch.setattr(ranking_store, "write_atomically", slow)

    def first() -> None:
        with Ledger(tmp_path) as ledger:
            enter(ledger, "E001", 0.1)
            write_ranking(ledger, tmp_path)

    def second() -> None:
        with Ledger(tmp_path) as ledger:
            enter(ledger, "E002", 0.2)
            write_ranking(ledger, tmp_path)

    one, other = threading.Thread(target=first, name="slow"), threading.Thread(target=second, name="quick")
    one.start()
    assert made.wait(60)
    other.start()
    other.join(0.5)
    go_on.set()
    one.join(60)
    other.join(60)
    with Ledger(tmp_path, read_only=True) as ledger:
        assert (tmp_path / RANKING_FILE).read_text() == markdown(make_tables(ledger))
    assert "E002" in (tmp_path / RANKING_FILE).read_text()


def test_a_ranking_that_is_up_to_date_is_not_touched(filled: Path) -> None:
    path = filled / RANKING_FILE
    before = path.stat()
    with Ledger(filled) as ledger:
        write_ranking(ledger, filled)
        assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        ledger.history.disqualify("E001", reason="now it is out of date")
        write_ranking(ledger, filled)
    assert path.stat().st_ino != before.st_ino


def test_leftovers_of_a_killed_process_are_removed(filled: Path) -> None:
    (filled / f".{RANKING_FILE}.abcd1234").write_text("half a ran")
    with Ledger(filled) as ledger:
        write_ranking(ledger, filled)
    assert {one.name for one in filled.iterdir()} == {"ledger.sqlite", RANKING_FILE}


def test_threads_share_a_ledger(tmp_path: Path) -> None:
    key = Key("5" * 64, ROSTER.digest, SCORER)
    errors: list[BaseException] = []

    def work(part: int) -> None:
        try:
            for song, listener in ROSTER.examples[part::4]:
                ledger.store(key, StoredExample(song, listener, values(0.5)), run=None)
                ledger.examples(key)
                with ledger.snapshot():
                    ledger.entries()
        except BaseException as error:
            errors.append(error)

    with Ledger(tmp_path) as ledger:
        ledger.add_roster(ROSTER)
        threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert len(ledger.examples(key)) == 40
    assert verify_store(tmp_path).problems == []
