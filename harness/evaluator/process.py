"""The evaluator's process: compiled kernels and peak memory."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from harness.protocol.variables import CACHE_ENV


def use_compiled_kernels() -> None:
    """Gives Numba a writable copy of the precompiled kernels, since it uses no cache that it can't write to.

    Numba must not be imported before: it reads the cache's folder at import.
    """
    compiled = os.environ.get(CACHE_ENV)
    if compiled and Path(compiled).is_dir():
        target = Path(os.environ.get("TMPDIR", "/tmp")) / "numba"  # noqa: S108  (the sandbox's own tmpfs)
        shutil.copytree(compiled, target, dirs_exist_ok=True)
        os.environ["NUMBA_CACHE_DIR"] = str(target)


def peak_memory() -> int:
    """The peak resident memory of this process in bytes; 0 if the system does not report it."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except (OSError, IndexError, ValueError):  # not on Linux
        pass
    try:
        import resource  # noqa: PLC0415  (not on Windows)
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in a child of a larger process, the parent's
    return peak if sys.platform == "darwin" else peak * 1024
