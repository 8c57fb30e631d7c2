"""Leftovers of dead runs are found and removed; what living runs use is kept.

A dead run is one that only the test takes for dead, so that no other run on this machine removes its leftovers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from harness.sandbox import leftovers
from harness.sandbox.docker import container
from harness.sandbox.docker.container import LABEL
from harness.sandbox.leftovers import sweep
from harness.sandbox.stamp import RUN_ENV, is_alive, own_stamp, process_stamp

if TYPE_CHECKING:
    import docker


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The stamp of a run that this test takes for dead."""
    child = subprocess.Popen(["sleep", "600"])
    stamp = process_stamp(child.pid)
    for module in (leftovers, container):
        monkeypatch.setattr(module, "is_alive", lambda one: one != stamp and is_alive(one))
    yield stamp
    child.kill()
    child.wait()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def sleeper() -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Starts processes with a run's stamp."""
    started = []

    def start(stamp: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(["sleep", "600"], env=os.environ | {RUN_ENV: stamp}))
        return started[-1]

    yield start
    for child in started:
        child.kill()
        child.wait()


def test_folders_of_dead_runs_are_removed_and_those_of_living_ones_kept(
    temporary: Path, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    gone = temporary / f"cad1-job-{dead}-abc"
    kept = [
        temporary / f"cad1-job-{own_stamp()}-abc",
        temporary / "cad1-notes",
        temporary / f"other-job-{dead}-abc",
    ]
    for folder in (gone, *kept):
        (folder / "below").mkdir(parents=True)
    file = temporary / f"cad1-job-{dead}-file"
    file.write_text("x")
    link = temporary / f"cad1-job-{dead}-link"
    link.symlink_to(kept[0])
    result = sweep()
    assert [one.name for one in result.removed if one.kind == "folder"] == [str(gone)]
    assert [one.stamp for one in result.removed if one.kind == "folder"] == [dead]
    assert not gone.exists()
    assert all((folder / "below").is_dir() for folder in kept)
    assert file.exists()
    assert link.is_symlink()
    assert not result.kept


def test_processes_of_dead_runs_are_killed_and_those_of_living_ones_are_not(
    temporary: Path,
    dead: str,
    sleeper: Callable[[str], subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    stray, living, unstamped = sleeper(dead), sleeper(own_stamp()), sleeper("")
    removed = {one.name for one in sweep().removed if one.kind == "process"}
    assert str(stray.pid) in removed
    assert {str(living.pid), str(unstamped.pid)}.isdisjoint(removed)
    stray.wait(20)  # psutil has taken its exit code
    assert not psutil.pid_exists(stray.pid)
    assert living.poll() is None
    assert unstamped.poll() is None


@pytest.mark.docker
def test_containers_of_dead_runs_are_removed_and_those_of_living_ones_kept(
    engine: docker.DockerClient, image: str, dead: str, temporary: Path
) -> None:
    gone = engine.containers.create(image, ["true"], labels={LABEL: dead})
    kept = engine.containers.create(image, ["true"], labels={LABEL: own_stamp()})
    try:
        removed = {one.name for one in sweep().removed if one.kind == "container"}
        assert gone.short_id in removed
        assert kept.short_id not in removed
    finally:
        kept.remove(force=True)


def test_what_can_not_be_removed_is_reported(
    temporary: Path, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    (temporary / f"cad1-job-{dead}-abc").mkdir()

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", refuse)
    result = sweep()
    assert [(one.kind, reason) for one, reason in result.kept] == [
        ("folder", f"[Errno 13] Permission denied: '{temporary}/cad1-job-{dead}-abc'")
    ]
