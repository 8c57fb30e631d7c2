"""A run's stamp on its containers, folders and processes, which tells whether that run is still alive."""

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
"""Holds the stamp of the run that a process belongs to, in the process's environment."""

_FOLDER = re.compile(r"^cad1-[a-z]+-(\d+@\d+)-")


def process_stamp(pid: int) -> str:
    """Identifies a process, also from a later one with the same number: `pid@start`.

    On Linux the start is in clock ticks since boot, which a change of the clock does not affect; elsewhere in whole
    seconds since 1970.

    Raises:
        psutil.NoSuchProcess: If there is no such process.
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
    """Whether the process of a stamp is still running."""
    try:
        return process_stamp(int(stamp.partition("@")[0])) == stamp
    except (ValueError, psutil.Error):
        return False


@contextmanager
def temporary_folder(kind: str) -> Iterator[Path]:
    """A temporary folder with this run's stamp in its name, removed at the end of the block.

    Args:
        kind: What it is for, one word of lower-case letters.
    """
    with tempfile.TemporaryDirectory(
        prefix=f"cad1-{kind}-{own_stamp()}-", ignore_cleanup_errors=True
    ) as name:
        yield Path(name)


def stamp_of(folder: Path) -> str:
    """The stamp in a temporary folder's name; empty if it has none."""
    match = _FOLDER.match(folder.name)
    return match[1] if match else ""
