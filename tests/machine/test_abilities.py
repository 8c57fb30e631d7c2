"""`cad1 doctor` says what each command lacks."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec

import pytest

from harness.cli.app import cad1
from harness.cli.console import EXTRAS
from harness.machine.abilities import NEEDS, abilities
from harness.machine.doctor import Check, examine


def test_every_library_has_an_extra_and_every_check_exists(tmp_path_factory: pytest.TempPathFactory) -> None:
    names = {check.name for check in examine(tmp_path_factory.mktemp("store"))}
    for need in NEEDS:
        assert set(need.checks) <= names
        assert set(need.libraries) <= set(EXTRAS)


def test_scoring_lacks_no_library_and_haaqi_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    checks = [Check("Docker engine", False, ""), Check("evaluator image", False, ""), Check("lock", True, "")]
    found = {one.commands: one for one in abilities(checks)}
    docker = found["score --sandbox docker"]
    assert (docker.checks, docker.libraries) == (("Docker engine", "evaluator image"), ())
    assert found["score --sandbox process"].works
    assert (found["haaqi"].checks, found["haaqi"].libraries) == ((), ("numba", "scipy", "soxr"))


def test_the_command_lists_what_is_missing_with_the_way_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent")
    known = importlib.util.find_spec

    def find(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name in EXTRAS else known(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    cad1(["doctor", "--store", str(tmp_path_factory.mktemp("store"))])
    text = capsys.readouterr().out
    assert "\u2717 score --sandbox docker: missing Docker engine, evaluator image\n" in text
    assert "\u2717 haaqi: missing numba, scipy, soxr\n    Install the extra `score`" in text
    assert "openunmix\n    Install the extra `baselines`" in text
    assert text.count("Install and start one") == 1, "one hint is enough"
