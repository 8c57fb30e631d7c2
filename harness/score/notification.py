"""Notifications: an organiser's command that is run at each change of a submission's state."""

from __future__ import annotations

import json
import os
import queue
import shlex
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType

from harness.protocol.errors import UsageError
from harness.score.changes import Change
from harness.score.request import LogCallback

SECONDS = 30.0
"""How long the command may take for one change."""

LAST_SECONDS = 60.0
"""How long the end of scoring waits for the commands of all changes before it."""

MAX_OUTPUT = 300
"""Characters of the command's own message that are logged."""


def message(change: Change) -> str:
    """A change as the command gets it: one JSON object on one line."""
    return json.dumps({"schema_version": 1, **asdict(change)}, allow_nan=False) + "\n"


class Notifier:
    """Runs a command for each change for the length of a `with` block; a `ChangeCallback`.

    The command gets the change on standard input. It runs beside scoring, for one change after the other; a command
    that fails or takes too long is logged, and stops nothing.

    Args:
        command: The command and its arguments, quoted as for a shell, but run without one.
        log: Called with a line for each command that failed.
        seconds: How long the command may take.

    Raises:
        UsageError: There is no command, or its quotes do not match.
    """

    def __init__(self, command: str, *, log: LogCallback, seconds: float = SECONDS) -> None:
        try:
            self._command = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"--notify {command}: {error}.", hint="Check the quotes.") from error
        if not self._command:
            raise UsageError("--notify needs a command.", hint="For example --notify ./mail.sh")
        self._log = log
        self._seconds = seconds
        self._end = float("inf")
        self._changes: queue.SimpleQueue[Change | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True, name="notifier")

    def __enter__(self) -> Notifier:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end = time.monotonic() + LAST_SECONDS
        self._changes.put(None)
        self._thread.join()

    def __call__(self, change: Change) -> None:
        """Runs the command for a change, soon."""
        self._changes.put(change)

    def _work(self) -> None:
        while (change := self._changes.get()) is not None:
            about = f"{self._command[0]} for {change.team}, {change.after}"
            if time.monotonic() >= self._end:
                self._log(f"Notification skipped, since the ones before took too long: {about}")
                continue
            problem = self._run(message(change))
            if problem:
                self._log(f"Notification failed: {about}: {problem}")

    def _run(self, text: str) -> str:
        """Runs the command once; returns what went wrong, or an empty string."""
        try:
            child = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for us, and a timeout ends its children too
            )
        except OSError as error:
            return f"it can't be started: {error.strerror or error}"
        seconds = min(self._seconds, max(self._end - time.monotonic(), 0.0))
        try:
            _, output = child.communicate(text.encode(), timeout=seconds)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            return f"it took more than {seconds:.0f} s and was ended"
        if child.returncode == 0:
            return ""
        lines = output.decode(errors="replace").strip().splitlines()
        return f"exit code {child.returncode}{f', {lines[-1][:MAX_OUTPUT]}' if lines else ''}"
