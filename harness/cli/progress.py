"""Progress on standard error: a bar with the time left on a terminal, one plain line now and then elsewhere."""

from __future__ import annotations

import time
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

PLAIN_SECONDS = 15.0
"""Between two plain lines, so that a log of a whole night stays readable."""


class Left(ProgressColumn):
    """The time left, by all that has been done since the start: examples come in bursts."""

    def render(self, task: Task) -> Text:
        """Shows h:mm:ss, or dashes as long as nothing has been done."""
        done = task.completed - task.fields["begun"]
        if task.total is None or task.elapsed is None or done <= 0:
            return Text("-:--:--", style="progress.remaining")
        seconds = round(task.elapsed * (task.total - task.completed) / done)
        return Text(str(timedelta(seconds=seconds)), style="progress.remaining")


class Reporter:
    """Shows how far a piece of work is.

    Args:
        title: What is being done.
        console: Where to; standard error as a rule.
    """

    def __init__(self, title: str, console: Console) -> None:
        self._title = title
        self._console = console
        self._last = float("-inf")
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                Left(),
                console=console,
                transient=True,
            )
            self._task = self._bar.add_task(title, total=None, begun=0)
            self._begun = False

    def __enter__(self) -> Reporter:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int, what: str = "") -> None:
        """Shows that `done` of `total` are done, the last of them `what`."""
        if self._bar is not None:
            if not self._begun:
                self._begun = True
                self._bar.update(self._task, begun=done)
            self._bar.update(self._task, completed=done, total=total)
            return
        now = time.monotonic()
        if done == total or now - self._last >= PLAIN_SECONDS:
            self._last = now
            self._console.print(
                f"{self._title}: {done} of {total}{f', {what}' if what else ''}",
                markup=False,
                highlight=False,
            )
