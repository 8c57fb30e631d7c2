"""`cad1 demo` and `cad1 regress`, as a new user and CI run them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.baselines import regression
from harness.baselines.drift import PUBLISHED, compare
from harness.baselines.synthetic import make_challenge
from harness.cli import app, console, scoring
from harness.enhance import Separator, encoding, example, loading
from harness.enhance.neural import lacking_openunmix
from harness.enhance.separators import Mixture, Oracle
from harness.ledger.entities import StoredExample
from harness.ledger.rosters import roster_of
from harness.protocol.errors import SetupError
from harness.protocol.lock import HARNESS
from harness.ranking.scores import read_scores, write_scores
from harness.sandbox.contract import Environment
from harness.sandbox.local.bubblewrap import BubblewrapSandbox
from harness.sandbox.local.process import ProcessSandbox
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
    from harness.baselines import demo

    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    said: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(BubblewrapSandbox, "prepare", lambda sandbox: None)
        assert isinstance(demo.strongest_sandbox(said.append), BubblewrapSandbox)
    assert "No Docker engine answers" in said[0]
    assert "bubblewrap instead" in said[1]
    said.clear()
    monkeypatch.setenv("PATH", "/nonexistent")
    assert isinstance(demo.strongest_sandbox(said.append), ProcessSandbox)
    assert "No Docker engine answers" in said[0]
    assert "no bubblewrap on this machine" in said[1]
    assert "child process instead" in said[2]


@pytest.mark.docker
def test_the_baselines_score_what_they_scored(cad1: Cad1, image: str) -> None:
    done = cad1("regress", "--sandbox", "docker")
    assert done.returncode == 0, done.stdout + done.stderr
    skipped = 2 if lacking_openunmix() else 0
    assert done.stdout.count("values are what they were") == 6 - skipped
    assert done.stdout.count("skipped. openunmix needs torch") == skipped


def test_a_moved_value_is_named(cad1: Cad1, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One stored score is moved by 2e-9: regress names the stem, the example and the distance."""
    roster = roster_of(Challenge.load(make_challenge(tmp_path / "root"), split="test"))
    examples = {
        (one.song, one.listener): one for one in read_scores(regression.folder() / "oracle.csv", roster)
    }
    first = examples[roster.examples[0]]
    assert first.values[0] is not None
    moved = (first.values[0] - 2e-9, *first.values[1:])
    found = regression.compare(
        {key: moved if key == roster.examples[0] else one.values for key, one in examples.items()},
        {key: one.values for key, one in examples.items()},
    )
    assert not found.steady
    assert "left_bass" in "\n".join(found.lines())
    assert roster.examples[0][0] in "\n".join(found.lines())
    assert write_scores(roster, examples) == (regression.folder() / "oracle.csv").read_text()


def test_the_stored_scores_say_what_made_them() -> None:
    made = json.loads((HARNESS.parent / "submissions/baselines/made.json").read_text())
    assert made["engine"] == "pyclarity"
    assert made["sandbox"] == "docker"
    assert len(made["scorer"]) == 64
    stored = {path.stem for path in (HARNESS.parent / "submissions/baselines").glob("*.csv")}
    assert stored == set(regression.NAMES)


def test_without_stored_scores_regress_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(regression, "HARNESS", tmp_path / "nothing")
    with pytest.raises(SetupError, match="not here"):
        regression.folder()


