"""Whose something is: a run's mark on its containers, folders and processes, and whether that run still lives."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

RUN_ENV = "CAD1_RUN"
"""Tells the processes of a run, in their environment, whose they are."""

_FOLDER = re.compile(r"^cad1-[a-z]+-(\d+@\d+)-")


def process_stamp(pid: int) -> str:
    """A process told apart from any later one with its number: `pid@start`.

    On Linux the start is in ticks since the machine came up, which no change of the clock moves; elsewhere in whole
    seconds since 1970.

    Raises:
        psutil.NoSuchProcess: If there is none.
    """
    if sys.platform != "linux":
        return f"{pid}@{int(psutil.Process(pid).create_time())}"
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(pid) from None
    return f"{pid}@{text.rpartition(')')[2].split()[19]}"


def own_stamp() -> str:
    """The stamp of this run."""
    return process_stamp(os.getpid())


def is_alive(stamp: str) -> bool:
    """Whether the process of a stamp still runs."""
    try:
        return process_stamp(int(stamp.partition("@")[0])) == stamp
    except (ValueError, psutil.Error):
        return False


@contextmanager
def temporary_folder(kind: str) -> Iterator[Path]:
    """A temporary folder that says whose it is, removed at the end of the block.

    Args:
        kind: What it is for, one word of small letters.
    """
    with tempfile.TemporaryDirectory(
        prefix=f"cad1-{kind}-{own_stamp()}-", ignore_cleanup_errors=True
    ) as name:
        yield Path(name)


def stamp_of(folder: Path) -> str:
    """The stamp in a temporary folder's name; empty if it has none."""
    match = _FOLDER.match(folder.name)
    return match[1] if match else ""
