"""How many files a sandbox under bubblewrap has made in its /tmp.

bubblewrap can limit the size of a tmpfs but not its number of files. An empty file or folder has no size, but takes
about a kilobyte of kernel memory that no process's resident size contains.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

TEMPORARY = Path("/tmp")  # noqa: S108  (every sandbox's own)


def temporary_inodes(pids: Iterable[int]) -> int:
    """The number of files and folders in the /tmp of the processes that have another one than this process.

    Args:
        pids: The processes of one sandbox. bubblewrap's own first process has this process's /tmp and is left out;
            so are processes that have ended or have no /tmp.

    Returns:
        Used inodes of the largest /tmp among them; 0 if none of them has one.

    Raises:
        OSError: If the kernel does not let this process look.
    """
    own = TEMPORARY.stat().st_dev
    most = 0
    for pid in pids:
        folder = Path(f"/proc/{pid}/root", TEMPORARY.relative_to("/"))
        try:
            if folder.stat().st_dev == own:
                continue
            system = os.statvfs(folder)
        except (FileNotFoundError, ProcessLookupError):
            continue
        most = max(most, system.f_files - system.f_ffree)
    return most
