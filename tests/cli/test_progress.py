"""The time left follows from all work since the start, because examples finish in batches; it is never 0:00:00."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console
from rich.progress import Task
from rich.text import Text

from harness.cli.progress import BusyBar, ProgressBar, TimeLeft


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


def test_a_bar_of_work_that_comes_and_goes_is_gone_while_there_is_none() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with BusyBar("Scoring", console) as progress:
        assert shown_by(console) == ""
        progress(1, 2, "E001")
        assert "Scoring" in shown_by(console)
        progress.rest()
        before = shown_by(console)
        assert before.endswith("\x1b[2K"), "the bar is still there"
        time.sleep(0.3)
        assert shown_by(console) == before, "it is drawn again"
        progress(0, 1, "E002")
        assert len(shown_by(console)) > len(before)


def shown_by(console: Console) -> str:
    """Everything that was written to a console in memory."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_bar_says_what_is_being_done_without_cutting_off_the_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = Console(force_terminal=True, width=80, color_system=None)
    with ProgressBar("Enhancing", console) as bar:
        bar(
            4,
            4,
            "spot-checking 3 stems with pyclarity, each one on its own, with [bold]all[/] of its own noise",
        )
    shown = capsys.readouterr().out
    assert "0:00:00 left -:--:--" in shown
    assert "  spot-checking 3 stems with pyclarity" in shown
