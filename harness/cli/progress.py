"""Progress on standard error: a bar with the time left on a terminal, a plain line from time to time elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import timedelta
from types import TracebackType

from rich.console import Console, RenderableType
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

from harness.cli.console import is_quiet, log_line
from validator.findings.text import for_terminal

PLAIN_SECONDS = 15.0
"""Between two plain lines, so that the log of a whole night stays readable."""


class TimeLeft(ProgressColumn):
    """The time left at the average rate since the start; rich's own column misreads batches of examples."""

    def render(self, task: Task) -> Text:
        """Shows h:mm:ss, at least a second; dashes before the first result and when only other work is left."""
        done = task.completed - task.fields["done_at_start"]
        if task.total is None or task.elapsed is None or done <= 0 or task.completed >= task.total:
            return Text("-:--:--", style="progress.remaining")
        seconds = max(1, round(task.elapsed * (task.total - task.completed) / done))
        return Text(str(timedelta(seconds=seconds)), style="progress.remaining")


class _Bar(Progress):
    """A bar, and on the line below it what is being done."""

    def get_renderables(self) -> Iterable[RenderableType]:
        """The two lines."""
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            if item := task.fields["item"]:
                yield Text(f"  {item}", no_wrap=True, overflow="ellipsis")


class ProgressBar:
    """Shows the progress of some work for the length of a `with` block; a `ProgressCallback`.

    Args:
        title: The work, such as `Scoring`.
        console: Where to show it, usually standard error.
    """

    def __init__(self, title: str, console: Console) -> None:
        self._title = title
        self._console = console
        self._last_line = float("-inf")
        self._bar: _Bar | None = None
        if console.is_terminal and not is_quiet():
            self._bar = _Bar(
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeLeft(),
                console=console,
                transient=True,
            )
            self._task = self._bar.add_task(title, total=None, done_at_start=0, item="")
            self._started = False

    def __enter__(self) -> ProgressBar:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int, item: str = "") -> None:
        """Shows that `done` of `total` items are done; `item` describes the last one."""
        if self._bar is not None:
            if not self._started:
                self._started = True
                self._bar.update(self._task, done_at_start=done)
            self._bar.update(self._task, completed=done, total=total, item=for_terminal(item))
            return
        if is_quiet():
            return
        now = time.monotonic()
        if done == total or now - self._last_line >= PLAIN_SECONDS:
            self._last_line = now
            line = f"{self._title}: {done} of {total}{f', {item}' if item else ''}"
            self._console.print(log_line(line), soft_wrap=True)


class BusyBar:
    """A progress bar that is there only while there is work; a `ProgressCallback` for a `with` block.

    Args:
        title: The work, such as `Scoring`.
        console: Where to show it, usually standard error.
    """

    def __init__(self, title: str, console: Console) -> None:
        self._title = title
        self._console = console
        self._bar: ProgressBar | None = None

    def __enter__(self) -> BusyBar:
        return self

    def __exit__(self, *_: object) -> None:
        self.rest()

    def __call__(self, done: int, total: int, item: str = "") -> None:
        """Shows that `done` of `total` items are done, in a new bar if there is none."""
        if self._bar is None:
            self._bar = ProgressBar(self._title, self._console)
            self._bar.__enter__()
        self._bar(done, total, item)

    def rest(self) -> None:
        """Removes the bar until there is work again."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None
