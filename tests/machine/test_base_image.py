"""The base image of Debian packages: its script is installed, and a failure names its cause."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from harness.machine import base_image
from harness.machine.base_image import SCRIPT, make_base_image, script
from harness.protocol.errors import SetupError

ROOT = Path(__file__).resolve().parents[2]


def test_a_wheel_has_the_script_where_it_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included[f"scripts/{SCRIPT}"] == f"harness/{SCRIPT}"
    assert script() == ROOT / "scripts" / SCRIPT
    installed = tmp_path / "harness"
    monkeypatch.setattr(base_image, "HARNESS", installed)
    with pytest.raises(SetupError, match="is missing from this installation"):
        script()
    installed.mkdir()
    (installed / SCRIPT).write_text("")
    assert script() == installed / SCRIPT


def test_a_program_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "sh").symlink_to("/bin/sh")
    lines: list[str] = []
    with pytest.raises(SetupError, match="could not be made: mmdebstrap is missing") as caught:
        make_base_image("base:test", log=lines.append)
    assert "docker.io" in lines[0]
    assert caught.value.hint
