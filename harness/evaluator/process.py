"""The evaluator's process: its end with the host, its compiled kernels, its memory, its processor."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import threading
from pathlib import Path

from harness.protocol.variables import CACHE_ENV


def die_with_parent() -> None:
    """Ends this process when the host's end of standard input closes."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os._exit(130)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()


def use_compiled_kernels() -> None:
    """Gives Numba a writable copy of the kernels compiled at build time: it takes no cache it can't write to."""
    compiled = os.environ.get(CACHE_ENV)
    if compiled and Path(compiled).is_dir():
        target = Path(os.environ.get("TMPDIR", "/tmp")) / "numba"  # noqa: S108  (the sandbox's own tmpfs)
        shutil.copytree(compiled, target, dirs_exist_ok=True)
        os.environ["NUMBA_CACHE_DIR"] = str(target)


def cpu_model() -> str:
    """The processor's name, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()[:200]
    except OSError:  # not on Linux
        pass
    return (platform.processor() or platform.machine())[:200]


def peak_memory() -> int:
    """The most memory this process has held, in bytes; 0 where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except (OSError, IndexError, ValueError):  # not on Linux
        pass
    try:
        import resource  # noqa: PLC0415  (not on Windows)
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # of a child of a large process, that one's
    return peak if sys.platform == "darwin" else peak * 1024
