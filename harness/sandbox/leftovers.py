"""What dead runs left behind on this machine: containers, temporary folders, processes; found and removed.

A run that is killed can't clean up. Everything it makes bears its stamp (`harness.sandbox.stamp`), so that another
can tell what is nobody's from what is still in use.
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
from harness.sandbox.docker.container import LABEL, connect, dead_containers, remove
from harness.sandbox.local.child import END_GRACE
from harness.sandbox.stamp import RUN_ENV, is_alive, stamp_of

Kind = Literal["container", "process", "folder"]


@dataclass(frozen=True)
class Leftover:
    """One thing that a dead run left.

    Attributes:
        kind: What it is.
        name: The container's short id, the process's number, or the folder's path.
        stamp: The run that made it, `pid@start`.
    """

    kind: Kind
    name: str
    stamp: str
    _remove: Callable[[], None] = field(repr=False, compare=False)

    def remove(self) -> None:
        """Removes it, and makes sure that it is gone; nothing happens if it is gone already.

        Raises:
            HarnessError: If the engine does not remove a container.
            OSError: If a folder can't be removed.
            psutil.Error: If a process can't be ended.
        """
        self._remove()


@dataclass(frozen=True)
class Swept:
    """What came of sweeping: what is gone, and what is not, each with the reason."""

    removed: tuple[Leftover, ...]
    kept: tuple[tuple[Leftover, str], ...]


def leftovers() -> list[Leftover]:
    """Everything of this user's that dead runs left, in the order in which it is best removed.

    Containers are left out where no engine answers. A process or folder that ends while it is looked at is none.
    """
    return [*_containers(), *_processes(), *_folders(Path(tempfile.gettempdir()))]


def sweep() -> Swept:
    """Removes everything that dead runs left; goes on where something can't be removed."""
    removed, kept = [], []
    for one in leftovers():
        try:
            one.remove()
        except (HarnessError, OSError, psutil.Error) as error:
            kept.append((one, str(error)))
        else:
            removed.append(one)
    return Swept(tuple(removed), tuple(kept))


def _containers() -> Iterator[Leftover]:
    try:
        dead = dead_containers(connect())
    except HarnessError:  # no engine, no containers; `cad1 doctor` says why there is none
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
        process.kill()  # psutil makes sure that the number is not another's by now
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
