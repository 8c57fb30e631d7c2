"""Twenty submissions: from a folder by one command that is killed twice, and watched as they arrive."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.baselines.synthetic import make_challenge
from harness.enhance import enhance
from harness.ranking.store import read_tables
from validator import Challenge

FAKE = [sys.executable, "-m", "tests.score.fake_command"]
REAL = [sys.executable, "-c", "from harness.cli.app import main; main()"]

SANDBOXES = [
    pytest.param((FAKE, []), id="fake"),
    pytest.param((REAL, ["--sandbox", "process", "--audit", "0"]), id="process", marks=pytest.mark.slow),
]
Sandbox = tuple[list[str], list[str]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root of one short song and one listener."""
    folder = tmp_path_factory.mktemp("twenty") / "root"
    return make_challenge(folder, seconds=2.0, scored_seconds=0.5, songs=1, listeners=1)


@pytest.fixture(scope="module")
def twenty(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Twenty submissions by file name, in the order in which they arrive.

    Sixteen teams have a valid one, the first of them also a second; two are invalid, and one has a FLAC file with a
    perfect header and garbage behind it.
    """
    folder = tmp_path_factory.mktemp("base")
    base = enhance(Challenge.load(root, split="test"), separator="oracle", output=folder, team="X")
    with zipfile.ZipFile(base) as source:
        members = {name: source.read(name) for name in source.namelist()}
    bass = next(name for name in members if name.endswith("left_bass.flac"))
    scale = bass.replace(".flac", ".txt")

    def packed(changed: Mapping[str, bytes]) -> bytes:
        path = folder / "packed.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
            for name, data in {**members, **changed}.items():
                target.writestr(name, data)
        return path.read_bytes()

    made = {f"submission_E{n:02}.zip": packed({scale: str(n / 20).encode()}) for n in range(1, 17)}
    forged = members[bass][:200] + os.urandom(len(members[bass]) - 200)
    made["submission_hostile.zip"] = packed({bass: forged})
    made["submission_bomb.zip"] = packed({bass: bytes(50_000_000)})
    made["submission_text.zip"] = packed({scale: b"nan"})
    made["submission_E01.2.zip"] = packed({scale: b"1.5"})
    assert len(made) == 20
    return made


def stored(store: Path) -> int:
    """How many examples a store holds."""
    path = store / "ledger.sqlite"
    if not path.is_file():
        return 0
    database = sqlite3.connect(path, timeout=10)
    try:
        return int(database.execute("SELECT count(*) FROM examples").fetchone()[0])
    except sqlite3.OperationalError:  # the tables do not exist yet
        return 0
    finally:
        database.close()


def started(command: list[str], *arguments: str | Path, delay: float) -> subprocess.Popen[str]:
    environment = os.environ | {"COLUMNS": "80", "NO_COLOR": "1", "FAKE_DELAY": str(delay)}
    line = [*command, *map(str, arguments)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def run_until(child: subprocess.Popen[str], store: Path, *, examples: int) -> None:
    """Waits until the store holds so many examples; the command must not end before."""
    end = time.monotonic() + 300
    while stored(store) < examples:
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def standings(store: Path) -> list[tuple[str, str, float]]:
    """Team, submission and average of each ranked team, the best first."""
    return [(row.team, row.submission, row.average) for table in read_tables(store) for row in table.rows]


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_twenty_submissions_in_a_folder_and_a_command_that_is_killed_twice(
    sandbox: Sandbox, twenty: dict[str, bytes], root: Path, tmp_path: Path
) -> None:
    command, options = sandbox
    inbox, store = tmp_path / "inbox", tmp_path / "store"
    inbox.mkdir()
    for age, (name, data) in enumerate(twenty.items()):
        (inbox / name).write_bytes(data)
        os.utime(inbox / name, (age, age))
    line: tuple[str | Path, ...]
    line = ("score", inbox, "--data", root, "--split", "test", "--store", store, *options)
    for examples in (4, 11):
        child = started(command, *line, delay=0.05)
        run_until(child, store, examples=examples)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert stored(store) < 17
    child = started(command, *line, delay=0.0)
    out, err = child.communicate(timeout=300)
    assert child.returncode == 1, err
    assert "20 submissions: 3 invalid, 17 scored." in out
    assert "Traceback" not in err
    assert stored(store) == 17, "an example was scored twice or not at all"

    # the same as they arrive, slowly, with one restart by the service manager
    arriving, watched = tmp_path / "arriving", tmp_path / "watched"
    arriving.mkdir()
    thread = threading.Thread(target=deliver, args=(twenty, arriving))
    thread.start()
    line = (
        "watch",
        arriving,
        "--data",
        root,
        "--split",
        "test",
        "--store",
        watched,
        "--rest",
        "0.5",
        *options,
    )
    child = started(command, *line, delay=0.02)
    run_until(child, watched, examples=5)
    child.send_signal(signal.SIGTERM)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    assert err.rstrip().endswith("started again, the same command continues.")
    child = started(command, *line, delay=0.0)
    thread.join()
    reports = watched / "reports"
    end = time.monotonic() + 300
    while len(list(reports.glob("*.txt"))) < 20:
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < end
        time.sleep(0.1)
    child.send_signal(signal.SIGTERM)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    assert "Traceback" not in err
    assert standings(watched) == standings(store)
    assert [team for team, _, _ in standings(store)].count("E01") == 1
    assert len(standings(store)) == 16
    hostile = next(reports.glob("hostile-*.txt")).read_text()
    assert "State: invalid" in hostile
    assert "left_bass.flac" in hostile


def deliver(submissions: Mapping[str, bytes], folder: Path) -> None:
    """Writes each submission in three parts with pauses between them."""
    for name, data in submissions.items():
        with (folder / name).open("wb") as stream:
            for part in range(3):
                stream.write(data[part * len(data) // 3 : (part + 1) * len(data) // 3])
                stream.flush()
                time.sleep(0.03)
