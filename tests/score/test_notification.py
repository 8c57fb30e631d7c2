"""Notifications run beside scoring, in order, and never stop it."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from harness.protocol.errors import UsageError
from harness.score.changes import Change
from harness.score.notification import Notifier

CHANGE = Change("E001", "a" * 64, "submission_E001.zip", "test", None, "received", "", "", None, "2026")


def test_changes_arrive_in_order(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with Notifier(f"sh -c 'cat >> {notes}'", log=pytest.fail) as notifier:
        for number in range(5):
            notifier(replace(CHANGE, cause=str(number)))
    found = [json.loads(line) for line in notes.read_text().splitlines()]
    assert [one["cause"] for one in found] == list("01234")
    assert set(found[0]) == {
        *("schema_version", "team", "submission", "file", "split", "before", "after"),
        *("fault", "cause", "average", "at"),
    }


def test_a_slow_command_does_not_hold_scoring_and_is_ended_with_its_children(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    lines: list[str] = []
    command = f"{sys.executable} -c \"import subprocess; c = subprocess.Popen(['sleep', '60']);" \
        f" open('{pid}', 'w').write(str(c.pid)); c.wait()\""  # fmt: skip
    started = time.monotonic()
    with Notifier(command, log=lines.append, seconds=2.0) as notifier:
        notifier(CHANGE)
        assert time.monotonic() - started < 1, "the caller waits for the command"
    assert time.monotonic() - started < 20
    (line,) = lines
    assert "took more than 2 s and was ended" in line
    child, end = int(pid.read_text()), time.monotonic() + 20
    while runs(child) and time.monotonic() < end:  # a killed process takes a moment to end
        time.sleep(0.05)
    assert not runs(child)


def runs(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_command_that_reads_nothing_is_no_failure() -> None:
    with Notifier("true", log=pytest.fail) as notifier:
        notifier(replace(CHANGE, cause="x" * 200_000))


def test_a_command_that_cannot_be_parsed_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="No closing quotation"):
        Notifier("sh -c 'x", log=pytest.fail)
    with pytest.raises(UsageError, match="needs a command"):
        Notifier(" ", log=pytest.fail)
