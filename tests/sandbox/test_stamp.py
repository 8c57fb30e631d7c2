"""Stamps identify runs and tell whether they are alive."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from harness.sandbox.stamp import is_alive, own_stamp, process_stamp, stamp_of, temporary_folder


def test_a_stamp_is_alive_as_long_as_its_process() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    stamp = process_stamp(child.pid)
    assert is_alive(stamp)
    child.communicate(b"\n")
    assert not is_alive(stamp)


def test_a_stamp_identifies_one_process() -> None:
    assert is_alive(own_stamp())
    assert own_stamp() == process_stamp(os.getpid())
    assert not is_alive(own_stamp() + "0")
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
    ticks = int(own_stamp().partition("@")[2])
    started = psutil.boot_time() + ticks / os.sysconf("SC_CLK_TCK")
    assert abs(started - psutil.Process().create_time()) < 5
    assert not is_alive(f"{os.getpid()}@{ticks + 1}")
