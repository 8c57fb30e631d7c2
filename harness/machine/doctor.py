"""Checks what this machine can do, with a fix for each problem."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.protocol.distributions import HINT, rival_distributions
from harness.protocol.errors import HarnessError, SetupError
from harness.protocol.lock import HARNESS, Lock
from harness.protocol.processor import cpu_model
from harness.sandbox.docker.engine import connect
from harness.sandbox.docker.image import IMAGE, check_image
from harness.sandbox.leftovers import leftovers
from harness.sandbox.local.bubblewrap import find_bwrap
from harness.sandbox.local.environment import find_python, is_ready
from harness.sandbox.wheels import cache_folder
from harness.score.dead_runs import dead_leases

GIB = 2**30
MAX_NAMED = 8
"""Leftovers that the report lists."""

NEEDED_MEMORY = 4 * GIB
"""One container with pyclarity on 30-s segments, and the host."""

NEEDED_DISK = 2 * GIB
"""The image, the wheels and the ledger; a submission of 23 GB is read in place."""

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "ceph", "glusterfs", "lustre", "beegfs", "gpfs"}
    | {
        "orangefs",
        "webdav",
        "afpfs",
        "fuse.sshfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.gcsfuse",
        "fuse.blobfuse",
    }
    | {"fuse.goofys", "fuse.glusterfs", "fuse.ceph-fuse", "fuse.gvfsd-fuse", "fuse.davfs2", "fuse.curlftpfs"}
    | {"fuse.juicefs", "fuse.mfsmount", "fuse.vmhgfs-fuse"}
)
"""Types of file systems whose files lie on another machine, as the mount table names them."""

V3_FLAGS = frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "abm", "sse4_2"})


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        name: What was checked.
        good: Whether it passed.
        found: What was found, in one sentence.
        hint: How to fix it; empty if it passed.
    """

    name: str
    good: bool
    found: str
    hint: str = ""


def examine(store: Path) -> list[Check]:
    """Checks everything that scoring needs; a check that raises is reported as failed."""
    return [
        _try("Python", _python),
        _try("processor", _processor),
        _try("memory", _memory),
        _try("disk", lambda: _disk(store)),
        _try("store", lambda: _store(store)),
        _try("lock", _lock),
        _try("packages", _packages),
        _try("Docker engine", _engine),
        _try("evaluator image", _image),
        _try("bubblewrap", _bubblewrap),
        _try("process sandbox", _process),
        _try("leftovers", lambda: _leftovers(store)),
    ]


def can_score(checks: list[Check]) -> bool:
    """Whether this machine can score: the lock matches and at least one sandbox works."""
    good = {check.name for check in checks if check.good}
    return "lock" in good and ("evaluator image" in good or "process sandbox" in good)


def _try(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except HarnessError as error:
        return Check(name, False, error.message, error.hint)
    except OSError as error:
        return Check(name, False, f"Cannot be checked: {error}.")


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] == (3, 11):
        return Check("Python", True, f"{version}, the scorer's version")
    return Check("Python", True, f"{version}; the scorer needs 3.11, which the sandboxes bring or look for")


def _processor() -> Check:
    cores = os.cpu_count() or 1
    found = f"{cpu_model()}, {cores} cores"
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Check("processor", True, f"{found}; cannot determine whether it supports x86-64-v3")
    flags = next((set(line.split()) for line in text.splitlines() if line.startswith("flags")), set())
    missing = sorted(V3_FLAGS - flags)
    if missing:
        return Check(
            "processor",
            False,
            f"{found}; lacks {', '.join(missing)} of x86-64-v3, which the image needs",
            "Score on an x86-64 machine from 2013 (Intel) or 2015 (AMD) or later.",
        )
    return Check("processor", True, f"{found}, x86-64-v3")


def _memory() -> Check:
    memory = psutil.virtual_memory()
    found = f"{memory.available / GIB:.1f} GiB free of {memory.total / GIB:.1f} GiB"
    if memory.available < NEEDED_MEMORY:
        return Check("memory", False, found, "Close other programs, or score with one worker.")
    return Check("memory", True, found)


def _disk(store: Path) -> Check:
    parts, good = [], True
    for name, folder in (("store", store.absolute()), ("cache", cache_folder())):
        existing = _existing(folder)
        free = shutil.disk_usage(existing).free
        good &= free >= NEEDED_DISK
        parts.append(f"{free / GIB:.1f} GiB free for the {name} in {existing}")
    return Check(
        "disk", good, "; ".join(parts), "" if good else "Free some disk space, or use another --store."
    )


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(one for one in [folder, *folder.parents] if one.exists())


def _store(store: Path) -> Check:
    """Whether the ledger's file system is one of this machine: SQLite's write-ahead log needs shared memory."""
    folder = _existing(store.absolute()).resolve()
    best, kind = -1, "an unknown file system"
    for mount in psutil.disk_partitions(all=True):
        depth = len(Path(mount.mountpoint).parts)
        if folder.is_relative_to(mount.mountpoint) and depth >= best:  # of two at one place, the last one
            best, kind = depth, mount.fstype
    if kind in NETWORK_FILE_SYSTEMS:
        return Check(
            "store",
            False,
            f"{folder} is on a network file system ({kind}), where the ledger's write-ahead log does not work",
            "Use a --store on a disk of this machine, and copy it elsewhere only while nothing is scoring.",
        )
    return Check("store", True, f"{folder} is on {kind}, a file system of this machine")


def _lock() -> Check:
    lock = Lock.load()
    lock.check_host()
    return Check("lock", True, f"scorer {lock.digest[:12]}, every scoring file matches")


def _packages() -> Check:
    rivals = rival_distributions(HARNESS.parent)
    if rivals:
        return Check("packages", False, "; ".join(rivals), HINT)
    return Check("packages", True, "no other distribution has files in harness or validator")


def _engine() -> Check:
    version = connect().version()
    return Check(
        "Docker engine", True, f"{version.get('Version')} on {version.get('Os')}/{version.get('Arch')}"
    )


def _image() -> Check:
    facts = check_image(connect(), IMAGE, Lock.load())
    return Check("evaluator image", True, f"{IMAGE} is {facts.id[7:19]}, from base {facts.base}")


def _leftovers(store: Path) -> Check:
    dead = [f"{one.kind} {one.name}" for one in leftovers()]
    dead += [f"the lease of {lease.runner} on {lease.team}" for lease in dead_leases(store)]
    if dead:
        return Check(
            "leftovers",
            False,
            f"{len(dead)} of dead runs: {'; '.join(dead[:MAX_NAMED])}",
            "`cad1 clean` removes them, and so does the next `cad1 score`.",
        )
    return Check("leftovers", True, "none")


def _bubblewrap() -> Check:
    program, version = find_bwrap()
    return Check("bubblewrap", True, f"{program} {'.'.join(map(str, version))}")


def _process() -> Check:
    python = find_python()
    if python is None:
        raise SetupError(
            "There is no Python 3.11 on this machine; scores from the process sandbox would be unlocked.",
            hint="Install Python 3.11, so that `python3.11` is on PATH.",
        )
    state = "its environment is ready" if is_ready(Lock.load()) else "its environment is created on first use"
    return Check("process sandbox", True, f"{python}; {state}")
