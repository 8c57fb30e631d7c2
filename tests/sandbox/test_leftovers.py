"""What dead runs left is found and removed; what living runs use is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from harness.sandbox import leftovers
from harness.sandbox.docker.container import LABEL
from harness.sandbox.leftovers import sweep
from harness.sandbox.stamp import RUN_ENV, is_alive, own_stamp, process_stamp, stamp_of, temporary_folder

if TYPE_CHECKING:
    import docker


@pytest.fixture
def dead() -> str:
    """The stamp of a run that has ended."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    stamp = process_stamp(child.pid)
    assert is_alive(stamp)
    child.communicate(b"\n")
    assert not is_alive(stamp)
    return stamp


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def sleeper() -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Starts processes that bear a run's stamp."""
    started = []

    def start(stamp: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(["sleep", "600"], env=os.environ | {RUN_ENV: stamp}))
        return started[-1]

    yield start
    for child in started:
        child.kill()
        child.wait()


def test_a_folder_says_whose_it_is(temporary: Path) -> None:
    with temporary_folder("job") as folder:
        assert folder.parent == temporary
        assert stamp_of(folder) == own_stamp()
        (folder / "file").write_text("x")
    assert not folder.exists()
    assert stamp_of(Path("cad1-job-x")) == ""


def test_the_stamp_does_not_move_with_the_clock() -> None:
    """The start is counted from the machine's own, not from a date that is computed anew each time."""
    ticks = int(own_stamp().partition("@")[2])
    started = psutil.boot_time() + ticks / os.sysconf("SC_CLK_TCK")
    assert abs(started - psutil.Process().create_time()) < 5
    assert not is_alive(f"{os.getpid()}@{ticks + 1}")


def test_folders_of_dead_runs_go_and_those_of_living_ones_stay(
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
    swept = sweep()
    assert [one.name for one in swept.removed if one.kind == "folder"] == [str(gone)]
    assert [one.stamp for one in swept.removed if one.kind == "folder"] == [dead]
    assert not gone.exists()
    assert all((folder / "below").is_dir() for folder in kept)
    assert file.exists()
    assert link.is_symlink()
    assert not swept.kept


def test_processes_of_dead_runs_are_ended_and_those_of_living_ones_are_not(
    temporary: Path,
    dead: str,
    sleeper: Callable[[str], subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    stray, living, nobodys = sleeper(dead), sleeper(own_stamp()), sleeper("")
    removed = {one.name for one in sweep().removed if one.kind == "process"}
    assert str(stray.pid) in removed
    assert {str(living.pid), str(nobodys.pid)}.isdisjoint(removed)
    stray.wait(20)  # psutil has taken its exit code
    assert not psutil.pid_exists(stray.pid)
    assert living.poll() is None
    assert nobodys.poll() is None


@pytest.mark.docker
def test_containers_are_found_too(
    engine: docker.DockerClient, image: str, dead: str, temporary: Path
) -> None:
    gone = engine.containers.create(image, labels={LABEL: dead})
    kept = engine.containers.create(image, labels={LABEL: own_stamp()})
    try:
        removed = {one.name for one in sweep().removed if one.kind == "container"}
        assert gone.short_id in removed
        assert kept.short_id not in removed
    finally:
        kept.remove(force=True)


def test_what_can_not_be_removed_is_said(temporary: Path, dead: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    (temporary / f"cad1-job-{dead}-abc").mkdir()

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(leftovers.shutil, "rmtree", refuse)
    swept = sweep()
    assert [(one.kind, why) for one, why in swept.kept] == [
        ("folder", f"[Errno 13] Permission denied: '{temporary}/cad1-job-{dead}-abc'")
    ]
