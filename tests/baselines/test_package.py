"""The stored scores are part of an installed package."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from harness.baselines import regression
from harness.protocol.lock import HARNESS


def test_an_installed_package_finds_its_stored_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies the folders to where pyproject.toml puts them in a wheel."""
    clone = HARNESS.parent
    build = tomllib.loads((clone / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    included = build["targets"]["wheel"]["force-include"]
    shutil.copytree(clone / "submissions/baselines", tmp_path / included["submissions/baselines"])
    monkeypatch.setattr(regression, "HARNESS", tmp_path / "harness")
    assert regression.folder() == tmp_path / "harness" / "baselines" / "scores"
    assert {path.stem for path in regression.folder().glob("*.csv")} == set(regression.NAMES)


def test_the_script_is_the_entry_point() -> None:
    project = tomllib.loads((HARNESS.parent / "pyproject.toml").read_text())["project"]
    module, _, function = project["scripts"]["cad1"].partition(":")
    assert (module, function) == ("harness.cli.app", "main")
