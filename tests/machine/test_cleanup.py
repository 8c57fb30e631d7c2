"""`cad1 clean`: leftovers of dead runs are removed, and whatever a live run uses is kept."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from harness.ledger.entities import Key, Roster, Scorer
from harness.ledger.ledger import Ledger
from harness.ledger.states import Case, State
from harness.machine import cleanup
from harness.machine.cleanup import clean
from harness.protocol.errors import SetupError
from harness.protocol.lock import Lock
from harness.sandbox.local import environment
from harness.sandbox.stamp import RUN_ENV, own_stamp, temporary_folder
from harness.score.dead_runs import ABANDONED_SECONDS, dead_leases
from harness.score.heartbeat import is_dead, runner

ROSTER = Roster("c" * 64, "test", ("Song A",), ("L1",))
SCORER = Scorer("d" * 64, "fast", locked=True)
DEAD_RUNNER = f"{runner().partition(' ')[0]} 99999999@1"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder and processes of this test alone, and no Docker engine."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(psutil, "process_iter", lambda *_: iter(psutil.Process().children(recursive=True)))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The run of E001 is dead, that of E002 is alive."""
    folder = tmp_path / "store"
    with Ledger(folder) as ledger:
        ledger.add_roster(ROSTER)
        for team, digit, holder in (("E001", "1", DEAD_RUNNER), ("E002", "2", runner())):
            key = Key(digit * 64, ROSTER.digest, SCORER)
            ledger.leases.claim(key, team=team, runner=holder, done=0, total=1, is_dead=is_dead)
            case = Case(team, key.submission, ROSTER.digest)
            ledger.history.move(case, State.RECEIVED)
            ledger.history.move(case, State.SCORING, scorer=SCORER)
    return folder


def test_the_lease_of_a_dead_run_is_released_and_its_submission_has_failed(store: Path) -> None:
    assert [lease.team for lease in dead_leases(store)] == ["E001"]
    assert f"released E001 from dead run {DEAD_RUNNER}; score it again to continue" in clean(store)
    assert dead_leases(store) == []
    with Ledger(store, read_only=True) as ledger:
        assert [lease.team for lease in ledger.leases.all()] == ["E002"], "the lease of a live run is kept"
        (dead,), (live,) = ledger.history.latest(team="E001"), ledger.history.latest(team="E002")
    assert (dead.state, dead.fault) == (State.FAILED, "setup")
    assert live.state is State.SCORING
    assert clean(store) == ["Nothing to remove."]


def test_only_old_partially_written_files_are_removed(store: Path) -> None:
    old, new = store / ".ranking.md.old", store / ".ranking.md.new"
    for path in (old, new):
        path.write_text("x")
    past = time.time() - ABANDONED_SECONDS - 1
    os.utime(old, (past, past))
    assert f"removed partially written {old}" in clean(store)
    assert not old.exists()
    assert new.exists()


def test_only_temporary_folders_of_dead_runs_are_removed(tmp_path: Path, temporary: Path) -> None:
    dead = temporary / "cad1-job-99999999@1-abc"
    dead.mkdir()
    with temporary_folder("job") as live:
        assert f"removed folder {dead} of run 99999999@1" in clean(tmp_path / "store")
        assert not dead.exists()
        assert live.exists()


def test_only_processes_of_dead_runs_are_ended(tmp_path: Path) -> None:
    dead, live = (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={RUN_ENV: stamp})
        for stamp in ("99999999@1", own_stamp())
    )
    try:
        assert f"removed process {dead.pid} of run 99999999@1" in clean(tmp_path / "store")
        assert dead.poll() is not None, "it is still running"
        assert live.poll() is None
    finally:
        for process in (dead, live):
            process.kill()
            process.communicate()


def test_a_folder_without_a_ledger_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    mine = folder / ".diary.md.2023"
    mine.write_text("x")
    os.utime(mine, (1, 1))
    assert clean(folder) == ["Nothing to remove."]
    assert list(folder.iterdir()) == [mine]
    assert clean(tmp_path / "none") == ["Nothing to remove."]
    assert not (tmp_path / "none").exists()


def test_environments_of_other_locks_are_removed_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setattr(environment, "cache_folder", lambda: cache)
    current = {environment.environment_folder(Lock.load(), program) for program in environment.PROGRAMS}
    assert len(current) == 2
    other = cache / "scorer-0123456789abcdef-decoder"
    for folder in (*current, other):
        folder.mkdir(parents=True)
    monkeypatch.setattr(cleanup, "cache_folder", lambda: cache)
    assert clean(tmp_path / "store") == ["Nothing to remove."]
    assert other.exists()
    lines = clean(tmp_path / "store", images=True)
    assert f"removed environment {other}" in lines
    assert any(line.startswith("could not list the engine's images") for line in lines)
    assert set(cache.iterdir()) == current


def test_a_damaged_ledger_is_a_setup_error(store: Path) -> None:
    (store / "ledger.sqlite").write_bytes(b"no ledger" * 1000)
    with pytest.raises(SetupError):
        clean(store)
