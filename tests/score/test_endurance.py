"""No scores are lost when runs are killed or concurrent, the disk is full or read-only, or the engine stops.

`CAD1_KILLS` is the number of times that scoring is killed (200 for a thorough test, a few by default), and
`CAD1_KILL_SANDBOX` the sandbox.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from harness.ledger.ledger import Ledger
from harness.ledger.states import State
from harness.protocol.errors import SetupError
from harness.provenance.verification import verify_store
from harness.sandbox.docker.container import LABEL
from harness.sandbox.docker.engine import connect
from harness.sandbox.stamp import RUN_ENV, is_alive
from harness.score import shards

Cad1 = Callable[..., subprocess.CompletedProcess[str]]
Line = Callable[..., list[str]]

SLOW = pytest.mark.slow
KILLS = [int(os.environ["CAD1_KILLS"])] if "CAD1_KILLS" in os.environ else [pytest.param(10, marks=SLOW)]
SANDBOX = os.environ.get("CAD1_KILL_SANDBOX", "process")


@pytest.fixture
def line(oracle_zip: Path, synthetic_root: Path) -> Line:
    """The arguments that score the small submission into a store."""

    def make(store: Path, sandbox: str = SANDBOX) -> list[str]:
        return [
            *("score", str(oracle_zip), "--data", str(synthetic_root), "--split", "test", "--team", "E001"),
            *("--store", str(store), "--sandbox", sandbox, "--audit", "0"),
        ]

    return make


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder for this test alone, so that leftovers can be counted."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def start(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-c", "from harness.cli.app import main; main()", *arguments],
            stdout=stream,
            stderr=stream,
            env=os.environ | {"NO_COLOR": "1"},
        )


def scored(store: Path) -> Counter[str]:
    """How often each example was scored, from the ledger's log."""
    with Ledger(store, read_only=True) as ledger:
        rows = [row for entry in ledger.log() if entry.kind == "scored" for row in json.loads(entry.rows)]
    return Counter(json.dumps(row["row"]) for row in rows if row["table"] == "examples")


def orphans(runs: set[int]) -> list[psutil.Process]:
    """The processes of dead runs, given by their process numbers."""
    found = []
    for process in psutil.process_iter(["environ"]):
        stamp = (process.info["environ"] or {}).get(RUN_ENV, "")
        if stamp and not is_alive(stamp) and int(stamp.partition("@")[0]) in runs:
            found.append(process)
    return found


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("number", KILLS)
def test_runs_killed_at_random_moments_lose_nothing(
    request: pytest.FixtureRequest, cad1: Cad1, line: Line, tmp_path: Path, temporary: Path, number: int
) -> None:
    """Kills runs at random moments of the duration of an undisturbed run, `number` times in all."""
    if SANDBOX == "docker":
        request.getfixturevalue("image")
    before = time.monotonic()
    assert cad1(*line(tmp_path / "undisturbed")).returncode == 0
    before, length = time.monotonic(), time.monotonic() - before
    assert cad1(*line(tmp_path / "undisturbed2")).returncode == 0
    length = min(length, time.monotonic() - before)  # the first may have created an environment
    expected = cad1("scores", "E001", "--store", tmp_path / "undisturbed").stdout
    generator = random.Random(0)
    kills = finished = stores = 0
    runs: set[int] = set()
    while kills < number:
        stores += 1
        store, log = tmp_path / f"store{stores}", tmp_path / "log"
        for _ in range(8):  # then it is allowed to finish
            child = start(line(store), log)
            runs.add(child.pid)
            try:
                code = child.wait(timeout=generator.uniform(0.0, length))
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                code = child.wait()
            kills += code == -signal.SIGKILL
            assert code in {0, -signal.SIGKILL}, log.read_text()
            if code == 0 or kills >= number:
                break
        last = cad1(*line(store))
        assert last.returncode == 0, last.stderr
        finished += 1
        assert cad1("scores", "E001", "--store", store).stdout == expected
        assert verify_store(store).problems == []
        counts = scored(store)
        assert len(counts) == 4
        assert set(counts.values()) == {1}
        with Ledger(store, read_only=True) as ledger:
            assert ledger.leases.all() == []
            (step,) = ledger.history.latest()
        assert step.state is State.SCORED
        assert {one.name.removesuffix("-wal").removesuffix("-shm") for one in store.iterdir()} <= {
            "ledger.sqlite",
            "ranking.md",
            "findings",
            "ranking.lock",
        }
        assert list(temporary.iterdir()) == []
        assert psutil.wait_procs(orphans(runs), timeout=20)[1] == []
        if SANDBOX == "docker":
            found = connect().containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
            assert [one.short_id for one in found if not is_alive(one.labels[LABEL])] == []
    assert finished == stores
    print(f"{kills} kills over {stores} stores, each scored to its end")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("times", [pytest.param(5, marks=SLOW)])
