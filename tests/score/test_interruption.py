"""A run that is killed and run again continues, scores nothing twice and gives the same result."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import psutil
import pytest

Cad1 = Callable[..., subprocess.CompletedProcess[str]]


def stored(store: Path) -> list[tuple[str, str, str]]:
    """The stored examples and when each was stored."""
    path = store / "ledger.sqlite"
    if not path.is_file():
        return []
    database = sqlite3.connect(path, timeout=10)
    try:
        return database.execute("SELECT song, listener, stored FROM examples ORDER BY stored").fetchall()
    except sqlite3.OperationalError:  # the tables do not exist yet
        return []
    finally:
        database.close()


def command(zipped: Path, root: Path, store: Path, sandbox: str) -> list[str]:
    return [
        *(sys.executable, "-c", "from harness.cli.app import main; main()"),
        *("score", str(zipped), "--data", str(root), "--split", "test", "--team", "E001"),
        *("--store", str(store), "--sandbox", sandbox, "--audit", "0"),
    ]


@pytest.fixture(scope="module")
def uninterrupted(
    oracle_zip: Path, synthetic_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """A function of a sandbox that gives the scores.csv of an uninterrupted run in it."""
    folder = tmp_path_factory.mktemp("uninterrupted")

    @cache
    def scores(sandbox: str) -> str:
        line = command(oracle_zip, synthetic_root, folder / sandbox, sandbox)
        subprocess.run(line, check=True, capture_output=True)
        line = [*line[:3], "scores", "E001", "--store", str(folder / sandbox)]
        return subprocess.run(line, check=True, capture_output=True, text=True).stdout

    return scores


DOCKER = [pytest.mark.docker]


@pytest.mark.parametrize(
    ("sandbox", "signal_"),
    [
        pytest.param("docker", signal.SIGKILL, marks=[*DOCKER, pytest.mark.slow]),
        pytest.param("docker", signal.SIGTERM, marks=[*DOCKER, pytest.mark.slow]),
        pytest.param("docker", signal.SIGINT, marks=[*DOCKER, pytest.mark.slow]),
        ("process", signal.SIGKILL),
        pytest.param("process", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("process", signal.SIGINT, marks=pytest.mark.slow),
        pytest.param("bubblewrap", signal.SIGKILL, marks=pytest.mark.slow),
        pytest.param("bubblewrap", signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_continues(
    request: pytest.FixtureRequest,
    cad1: Cad1,
    uninterrupted: Callable[[str], str],
    oracle_zip: Path,
    synthetic_root: Path,
    tmp_path: Path,
    sandbox: str,
    signal_: signal.Signals,
) -> None:
    if sandbox == "docker":
        request.getfixturevalue("image")
    if sandbox == "bubblewrap" and shutil.which("bwrap") is None:
        pytest.skip("no bubblewrap on this machine")
    store = tmp_path / "store"
    line = command(oracle_zip, synthetic_root, store, sandbox)
    # Whoever starts pytest in the background has SIGINT ignored, which children inherit.
    child = subprocess.Popen(
        line,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    end = time.monotonic() + 300
    while not stored(store):
        assert child.poll() is None, child.stderr.read() if child.stderr else ""
        assert time.monotonic() < end, "no example was stored in five minutes"
        time.sleep(0.02)
    children = psutil.Process(child.pid).children(recursive=True)
    child.send_signal(signal_)
    _, log = child.communicate(timeout=60)
    assert child.returncode == (-9 if signal_ == signal.SIGKILL else 130)
    assert "Traceback" not in log
    before = stored(store)
    assert 1 <= len(before) < 4
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive, "the evaluator outlived the command"

    again = cad1(*line[3:])
    assert again.returncode == 0, again.stderr
    after = stored(store)
    assert after[: len(before)] == before, "an example was scored twice"
    assert len(after) == 4
    result = cad1("scores", "E001", "--store", store).stdout
    assert result == uninterrupted(sandbox)
    assert len(result.splitlines()) == 5


def test_a_second_run_changes_nothing_and_leaves_no_temporary_file(
    cad1: Cad1, oracle_zip: Path, synthetic_root: Path, tmp_path: Path
) -> None:
    line = command(oracle_zip, synthetic_root, tmp_path, "process")[3:]
    assert cad1(*line).returncode == 0
    before, ranking = stored(tmp_path), (tmp_path / "ranking.md").read_bytes()
    reports = {one.name: one.read_bytes() for one in (tmp_path / "findings").iterdir()}
    assert len(reports) == 2
    again = cad1(*line)
    assert again.returncode == 0
    assert "0 examples scored now, 4 of 4 stored" in again.stderr
    assert stored(tmp_path) == before
    assert (tmp_path / "ranking.md").read_bytes() == ranking
    names = {one.name.removesuffix("-wal").removesuffix("-shm") for one in tmp_path.iterdir()}
    assert names == {"ledger.sqlite", "ranking.md", "findings"}, "a temporary file remains"
    assert {one.name: one.read_bytes() for one in (tmp_path / "findings").iterdir()} == reports
