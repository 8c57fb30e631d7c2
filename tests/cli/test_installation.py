"""Hints for missing extras name a command that works as printed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import installation
from harness.cli.console import EXTRAS
from harness.cli.installation import install_hint

ROOT = Path(__file__).resolve().parents[2]


def arguments(hint: str) -> list[str]:
    """The command in a hint, split as a shell splits it."""
    return shlex.split(hint.split("`")[3])


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed distribution outside of a clone; returns its metadata folder."""
    monkeypatch.setattr(installation, "HARNESS", tmp_path / "site-packages" / "harness")
    folder = tmp_path / "site-packages" / "cad1_harness-0.1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: cad1-harness\nVersion: 0.1.0\n")
    found = importlib.metadata.Distribution.at(folder)
    monkeypatch.setattr(installation, "distribution", lambda name: found)
    return folder


def test_a_clone_is_named_by_its_folder() -> None:
    assert arguments(install_hint("score")) == [
        *(sys.executable, "-m", "pip", "install", "--editable", f"{ROOT}[score]"),
    ]


def test_the_extra_exists_in_pyproject() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for extra in ("score", "baselines", "sign"):
        assert f"\n{extra} = [" in text


@pytest.mark.parametrize(
    ("origin", "requirement"),
    [
        (
            {"url": "file:///home/me/my%20clone", "dir_info": {"editable": False}},
            "/home/me/my clone[sign]",
        ),
        (
            {"url": "https://host/cad1.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "cad1-harness[sign] @ git+https://host/cad1.git@abc",
        ),
        (
            {"url": "file:///home/me/clone", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "/home/me/clone[sign]",
        ),
        (
            {"url": "file:///tmp/cad1_harness-0.1.0-py3-none-any.whl", "archive_info": {}},
            "cad1-harness[sign] @ file:///tmp/cad1_harness-0.1.0-py3-none-any.whl",
        ),
        (None, "cad1-harness[sign]"),
    ],
)
def test_an_installed_distribution_is_named_by_its_origin(
    installed: Path, origin: dict[str, object] | None, requirement: str
) -> None:
    if origin is not None:
        (installed / "direct_url.json").write_text(json.dumps(origin))
    assert arguments(install_hint("sign"))[-1] == requirement


def test_uv_installs_where_there_is_no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert arguments(install_hint("score"))[:5] == ["uv", "pip", "install", "--python", sys.executable]


def test_scoring_needs_no_extra(synthetic_root: Path, oracle_zip: Path, tmp_path: Path) -> None:
    """`cad1 score` asks for an engine where there is none, and for no library of an extra."""
    program = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({sorted(EXTRAS)!r}))\n"
        "from harness.cli.app import main\n"
        "main()\n"
    )
    arguments = ["score", oracle_zip, "--data", synthetic_root, "--team", "E001", "--store", tmp_path]
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True, text=True, check=False, env=os.environ | {"DOCKER_HOST": "unix:///nonexistent"},
    )  # fmt: skip
    assert done.returncode == 3
    assert "cad1: No Docker engine answers" in done.stderr
    assert "Install the extra" not in done.stderr