def test_two_runs_at_once_score_once(
    cad1: Cad1, line: Line, tmp_path: Path, temporary: Path, times: int
) -> None:
    """Both succeed with the same scores, and nothing is scored twice."""
    assert cad1(*line(tmp_path / "alone")).returncode == 0
    expected = cad1("scores", "E001", "--store", tmp_path / "alone").stdout
    for turn in range(times):
        store = tmp_path / f"store{turn}"
        logs = [tmp_path / f"log{turn}{number}" for number in range(2)]
        children = [start(line(store), log) for log in logs]
        assert [child.wait(timeout=300) for child in children] == [0, 0], [log.read_text() for log in logs]
        assert cad1("scores", "E001", "--store", store).stdout == expected
        assert set(scored(store).values()) == {1}
        assert len(scored(store)) == 4
        assert verify_store(store).problems == []
        assert sum("waiting for it to finish" in log.read_text() for log in logs) <= 1
        assert list(temporary.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(disk: Path, *, leave: int) -> Path:
    """Fills a disk, except for `leave` bytes."""
    path = disk / "filler"
    free = shutil.disk_usage(disk).free
    path.write_bytes(bytes(max(0, free - leave)))
    return path


@pytest.mark.parametrize(
    "leave", [0, pytest.param(64, marks=SLOW), pytest.param(256, marks=SLOW), pytest.param(384, marks=SLOW)]
)
def test_a_full_disk_loses_nothing(
    cad1: Cad1, line: Line, small_disk: Path, tmp_path: Path, leave: int
) -> None:
    """With `leave` KiB free; the more, the later in the run the disk is full."""
    store = small_disk / "store"
    filler = fill(small_disk, leave=leave * 1024)
    full = cad1(*line(store))
    assert full.returncode in {0, 3}, full.stderr
    assert "Traceback" not in full.stderr
    if leave <= 64:
        assert full.returncode == 3
        assert "disk is not full" in full.stderr
    filler.unlink()
    again = cad1(*line(store))
    assert again.returncode == 0, again.stderr
    assert verify_store(store).problems == []
    assert set(scored(store).values()) == {1}
    assert len(scored(store)) == 4
    assert not [one for one in store.iterdir() if one.name.startswith(".ranking")]


def test_a_disk_that_fills_during_a_run_loses_nothing(cad1: Cad1, line: Line, small_disk: Path) -> None:
    store = small_disk / "store"
    log = small_disk.parent / "log"
    child = start(line(store), log)
    end = time.monotonic() + 300
    while not (store / "ledger.sqlite").exists() or not _stored(store):
        assert child.poll() is None, log.read_text()
        assert time.monotonic() < end
        time.sleep(0.01)
    fill(small_disk, leave=0)
    code = child.wait(timeout=300)
    assert code in {0, 3}, log.read_text()  # the space in the log file may have been enough
    assert "Traceback" not in log.read_text()
    (small_disk / "filler").unlink()
    assert cad1(*line(store)).returncode == 0
    assert verify_store(store).problems == []
    assert len(scored(store)) == 4


def _stored(store: Path) -> int:
    try:
        with Ledger(store, read_only=True) as ledger:
            return sum(len(ledger.examples(entry.key)) for entry in ledger.entries())
    except SetupError:  # it does not exist yet
        return 0


@SLOW
def test_a_store_that_becomes_read_only(cad1: Cad1, line: Line, small_disk: Path) -> None:
    store = small_disk / "store"
    song = sorted({example[0] for example in _examples(line(store))})[0]
    assert cad1(*line(store), "--song", song).returncode == 0
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    refused = cad1(*line(store))
    assert refused.returncode == 3
    assert "Traceback" not in refused.stderr
    assert "can't be" in refused.stderr
    for reading in (("ranking",), ("status",), ("scores", "E001"), ("verify",)):
        read = cad1(*reading, "--store", store)
        assert read.returncode == 0, read.stderr
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    assert cad1(*line(store)).returncode == 0
    assert verify_store(store).problems == []
    assert len(scored(store)) == 4


def _examples(arguments: list[str]) -> list[tuple[str, str]]:
    from validator import Challenge

    return list(Challenge.load(Path(arguments[arguments.index("--data") + 1]), split="test").examples)


@pytest.fixture
def own_engine(tmp_path: Path, image: str) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """A function that starts an engine for this test alone, with the evaluator image, so that it can be stopped."""
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        pytest.skip("starting an engine needs root and dockerd")
    place = Path("/var/tmp") / f"cad1-engine-{os.getpid()}"
    address = f"unix://{place}/engine.sock"
    started: list[subprocess.Popen[bytes]] = []

    def start_engine() -> subprocess.Popen[bytes]:
        place.mkdir(exist_ok=True)
        (place / "pid").unlink(missing_ok=True)
        with (place / "log").open("ab") as log:
            child = subprocess.Popen(
                [
                    *(
                        "dockerd",
                        "--host",
                        address,
                        "--data-root",
                        place / "data",
                        "--exec-root",
                        place / "exec",
                    ),
                    *("--pidfile", place / "pid", "--bridge=none", "--iptables=false", "--ip6tables=false"),
                ],
                stdout=log,
                stderr=log,
            )
        started.append(child)
        for _ in range(120):
            if (
                subprocess.run(
                    ["docker", "-H", address, "version"], capture_output=True, check=False
                ).returncode
                == 0
            ):
                return child
            time.sleep(0.5)
        pytest.fail((place / "log").read_text()[-2000:])

    start_engine()
    saved = subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE)
    subprocess.run(["docker", "-H", address, "load"], stdin=saved.stdout, check=True, capture_output=True)
    saved.wait()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", address)
        yield start_engine
    for child in started:
        child.terminate()
        child.wait(60)
    shutil.rmtree(place, ignore_errors=True)


