"""The full pipeline gives pyclarity's own scores: for a committed synthetic submission, and for real music.

golden/leaky.csv was computed with pyclarity 0.3.2 by make_golden.py; the scores of the real music are the official
ones. Each engine must agree within 1e-9, and two sandboxes byte for byte.
"""

from __future__ import annotations

import csv
import hashlib
import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"
TOLERANCE = 1e-9
WAVS = "4416ad853cc4d1f262e52b8e4afd3f8ad7c8b800ffbf3441e73c2ccbee4d568e"

Cad1 = Callable[..., subprocess.CompletedProcess[str]]
Row = dict[str, str]
SUBMISSIONS = ("oracle", "leaky", "mixture")
IN_DOCKER, SLOW = pytest.mark.docker, pytest.mark.slow
SANDBOXES = [pytest.param("docker", marks=IN_DOCKER), "process"]


@pytest.fixture
def ready(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Prepares a sandbox and returns its name."""

    def make(sandbox: str) -> str:
        if sandbox == "docker":
            request.getfixturevalue("image")
        return sandbox

    return make


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed submission, in a place that a container can read."""
    path = tmp_path_factory.mktemp("leaky") / "leaky.zip"
    shutil.copyfile(GOLDEN / "leaky.zip", path)
    path.chmod(0o644)
    return path


def rows(text: str) -> dict[tuple[str, str], Row]:
    return {(row["song"], row["listener"]): row for row in csv.DictReader(io.StringIO(text))}


def compare(found: str, official: str) -> float:
    """The largest difference between two scores.csv, over the rows of the first."""
    found_rows, official_rows = rows(found), rows(official)
    assert found_rows
    assert set(found_rows) <= set(official_rows)
    assert next(csv.reader(io.StringIO(found))) == next(csv.reader(io.StringIO(official)))
    return max(
        abs(float(row[column]) - float(official_rows[key][column]))
        for key, row in found_rows.items()
        for column in row
        if column not in {"song", "listener"}
    )


def scored(cad1: Cad1, submission: Path, root: Path, store: Path, *options: str) -> str:
    """Scores a submission and returns its scores.csv."""
    done = cad1(
        *(
            "score",
            submission,
            "--data",
            root,
            "--split",
            "test",
            "--team",
            "E001",
            "--store",
            store,
            *options,
        )
    )
    assert done.returncode == 0, done.stderr
    answer = cad1("scores", "E001", "--store", store)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_the_synthetic_music_is_the_same_on_this_machine(synthetic_root: Path) -> None:
    """The golden scores are of these bytes."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  ./{path.relative_to(synthetic_root)}\n"
        for path in sorted(
            synthetic_root.rglob("*.wav"), key=lambda path: str(path.relative_to(synthetic_root))
        )
    ]
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == WAVS


@pytest.mark.parametrize("haaqi", [pytest.param("pyclarity", marks=pytest.mark.slow), "fast"])
def test_both_sandboxes_give_pyclaritys_scores_and_the_same_bytes(
    cad1: Cad1,
    image: str,
    leaky: Path,
    synthetic_root: Path,
    tmp_path: Path,
    haaqi: str,
) -> None:
    found = {
        sandbox: scored(
            cad1,
            leaky,
            synthetic_root,
            tmp_path / sandbox,
            *("--sandbox", sandbox, "--engine", haaqi, "--workers", "2"),
        )
        for sandbox in ("docker", "process")
    }
    golden = (GOLDEN / "leaky.csv").read_text()
    assert len(rows(found["docker"])) == 4
    assert compare(found["docker"], golden) <= TOLERANCE
    assert found["docker"] == found["process"]


@SLOW
@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_scores_do_not_depend_on_the_order_of_work(
    cad1: Cad1,
    ready: Callable[[str], str],
    leaky: Path,
    synthetic_root: Path,
    tmp_path: Path,
    sandbox: str,
) -> None:
    """One worker or two, in one run or listener by listener, gives the same bytes."""
    options = ("--sandbox", ready(sandbox), "--audit", "0")
    whole = scored(cad1, leaky, synthetic_root, tmp_path / "whole", *options, "--workers", "2")
    for listener in ("L9002", "L9001"):
        parts = scored(cad1, leaky, synthetic_root, tmp_path / "parts", *options, "--listener", listener)
    assert parts == whole


FAST = ("fast", "Paper Lanterns - Slow Tide", "L5004")
PYCLARITY = ("pyclarity", "Rosie O'Dell & The Half-Moons - Don't Wait Up", "L5002")


@pytest.mark.parametrize(
    ("name", "engine_song_listener", "sandbox"),
    [
        pytest.param("leaky", FAST, "docker", marks=IN_DOCKER),
        pytest.param("oracle", FAST, "docker", marks=[IN_DOCKER, SLOW]),
        pytest.param("mixture", FAST, "docker", marks=[IN_DOCKER, SLOW]),
        pytest.param("leaky", FAST, "process"),
        pytest.param("oracle", FAST, "process", marks=SLOW),
        pytest.param("mixture", FAST, "process", marks=SLOW),
        pytest.param("leaky", PYCLARITY, "docker", marks=[IN_DOCKER, SLOW]),
        pytest.param("oracle", PYCLARITY, "docker", marks=[IN_DOCKER, SLOW]),
        pytest.param("mixture", PYCLARITY, "docker", marks=[IN_DOCKER, SLOW]),
    ],
)
def test_one_real_example_of_each_submission(
    cad1: Cad1,
    ready: Callable[[str], str],
    music_set: Path,
    music_root: Path,
    tmp_path: Path,
    name: str,
    engine_song_listener: tuple[str, str, str],
    sandbox: str,
) -> None:
    haaqi, song, listener = engine_song_listener
    audits = 1 if sandbox == "docker" else 0  # pyclarity itself is never audited
    found = scored(
        cad1,
        music_set / f"submissions/{name}.zip",
        music_root,
        tmp_path / "store",
        *("--sandbox", ready(sandbox), "--engine", haaqi, "--audit", str(audits)),
        *("--song", song, "--listener", listener),
    )
    assert len(rows(found)) == 1
    assert compare(found, (music_set / f"scores/{name}.csv").read_text()) <= TOLERANCE


@pytest.mark.parametrize("sandbox", SANDBOXES)
@pytest.mark.parametrize(
    "haaqi",
    [
        pytest.param("fast", marks=SLOW),
        pytest.param("pyclarity", marks=pytest.mark.exhaustive),  # an hour in all
    ],
)
@pytest.mark.parametrize("name", SUBMISSIONS)
def test_all_official_scores(
    cad1: Cad1,
    ready: Callable[[str], str],
    music_set: Path,
    music_root: Path,
    tmp_path: Path,
    name: str,
    haaqi: str,
    sandbox: str,
) -> None:
    found = scored(
        cad1,
        music_set / f"submissions/{name}.zip",
        music_root,
        tmp_path / "store",
        *("--sandbox", ready(sandbox), "--engine", haaqi, "--workers", "2"),
    )
    official = (music_set / f"scores/{name}.csv").read_text()
    assert set(rows(found)) == set(rows(official))
    assert compare(found, official) <= TOLERANCE
