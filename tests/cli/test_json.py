"""`--json` of the commands, and `cad1 regress --junit`: one document on standard output, nothing else."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml

from harness.baselines import published, regression
from harness.baselines.drift import compare
from harness.baselines.published import PublishedDifference
from harness.baselines.regression import Comparisons, Regression
from harness.cli.app import cad1
from harness.protocol.errors import DeadlineError
from harness.protocol.records import Hello
from harness.sandbox import choice, selfcheck
from harness.sandbox.contract import Environment
from harness.sandbox.docker import container, contents, engine, image
from harness.sandbox.selfcheck import SandboxReport
from tests.score.fakes import NONCE, FakeSandbox
from tests.values import values

Json = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def as_json(capsys: pytest.CaptureFixture[str]) -> Json:
    """Runs a command with `--json`; gives its exit code, its document and its standard error."""

    def run(*arguments: str | Path) -> tuple[int, Any, str]:
        code = cad1([*map(str, arguments), "--json"])
        printed = capsys.readouterr()
        found = json.loads(printed.out)
        assert found["schema_version"] == 1
        return code, found, printed.err

    return run


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> FakeSandbox:
    fake = FakeSandbox()
    monkeypatch.setattr(choice, "choose_sandbox", lambda *_, **__: fake)
    return fake


@pytest.mark.usefixtures("sandbox")
def test_score(as_json: Json, oracle_zip: Path, synthetic_root: Path, tmp_path: Path) -> None:
    line = ["score", oracle_zip, "--data", synthetic_root, "--split", "test", "--team", "E001"]
    code, found, _ = as_json(*line, "--store", tmp_path / "store")
    (one,) = found["submissions"]
    assert code == 0
    assert (one["team"], one["split"], one["state"], one["average"]) == ("E001", "test", "scored", 0.25)
    assert one["examples"] == {"scored": 4, "stored": 4, "total": 4}
    assert one["audits"] == {"stems": 3, "greatest_difference": 0.0}
    assert one["submission"]["name"] == oracle_zip.name
    assert json.loads(Path(one["report"]).read_text())["findings"] == one["findings"]
    assert one["faults"] == []


@pytest.mark.usefixtures("sandbox")
def test_score_of_an_invalid_submission(as_json: Json, synthetic_root: Path, tmp_path: Path) -> None:
    bad = tmp_path / "submission_E001.zip"
    with zipfile.ZipFile(bad, "w") as out:
        out.writestr("notes.txt", "sorry")
    line = ["score", bad, "--data", synthetic_root, "--split", "test", "--team", "E001"]
    code, found, errors = as_json(*line, "--store", tmp_path / "store")
    (one,) = found["submissions"]
    assert code == 1
    assert (one["state"], one["average"]) == ("invalid", None)
    assert {finding["code"] for finding in one["findings"]} == {"missing", "unexpected"}
    assert "submission_E001.zip is invalid and was not scored." in errors


def test_score_with_a_fault(
    as_json: Json, sandbox: FakeSandbox, oracle_zip: Path, synthetic_root: Path, tmp_path: Path
) -> None:
    from validator import Challenge

    example = Challenge.load(synthetic_root, split="test").examples[0]
    sandbox.behaviour[example] = DeadlineError("It took too long.", hint="Wait.")
    line = ["score", oracle_zip, "--data", synthetic_root, "--split", "test", "--team", "E001"]
    code, found, errors = as_json(*line, "--store", tmp_path / "store")
    (one,) = found["submissions"]
    assert code == 4
    assert one["state"] == "failed"
    assert one["faults"][0]["fault"] == DeadlineError.fault
    assert "It took too long." in one["faults"][0]["message"]
    assert "It took too long." in errors


def test_verify_a_store(as_json: Json, filled: Path) -> None:
    code, found, _ = as_json("verify", "--store", filled)
    assert code == 0
    assert found["verified"] is True
    assert len(found["head"]) == 64
    assert found["problems"] == []
    code, found, _ = as_json("verify", "--store", filled, "--head", "f" * 64)
    assert code == 1
    assert found["verified"] is False
    assert "The log has no entry" in found["problems"][0]


def test_verify_a_bundle(as_json: Json, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.zip"
    with zipfile.ZipFile(bundle, "w") as out:
        out.writestr("other.txt", "x")
    code, found, _ = as_json("verify", bundle)
    assert code == 1
    assert (found["verified"], found["signature_checked"]) == (False, False)
    assert found["problems"]


def test_doctor(as_json: Json, tmp_path: Path) -> None:
    code, found, _ = as_json("doctor", "--store", tmp_path)
    assert code == (0 if found["can_score"] else 3)
    checks = {check["name"]: check for check in found["checks"]}
    assert checks["Python"]["good"] is True
    assert set(checks["memory"]) == {"name", "good", "found", "hint"}


def test_image_build_and_verify(as_json: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake(FakeSandbox):
        client = None

    hello = Hello(nonce=NONCE, scorer_digest="d" * 64, locked=True, versions={"numpy": "2.1"}, cpu="none")
    report = SandboxReport(
        Environment("docker", "d" * 64, True, "sha256:1", "base"), hello, {"soundfile": "1"}
    )
    monkeypatch.setattr(container, "DockerSandbox", lambda **_: Fake())
    monkeypatch.setattr(selfcheck, "check_sandbox", lambda _: report)
    monkeypatch.setattr(contents, "check_contents", lambda *_: None)
    code, found, _ = as_json("image", "verify")
    assert code == 0
    assert found == {
        "schema_version": 1, "image": "sha256:1", "base_image": "base", "scorer": "d" * 64,
        "evaluator": {"numpy": "2.1"}, "decoder": {"soundfile": "1"},
    }  # fmt: skip
    monkeypatch.setattr(engine, "connect", lambda: None)
    monkeypatch.setattr(image, "build", lambda *_, **__: "sha256:2")
    code, found, _ = as_json("image", "build")
    assert code == 0
    assert (found["tag"], found["image"]) == (image.IMAGE, "sha256:2")


EXAMPLE = ("Song", "L1")
CHANGED = compare({EXAMPLE: values(0.25)}, {EXAMPLE: values(0.5)})
STEADY = compare({EXAMPLE: values(0.25)}, {EXAMPLE: values(0.25)})


@pytest.mark.usefixtures("sandbox")
def test_regress(as_json: Json, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    results = [
        Regression("oracle", "fast", STEADY),
        Regression("mixture", "fast", CHANGED),
        Regression("trained", "fast", None, "PyTorch is missing."),
    ]
    monkeypatch.setattr(regression, "regress", lambda *_, **__: results)
    path = tmp_path / "junit.xml"
    code, found, _ = as_json("regress", "--junit", path)
    assert code == 1
    assert found["steady"] is False
    by_name = {one["baseline"]: one for one in found["results"]}
    assert by_name["oracle"]["steady"] is True
    assert len(by_name["mixture"]["changed"]) == 8
    assert by_name["mixture"]["changed"][0]["expected"] == 0.25
    assert by_name["trained"]["skipped"] == "PyTorch is missing."
    (suite,) = JUnitXml.fromstring(path.read_bytes())
    assert (suite.name, suite.tests, suite.failures, suite.skipped) == ("cad1 regress", 3, 1, 1)
    (failed,) = [case for case in suite if case.is_failure]
    assert failed.name == "mixture"
    assert failed.result[0].message == "8 of 8 values changed by more than 1e-09."


def test_published_scores_are_tests_too() -> None:
    far = PublishedDifference("", 0.25, 0.5, "")
    near = PublishedDifference("Song", 0.25, 0.25, "")
    found = Comparisons((Regression("oracle", "fast", STEADY),), {"demucs": [near, far]})
    assert not found.steady
    assert [(case.name, bool(case.failure)) for case in found.cases()] == [
        ("oracle", False),
        ("Song", False),
        ("average", True),
    ]
    assert published.EXPECTED < 0.25


def test_update_compares_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cad1(["regress", "--update", "--junit", str(tmp_path / "x.xml")]) == 2
    assert cad1(["regress", "--update", "--json"]) == 2
    assert "--update compares nothing" in capsys.readouterr().err
