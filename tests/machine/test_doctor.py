"""`cad1 doctor` reports every check, with a fix for each problem; the exit code depends on what works."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from harness.machine import doctor
from harness.machine.doctor import Check, can_score, examine
from harness.protocol.errors import SetupError
from harness.protocol.lock import Lock

Cad1 = Callable[..., subprocess.CompletedProcess[str]]
NAMES = (
    *(
        "Python",
        "processor",
        "memory",
        "disk",
        "store",
        "lock",
        "Docker engine",
        "evaluator image",
        "bubblewrap",
    ),
    *("process sandbox", "leftovers"),
)


class Memory(NamedTuple):
    total: int
    available: int


class Disk(NamedTuple):
    free: int


class Mount(NamedTuple):
    mountpoint: str
    fstype: str


def check(name: str, store: Path) -> Check:
    (found,) = [one for one in examine(store) if one.name == name]
    return found


def test_the_command_prints_every_check(cad1: Cad1, tmp_path: Path) -> None:
    done = cad1("doctor", "--store", tmp_path)
    assert done.returncode == 0
    for name in NAMES:
        assert f"{name}:" in done.stdout


def test_without_an_engine_docker_fails_with_a_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    for name in ("Docker engine", "evaluator image"):
        found = check(name, tmp_path)
        assert not found.good
        assert "No Docker engine answers" in found.found
        assert found.hint


def test_too_little_memory_or_disk_fails_with_a_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(8 * doctor.GIB, doctor.GIB))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Disk(doctor.GIB))
    for name, found in (("memory", "1.0 GiB free of 8.0 GiB"), ("disk", "1.0 GiB free for the store")):
        result = check(name, tmp_path / "none" / "store")
        assert not result.good
        assert found in result.found
        assert result.hint


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_a_store_on_a_network_file_system_fails_with_a_fix(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path.resolve()
    mounts = [
        Mount("/", "ext4"),
        Mount(str(folder / "data"), kind),
        Mount(str(folder / "data" / "disk"), "xfs"),
    ]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounts)  # noqa: A006
    for name in ("data/disk", "data-2"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    result = check("store", folder / "data" / "none" / "store")
    assert not result.good
    assert f"{folder}/data is on a network file system ({kind})" in result.found
    assert result.hint
    assert not check("store", Path(f"{folder}/data/../data")).good
    for name, expected in (("data/disk/store", "xfs"), ("data-2", "ext4"), ("", "ext4")):
        result = check("store", folder / name)
        assert result.good
        assert f"is on {expected}," in result.found


def test_of_two_mounts_at_one_place_the_last_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(tmp_path.resolve())
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: [Mount(folder, "ext4"), Mount(folder, "nfs")])  # noqa: A006
    assert not check("store", tmp_path).good


def test_a_check_that_raises_is_reported_as_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(_: object) -> None:
        raise SetupError("references.py has another SHA-256.", hint="Restore it.")

    def unreadable(_: Path) -> Check:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Lock, "check_host", changed)
    monkeypatch.setattr(doctor, "_disk", unreadable)
    assert check("lock", tmp_path) == Check(
        "lock", False, "references.py has another SHA-256.", "Restore it."
    )
    disk = check("disk", tmp_path)
    assert not disk.good
    assert "Permission denied" in disk.found


@pytest.mark.parametrize(
    ("passed", "able"),
    [
        ({"lock", "evaluator image"}, True),
        ({"lock", "process sandbox"}, True),
        ({"lock", "Docker engine", "bubblewrap"}, False),
        ({"evaluator image", "process sandbox"}, False),
    ],
)
def test_scoring_needs_the_lock_and_a_sandbox(passed: set[str], able: bool) -> None:
    assert can_score([Check(name, name in passed, "") for name in NAMES]) is able
