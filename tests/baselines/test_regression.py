"""`cad1 regress` and the stored scores of the baselines."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.baselines import regression
from harness.baselines.drift import compare
from harness.baselines.synthetic import make_challenge
from harness.cli import app
from harness.cli.installation import install_hint
from harness.enhance import encoding, example
from harness.enhance.nalr import nalr_taps
from harness.enhance.neural import lacking_openunmix
from harness.ledger.rosters import roster_of
from harness.protocol.errors import SetupError
from harness.protocol.lock import HARNESS
from harness.ranking.scores import read_scores, write_scores
from harness.sandbox import choice
from harness.sandbox.contract import Environment
from tests.values import values
from validator import Challenge

Cad1 = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.slow
@pytest.mark.docker
def test_the_baselines_have_their_stored_scores(cad1: Cad1, image: str) -> None:
    done = cad1("regress", "--sandbox", "docker")
    assert done.returncode == 0, done.stdout + done.stderr
    skipped = 2 if lacking_openunmix() else 0
    assert done.stdout.count("values are unchanged within") == 6 - skipped
    assert done.stdout.count("skipped. openunmix needs torch") == skipped


def test_a_changed_value_is_named(tmp_path: Path) -> None:
    """A stored score changed by 2e-9: the comparison names the value, the example and the change."""
    roster = roster_of(Challenge.load(make_challenge(tmp_path / "root"), split="test"))
    examples = {
        (one.song, one.listener): one for one in read_scores(regression.folder() / "oracle.csv", roster)
    }
    first = examples[roster.examples[0]]
    assert first.values["left_bass"] is not None
    moved = {**first.values, "left_bass": first.values["left_bass"] - 2e-9}
    found = compare(
        {key: moved if key == roster.examples[0] else one.values for key, one in examples.items()},
        {key: one.values for key, one in examples.items()},
    )
    assert not found.steady
    assert "left_bass" in "\n".join(found.lines())
    assert roster.examples[0][0] in "\n".join(found.lines())
    assert write_scores(roster, examples) == (regression.folder() / "oracle.csv").read_text()


def test_the_stored_scores_record_what_made_them() -> None:
    made = json.loads((HARNESS.parent / "submissions/baselines/made.json").read_text())
    assert made["engine"] == "pyclarity"
    assert made["sandbox"] == "docker"
    assert len(made["scorer"]) == 64
    stored = {path.stem for path in (HARNESS.parent / "submissions/baselines").glob("*.csv")}
    assert stored == set(regression.NAMES)


def test_missing_stored_scores_are_a_setup_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(regression, "HARNESS", tmp_path / "nothing")
    with pytest.raises(SetupError, match="are missing"):
        regression.folder()


class UnusedSandbox:
    """A sandbox in which nothing may run."""

    name = "unused"

    def prepare(self) -> Environment:
        raise AssertionError("nothing should be scored")

    run = prepare


def test_without_pytorch_the_trained_baseline_is_skipped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(choice, "choose_sandbox", lambda name, **settings: UnusedSandbox())
    monkeypatch.setattr(regression, "regress", partial(regression.regress, names=("trained",)))
    assert app.cad1(["regress"]) == 0
    printed = capsys.readouterr()
    assert [line.split(":")[0] for line in printed.out.splitlines()] == [
        "trained, engine fast",
        "trained, engine pyclarity",
    ]
    assert printed.out.count("skipped. openunmix needs torch and openunmix") == 2
    assert " ".join(install_hint("baselines").split()) in " ".join(printed.err.split())


def test_without_pytorch_no_baseline_is_stored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(choice, "choose_sandbox", lambda name, **settings: UnusedSandbox())
    before = {path: path.read_bytes() for path in regression.folder().iterdir()}
    assert app.cad1(["regress", "--update"]) == 3
    assert "Scores are stored for all baselines or none" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in regression.folder().iterdir()}


@pytest.mark.parametrize(
    "options", [["--keep", "x"], ["--update", "--data", "x"], ["--update", "--keep", "x"]]
)
def test_conflicting_options_of_regress_are_wrong_use(options: list[str]) -> None:
    assert app.cad1(["regress", *options]) == 2


def change_a_tap(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(**arguments: Any) -> Any:
        taps = nalr_taps(**arguments)
        taps[100] += 1e-4
        return taps

    monkeypatch.setattr(example, "nalr_taps", changed)


def change_the_resampling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "RESAMPLING", "VHQ")


def change_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regression, "make_challenge", partial(make_challenge, seed=1))


CHANGES = [None, change_a_tap, change_the_resampling, change_the_seed]


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: getattr(change, "__name__", "nothing"))
def test_regress_finds_a_change_in_the_pipeline(
    change: Callable[[pytest.MonkeyPatch], None] | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command itself, with a changed tap of NAL-R, resampling quality or seed, against the stored scores."""
    monkeypatch.setattr(
        regression, "regress", partial(regression.regress, names=("oracle",), engines=("fast",))
    )
    if change is not None:
        change(monkeypatch)
    code = app.cad1(["regress", "--sandbox", "process"])
    printed = capsys.readouterr().out
    if change is None:
        assert code == 0
        assert "All 32 values are unchanged" in printed
        return
    assert code == 1
    assert "oracle, engine fast:" in printed
    assert re.search(r"^\d+ of 32 values changed by more than 1e-0[69]\.$", printed, re.MULTILINE)
    assert re.search(r"^Stems: (left|right)_(bass|drums|other|vocals) \d", printed, re.MULTILINE)
    assert re.search(
        r"^(Salt & Ember|Tin Whistlers) .*, L900[12], (left|right)_\w+: 0\.\d+ became 0\.\d+ \([+-]",
        printed,
        re.MULTILINE,
    )


@pytest.mark.parametrize(("moved", "code"), [(0.0, 0), (2e-9, 1)])
def test_regress_exits_1_on_drift(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], moved: float, code: int
) -> None:
    comparison = compare({("S", "L"): values(0.5)}, {("S", "L"): values(0.5 + moved, *[0.5] * 7)})
    monkeypatch.setattr(
        regression, "regress", lambda *_, **__: [regression.Regression("oracle", "fast", comparison)]
    )
    assert app.cad1(["regress", "--sandbox", "process"]) == code
    assert ("S, L, left_bass" in capsys.readouterr().out) == bool(code)
