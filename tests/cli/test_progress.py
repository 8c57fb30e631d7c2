"""The time left follows from all work since the start, because examples finish in batches; it is never 0:00:00."""

from __future__ import annotations

import pytest
from rich.console import Console
from rich.progress import Task
from rich.text import Text

from harness.cli.progress import ProgressBar, TimeLeft


@pytest.mark.parametrize(
    ("done", "shown"), [(20, "-:--:--"), (28, "0:15:00"), (60, "0:01:40"), (99, "0:00:01"), (100, "-:--:--")]
)
def test_the_time_left_after_a_batch(done: int, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Task, "elapsed", property(lambda task: 100.0))
    bar = ProgressBar("Scoring", Console(force_terminal=True, quiet=True))
    for number in sorted({20, *range(20, done + 1)}):  # 20 were done before
        bar(number, 100)
    assert bar._bar is not None
    (task,) = bar._bar.tasks
    assert TimeLeft().render(task) == Text(shown, style="progress.remaining")
