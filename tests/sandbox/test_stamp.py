"""Stamps identify runs and tell whether they are alive."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from harness.sandbox import stamp as stamps
from harness.sandbox.stamp import (
    can_be_seen,
    is_alive,
    own_stamp,
    process_stamp,
    stamp_of,
    temporary_folder,
)


def test_a_stamp_is_alive_as_long_as_its_process() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    stamp = process_stamp(child.pid)
    assert is_alive(stamp)
    child.communicate(b"\n")
    assert not is_alive(stamp)


def test_a_stamp_identifies_one_process() -> None:
    assert is_alive(own_stamp())
    assert own_stamp() == process_stamp(os.getpid())
    assert not is_alive(own_stamp().replace("@", "@9", 1))
    assert not is_alive("nonsense")


def test_a_temporary_folder_has_the_stamp_in_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary_folder("job") as folder:
        assert folder.parent == tmp_path
        assert stamp_of(folder) == own_stamp()
        (folder / "file").write_text("x")
    assert not folder.exists()
    assert stamp_of(Path("cad1-job-x")) == ""


def test_a_stamp_does_not_depend_on_the_clock() -> None:
    """The start is counted from boot, not from a date that is recomputed each time."""
    ticks = int(own_stamp().split("@")[1])
    started = psutil.boot_time() + ticks / os.sysconf("SC_CLK_TCK")
    assert abs(started - psutil.Process().create_time()) < 5
    assert not is_alive(own_stamp().replace(f"@{ticks}@", f"@{ticks + 1}@"))
    assert not is_alive(f"{os.getpid()}@{ticks + 1}")


@pytest.fixture
def dead() -> str:
    """The stamp of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    stamp = process_stamp(child.pid)
    child.wait()
    return stamp


def test_a_process_of_another_boot_is_dead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = own_stamp()
    (tmp_path / "boot").write_text("01234567-89ab-cdef-0123-456789abcdef\n")
    monkeypatch.setattr(stamps, "BOOT_ID", tmp_path / "boot")
    assert own_stamp().split("@")[2] == "0123456789abcdef"
    assert not is_alive(own)
    assert can_be_seen(own)
    assert is_alive(own_stamp())


def test_a_process_of_another_container_counts_as_alive(
    dead: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not is_alive(dead)
    own = own_stamp()
    (tmp_path / "namespace").symlink_to("pid:[12345]")
    monkeypatch.setattr(stamps, "PID_NAMESPACE", tmp_path / "namespace")
    assert own_stamp().endswith("@12345")
    assert is_alive(dead)
    assert not can_be_seen(dead)
    assert not can_be_seen(own)
    assert can_be_seen(own_stamp())
    assert is_alive(own_stamp())


def test_a_stamp_of_an_earlier_version_is_looked_up_here(dead: str) -> None:
    short, gone = ("@".join(stamp.split("@")[:2]) for stamp in (own_stamp(), dead))
    assert is_alive(short)
    assert not is_alive(gone)
    assert can_be_seen(gone)
    assert stamp_of(Path(f"cad1-job-{gone}-abc")) == gone


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
def test_a_real_process_of_another_container_counts_as_alive() -> None:
    """It has process number 1 there, and ends before it is judged: only its namespace tells them apart."""
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]; from harness.sandbox import stamp; print(stamp.own_stamp())"
    )
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
        + [sys.executable, "-c", code, str(Path(__file__).parents[2])],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"no namespaces here: {done.stderr}")
    stamp = done.stdout.strip()
    assert stamp.startswith("1@")
    assert is_alive(stamp)
    assert not can_be_seen(stamp)
