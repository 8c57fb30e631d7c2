"""Leftovers of dead runs on this machine: finds and removes their containers, temporary folders and processes.

A run that is killed can't clean up. Everything it makes bears its stamp (`harness.sandbox.stamp`), which tells
leftovers from what is still in use.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psutil

from harness.protocol.errors import HarnessError
from harness.sandbox.docker.container import LABEL, dead_containers, remove
from harness.sandbox.docker.engine import connect
from harness.sandbox.local.child import END_GRACE
from harness.sandbox.stamp import RUN_ENV, is_alive, stamp_of

Kind = Literal["container", "process", "folder"]


@dataclass(frozen=True)
class Leftover:
    """One thing that a dead run left behind.

    Attributes:
        kind: What it is.
        name: The container's short id, the process id, or the folder's path.
        stamp: The run that made it.
    """

    kind: Kind
    name: str
    stamp: str
    _remove: Callable[[], None] = field(repr=False, compare=False)

    def remove(self) -> None:
        """Removes it and waits until it is gone; does nothing if it is gone already.

        Raises:
            HarnessError: If the engine does not remove a container.
            OSError: If a folder can't be removed.
            psutil.Error: If a process can't be ended.
        """
        self._remove()


@dataclass(frozen=True)
class SweepResult:
    """What `sweep` removed, and what it could not remove, with the reason."""

    removed: tuple[Leftover, ...]
    kept: tuple[tuple[Leftover, str], ...]


def leftovers() -> list[Leftover]:
    """All leftovers of this user's dead runs, in the best order for removal.

    Containers are left out if no engine answers. A process or folder that ends while it is looked at is none.
    """
    return [*_containers(), *_processes(), *_folders(Path(tempfile.gettempdir()))]


def sweep() -> SweepResult:
    """Removes all leftovers of dead runs; continues if one can't be removed."""
    removed, kept = [], []
    for one in leftovers():
        try:
            one.remove()
        except (HarnessError, OSError, psutil.Error) as error:
            kept.append((one, str(error)))
        else:
            removed.append(one)
    return SweepResult(tuple(removed), tuple(kept))


def _containers() -> Iterator[Leftover]:
    try:
        dead = dead_containers(connect())
    except HarnessError:  # no engine, no containers; `cad1 doctor` tells why there is none
        return
    for container in dead:
        yield Leftover(
            "container",
            str(container.short_id),
            container.labels.get(LABEL, ""),
            lambda container=container: remove(container),  # type: ignore[misc]
        )


def _processes() -> Iterator[Leftover]:
    for process in psutil.process_iter():
        try:
            stamp = process.environ().get(RUN_ENV, "")
        except (psutil.Error, OSError):  # another user's, or gone
            continue
        if stamp and not is_alive(stamp):
            yield Leftover("process", str(process.pid), stamp, lambda process=process: _end(process))  # type: ignore[misc]


def _end(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()  # psutil checks that the number has not been reused
        process.wait(END_GRACE)


def _folders(temporary: Path) -> Iterator[Leftover]:
    for path in sorted(temporary.glob("cad1-*")):
        stamp = stamp_of(path)
        try:
            mine = path.is_dir() and not path.is_symlink() and path.stat().st_uid == os.getuid()
        except OSError:  # gone
            continue
        if stamp and mine and not is_alive(stamp):
            yield Leftover("folder", str(path), stamp, lambda path=path: shutil.rmtree(path))  # type: ignore[misc]