@SLOW
@pytest.mark.docker
@pytest.mark.parametrize("comes_back", [False, True])
def test_an_engine_that_stops_during_a_run(
    own_engine: Callable[[], subprocess.Popen[bytes]],
    cad1: Cad1,
    line: Line,
    tmp_path: Path,
    comes_back: bool,
) -> None:
    store, log = tmp_path / "store", tmp_path / "log"
    child = start(line(store, "docker"), log)
    end = time.monotonic() + 300
    while not (store / "ledger.sqlite").exists() or not _stored(store):
        assert child.poll() is None, log.read_text()
        assert time.monotonic() < end
        time.sleep(0.02)
    subprocess.run(["pkill", "-F", next(Path("/var/tmp").glob(f"cad1-engine-{os.getpid()}/pid"))], check=True)
    if comes_back:
        time.sleep(3)
        threading.Thread(target=own_engine).start()
    code = child.wait(timeout=sum(shards.RETRY_WAITS) + 300)
    text = log.read_text()
    assert "Traceback" not in text
    assert "Retrying in" in text
    if comes_back:
        assert code == 0, text
    else:
        assert code == 3, text
        assert "cad1: " in text
        own_engine()
        assert cad1(*line(store, "docker")).returncode == 0
    assert verify_store(store).problems == []
    assert set(scored(store).values()) == {1}
    assert len(scored(store)) == 4
    left = connect().containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
    assert left == []