def with_published_names(root: Path) -> Path:
    """The synthetic songs of split `valid` under two published names, to one listener."""
    make_challenge(root, split="valid", seconds=2.0, listeners=1)
    tracks = root / "metadata" / "musdb18.valid.json"
    entries = json.loads(tracks.read_text())
    for entry, name in zip(entries, list(PUBLISHED["demucs"].songs)[:2], strict=True):
        (root / "audio/musdb18hq/train" / entry["Track Name"]).rename(root / "audio/musdb18hq/train" / name)
        entry["Track Name"] = name
    tracks.write_text(json.dumps(entries))
    return root


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Yardsticks in the places of the two models, whose weights and music cannot be had here; what was loaded."""
    loaded: list[str] = []

    def load(name: str, separator: Callable[[], Separator]) -> Callable[..., Separator]:
        def made(**_: object) -> Separator:
            loaded.append(name)
            return separator()

        return made

    monkeypatch.setitem(loading.MODELS, "demucs", load("demucs", Oracle))
    monkeypatch.setitem(loading.MODELS, "openunmix", load("openunmix", Mixture))
    return loaded


def test_the_real_part_of_regress_runs_from_songs_to_figures_and_goes_on(
    models: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Whole songs, the real enhancement and the real scorer; only the models are replaced."""
    root = with_published_names(tmp_path / "root")
    monkeypatch.setattr(regression, "regress", lambda *_, **__: [])
    command = ["regress", "--data", root, "--keep", tmp_path / "kept", "--sandbox", "process"]

    def regress() -> tuple[int, str]:
        code = console.run(lambda: app.app(list(map(str, command)), standalone_mode=False))
        return code, capsys.readouterr().out

    code, text = regress()
    assert code == 1
    assert models == ["demucs", "openunmix"]
    first, second = list(PUBLISHED["demucs"].songs)[:2]
    for line in ("demucs, published figures:", "openunmix, published figures:"):
        assert line in text
    assert text.count(f"{first}: ") == text.count(f"{second}: ") == 2
    assert text.count("more than the 0.001 that may be expected") == 4
    assert regress() == (code, text)
    assert models == ["demucs", "openunmix"], "what was separated is not separated again"
    oracle, mixture = (
        [float(mean) for mean in re.findall(r": (0\.\d{4}), published 0", part)]
        for part in text.split("openunmix, published figures:")
    )
    assert len(oracle) == len(mixture) == 2
    assert min(oracle) > 0.8
    assert max(mixture) < 0.5


def test_music_that_was_never_published_is_refused_before_anything_is_separated(
    models: list[str], tmp_path: Path
) -> None:
    root = make_challenge(tmp_path / "valid", split="valid")
    with pytest.raises(SetupError, match="None of the 2 songs of split valid"):
        regression.published(
            root, tmp_path, ProcessSandbox(), workers=1, say=lambda _: None, progress=lambda *_: None
        )
    assert models == []


def test_a_kept_submission_of_another_enhancement_is_not_reused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = regression._enhancement()
    shutil.copytree(HARNESS / "enhance", tmp_path / "enhance")
    monkeypatch.setattr(regression, "HARNESS", tmp_path)
    assert regression._enhancement() == before
    with (tmp_path / "enhance" / "nalr.py").open("a") as source:
        source.write("# changed\n")
    assert regression._enhancement() != before


