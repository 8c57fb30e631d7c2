"""`cad1 demo`, as a new user runs it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Cad1 = Callable[..., subprocess.CompletedProcess[str]]
SANDBOXES = [pytest.param("docker", marks=pytest.mark.docker), "process"]


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_the_demo_ranks_its_submissions_by_quality(
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
