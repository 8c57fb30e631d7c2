"""The time left comes from all that has been done since the start: examples come in bursts."""

from __future__ import annotations

import pytest
from rich.console import Console
from rich.progress import Task
from rich.text import Text

from harness.cli.progress import Left, Reporter


@pytest.mark.parametrize(
    ("done", "shown"), [(20, "-:--:--"), (28, "0:15:00"), (60, "0:01:40"), (100, "0:00:00")]
)
def test_a_burst_after_a_pause_says_how_long_the_rest_takes(
    done: int, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Task, "elapsed", property(lambda task: 100.0))
    reporter = Reporter("Scoring", Console(force_terminal=True, quiet=True))
    for number in sorted({20, *range(20, done + 1)}):  # 20 were there before
        reporter(number, 100)
    assert reporter._bar is not None
    (task,) = reporter._bar.tasks
    assert Left().render(task) == Text(shown, style="progress.remaining")