def test_the_published_figures_are_held_against_both_baselines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All fourteen songs, with the scoring replaced."""
    asked: list[tuple[str, str]] = []

    def scored(
        challenge: Challenge, name: str, **_: object
    ) -> tuple[dict[tuple[str, str], StoredExample], bool]:
        asked.append((challenge.split, name))
        songs = PUBLISHED[name].songs
        moved = 0.01 if name == "demucs" else 0.0
        return {
            (song, "L"): StoredExample(song, "L", (mean + moved,) * 8) for song, mean in songs.items()
        }, True

    monkeypatch.setattr(regression, "_score", scored)
    root = with_published_names(tmp_path / "root")
    said: list[str] = []
    found = regression.published(
        root, tmp_path, ProcessSandbox(), workers=1, say=said.append, progress=lambda *_: None
    )
    assert asked == [("valid", "demucs"), ("valid", "openunmix")]
    assert len(found["demucs"]) == 15
    assert not any(one.reached or one.expected for one in found["demucs"])
    assert "+0.0100, more than the 0.001" in str(found["demucs"][1])
    assert all(one.reached for one in found["openunmix"] if one.song)
    assert found["openunmix"][0].expected
    assert "average 0.2270, not 0.2273" in said[1]


class NoSandbox:
    """A sandbox that must not be needed."""

    name = "none"

    def prepare(self) -> Environment:
        raise AssertionError("nothing is to be scored")

    run = prepare


def test_without_pytorch_the_trained_baseline_is_skipped_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(scoring, "sandbox_of", lambda _: NoSandbox())
    monkeypatch.setattr(regression, "regress", partial(regression.regress, names=("trained",)))
    assert console.run(lambda: app.app(["regress"], standalone_mode=False)) == 0
    told = capsys.readouterr()
    assert [line.split(":")[0] for line in told.out.splitlines()] == [
        "trained, engine fast",
        "trained, engine pyclarity",
    ]
    assert told.out.count("skipped. openunmix needs torch and openunmix") == 2
    assert "cad1-harness[baselines]" in told.out
    assert "trained is skipped" in told.err


def test_without_pytorch_no_baseline_is_stored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(scoring, "sandbox_of", lambda _: NoSandbox())
    before = {path: path.read_bytes() for path in regression.folder().iterdir()}
    assert console.run(lambda: app.app(["regress", "--update"], standalone_mode=False)) == 3
    assert "scores are stored for all or none" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in regression.folder().iterdir()}


@pytest.mark.parametrize(
    "options", [["--keep", "x"], ["--update", "--data", "x"], ["--update", "--keep", "x"]]
)
def test_options_of_regress_that_do_not_go_together_are_wrong_use(options: list[str]) -> None:
    assert console.run(lambda: app.app(["regress", *options], standalone_mode=False)) == 2


def bend_a_tap(monkeypatch: pytest.MonkeyPatch) -> None:
    design = example.nalr_taps

    def bent(**arguments: Any) -> Any:
        taps = design(**arguments)
        taps[100] += 1e-4
        return taps

    monkeypatch.setattr(example, "nalr_taps", bent)


def resample_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "RESAMPLING", "VHQ")


def seed_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regression, "make_challenge", partial(make_challenge, seed=1))


CHANGES = [None, bend_a_tap, resample_otherwise, seed_otherwise]


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: getattr(change, "__name__", "nothing"))
def test_a_change_under_our_feet_fails_regress_and_is_named(
    change: Callable[[pytest.MonkeyPatch], None] | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command itself, against the stored scores: a tap of NAL-R, a resampling quality, a seed."""
    monkeypatch.setattr(
        regression, "regress", partial(regression.regress, names=("oracle",), engines=("fast",))
    )
    if change is not None:
        change(monkeypatch)
    code = console.run(lambda: app.app(["regress", "--sandbox", "process"], standalone_mode=False))
    told = capsys.readouterr().out
    if change is None:
        assert code == 0
        assert "All 32 values are what they were" in told
        return
    assert code == 1
    assert "oracle, engine fast:" in told
    assert re.search(r"^\d+ of 32 values moved by more than 1e-0[69]\.$", told, re.MULTILINE)
    assert re.search(r"^Stems: (left|right)_(bass|drums|other|vocals) \d", told, re.MULTILINE)
    assert re.search(
        r"^(Salt & Ember|Tin Whistlers) .*, L900[12], (left|right)_\w+: 0\.\d+ became 0\.\d+ \([+-]",
        told,
        re.MULTILINE,
    )


@pytest.mark.parametrize(("moved", "code"), [(0.0, 0), (2e-9, 1)])
def test_regress_exits_1_on_drift(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], moved: float, code: int
) -> None:
    comparison = compare({("S", "L"): [0.5] * 8}, {("S", "L"): [0.5 + moved, *[0.5] * 7]})
    monkeypatch.setattr(
        regression, "regress", lambda *_, **__: [regression.Regression("oracle", "fast", comparison)]
    )
    assert console.run(lambda: app.app(["regress", "--sandbox", "process"], standalone_mode=False)) == code
    assert ("S, L, left_bass" in capsys.readouterr().out) == bool(code)
