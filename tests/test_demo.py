"""`cad1 demo` and `cad1 regress`, as a new user and CI run them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import baselines, cli, console
from harness.errors import SetupError
from harness.lock import HARNESS
from harness.ranking.ledger import StoredExample
from harness.ranking.scores import read_scores, write_scores
from harness.regress import PUBLISHED, compare
from harness.sandbox.process import ProcessSandbox
from harness.score import roster_of
from harness.synthetic import make_challenge
from validator import Challenge

Cad1 = Callable[..., subprocess.CompletedProcess[str]]
SANDBOXES = [pytest.param("docker", marks=pytest.mark.docker), "process"]


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_the_demo_ends_with_the_ranking_in_the_right_order(
    request: pytest.FixtureRequest, cad1: Cad1, tmp_path: Path, sandbox: str
) -> None:
    if sandbox == "docker":
        request.getfixturevalue("image")
    done = cad1("demo", "--sandbox", sandbox, "--keep", tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    teams = [line.split("│")[2].strip() for line in done.stdout.splitlines() if line.startswith("│")]
    assert teams == ["E003", "E002", "E001"]
    assert done.stdout.count("greatest difference") == 3
    ranking = (tmp_path / "demo" / "store" / "ranking.md").read_text()
    assert ranking.index("E003") < ranking.index("E002") < ranking.index("E001")
    for name in ("E001", "E002", "E003"):
        valid = cad1(
            "validate",
            tmp_path / "demo" / f"submission_{name}.zip",
            "--split",
            "test",
            "--data",
            tmp_path / "demo/data",
        )
        assert valid.returncode == 0
    oracle = cad1(
        "validate",
        tmp_path / "demo/submission_E003.zip",
        "--split",
        "test",
        "--data",
        tmp_path / "demo/data",
        "--json",
    )
    assert json.loads(oracle.stdout)["counts"] == {"error": 0, "warning": 0}


def test_the_demo_without_an_engine_says_so(cad1: Cad1, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness import demo

    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    said: list[str] = []
    assert isinstance(demo.strongest_sandbox(said.append), ProcessSandbox)
    assert "No Docker engine answers" in said[0]
    assert "child process instead" in said[1]


@pytest.mark.docker
def test_the_baselines_score_what_they_scored(cad1: Cad1, image: str) -> None:
    done = cad1("regress", "--sandbox", "docker")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("values are what they were") == 4


def test_a_moved_value_is_named(cad1: Cad1, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One stored score is moved by 2e-9: regress names the stem, the example and the distance."""
    roster = roster_of(Challenge.load(make_challenge(tmp_path / "root"), split="test"))
    examples = {
        (one.song, one.listener): one for one in read_scores(baselines.folder() / "oracle.csv", roster)
    }
    first = examples[roster.examples[0]]
    assert first.values[0] is not None
    moved = (first.values[0] - 2e-9, *first.values[1:])
    found = baselines.compare(
        {key: moved if key == roster.examples[0] else one.values for key, one in examples.items()},
        {key: one.values for key, one in examples.items()},
    )
    assert not found.steady
    assert "left_bass" in "\n".join(found.lines())
    assert roster.examples[0][0] in "\n".join(found.lines())
    assert write_scores(roster, examples) == (baselines.folder() / "oracle.csv").read_text()


def test_the_stored_scores_say_what_made_them() -> None:
    made = json.loads((HARNESS.parent / "submissions/baselines/made.json").read_text())
    assert made["engine"] == "pyclarity"
    assert made["sandbox"] == "docker"
    assert len(made["scorer"]) == 64


def test_without_stored_scores_regress_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(baselines, "HARNESS", tmp_path / "nothing")
    with pytest.raises(SetupError, match="not here"):
        baselines.folder()


def test_the_published_figures_are_held_against_both_baselines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without weights and MUSDB18-HQ: the scoring is replaced, the rest runs."""
    asked: list[tuple[str, str]] = []

    def scored(
        challenge: Challenge, separator: str, **_: object
    ) -> tuple[dict[tuple[str, str], StoredExample], bool]:
        asked.append((challenge.split, separator))
        songs = PUBLISHED[separator].songs
        moved = 0.01 if separator == "demucs" else 0.0
        return {
            (song, "L"): StoredExample(song, "L", (mean + moved,) * 8) for song, mean in songs.items()
        }, True

    monkeypatch.setattr(baselines, "_score", scored)
    root = make_challenge(tmp_path / "valid", split="valid")
    found = baselines.published(root, tmp_path, ProcessSandbox(), workers=1, progress=lambda *_: None)
    assert asked == [("valid", "demucs"), ("valid", "openunmix")]
    assert len(found["demucs"]) == 15
    assert not any(one.reached for one in found["demucs"])
    assert "+0.0100" in str(found["demucs"][1])
    assert all(one.reached for one in found["openunmix"] if one.song)


@pytest.mark.parametrize(("moved", "code"), [(0.0, 0), (2e-9, 1)])
def test_regress_exits_1_on_drift(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], moved: float, code: int
) -> None:
    comparison = compare({("S", "L"): [0.5] * 8}, {("S", "L"): [0.5 + moved, *[0.5] * 7]})
    monkeypatch.setattr(
        baselines, "regress", lambda *_, **__: [baselines.Regression("oracle", "fast", comparison)]
    )
    assert console.run(lambda: cli.app(["regress", "--sandbox", "process"], standalone_mode=False)) == code
    assert ("S, L, left_bass" in capsys.readouterr().out) == bool(code)
