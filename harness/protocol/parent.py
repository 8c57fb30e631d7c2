"""The end of a sandboxed program with its host."""

from __future__ import annotations

import os
import select
import threading


def exit_with_parent() -> None:
    """Exits as soon as the host closes its end of standard input, or dies; what it has sent may still be unread."""
    if not hasattr(select, "poll"):  # Windows: reading the next message fails instead
        return
    watched = select.poll()
    watched.register(0, 0)  # a closed pipe is reported without being asked for

    def watch() -> None:
        watched.poll()
        os._exit(130)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()
