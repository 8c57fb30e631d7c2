"""A run's stamp on its containers, folders and processes, which tells whether that run is still alive."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

RUN_ENV = "CAD1_STAMP"
"""Holds the stamp of the run that a process belongs to, in the process's environment.

Earlier versions looked for `CAD1_RUN` and take a stamp with boot and namespace for that of a dead run.
"""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Differs from boot to boot and from machine to machine; a container has that of its machine."""

PID_NAMESPACE = Path("/proc/self/ns/pid")
"""A link whose target names the namespace that process numbers here belong to; a container has one of its own."""

_FOLDER = re.compile(r"^cad1-[a-z]+-(\d+@\d+(?:@[0-9a-f]*@\d*)?)-")


def process_stamp(pid: int) -> str:
    """Identifies a process, also from a later one with the same number: on Linux `pid@start@boot@namespace`.

    On Linux the start is in clock ticks since boot, which a change of the clock does not affect; boot and namespace
    tell whether a process of that number can be seen from here. Elsewhere it is `pid@start`, the start in whole
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
    return "@".join([str(pid), text.rpartition(")")[2].split()[19], *_place()])


def _place() -> tuple[str, str]:
    """Where process numbers are those that this process sees: the boot and the namespace; empty if not known."""
    boot = namespace = ""
    with suppress(OSError):
        boot = BOOT_ID.read_text(encoding="ascii").replace("-", "")[:16].strip()
    with suppress(OSError):
        namespace = str(PID_NAMESPACE.readlink()).strip("pid:[]")
    return boot, namespace


def own_stamp() -> str:
    """The stamp of this run."""
    return process_stamp(os.getpid())


def can_be_seen(stamp: str) -> bool:
    """Whether its process, if it is running, can be seen from here: not that of another container of this boot."""
    boot, namespace = _place_of(stamp) or _place()
    return boot != _place()[0] or namespace == _place()[1]


def is_alive(stamp: str) -> bool:
    """Whether the process of a stamp is still running; one that can't be seen from here counts as alive.

    A process of another boot is not running. A stamp without boot and namespace, of an earlier version, is looked
    up among the processes that can be seen.
    """
    place = _place_of(stamp)
    if place and place[0] != _place()[0]:
        return False
    if not can_be_seen(stamp):
        return True
    number, _, rest = stamp.partition("@")
    try:
        found = process_stamp(int(number))
    except (ValueError, psutil.Error):
        return False
    return found == stamp if place else found.split("@")[1] == rest


def _place_of(stamp: str) -> tuple[str, str] | None:
    """The boot and the namespace in a stamp; None if it has none."""
    match stamp.split("@"):
        case [_, _, boot, namespace]:
            return boot, namespace
        case _:
            return None


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
