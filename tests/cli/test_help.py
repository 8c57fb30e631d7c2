"""The help of `cad1`: complete, readable at 80 columns, and quick."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from typer.core import TyperArgument, TyperGroup, TyperOption
from typer.main import get_command

from harness.cli import options
from harness.cli.app import COMMANDS, app
from harness.ledger.ledger import Ledger
from harness.protocol.records import Engine

Cad1 = Callable[..., subprocess.CompletedProcess[str]]
SLOW_LIBRARIES = ("pandas", "jinja2", "numpy", "docker", "soundfile", "pydantic", "psutil", "rich.progress")


@pytest.fixture
def narrow_help(cad1: Cad1, monkeypatch: pytest.MonkeyPatch) -> str:
    """`cad1 --help` on a terminal of 80 columns."""
    program = "from harness.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "80", "NO_COLOR": "1"},
    )
    return done.stdout


def test_every_command_has_a_line_under_its_heading(narrow_help: str) -> None:
    for heading, commands in COMMANDS.items():
        section = narrow_help.partition(f"{heading}:\n")[2].partition("\n\n")[0]
        for name in commands:
            assert re.search(rf"^  {name} +[A-Z]", section, re.MULTILINE), name
    assert re.search(r"^  image +[A-Z]", narrow_help, re.MULTILINE)


def test_no_summary_is_cut_off_or_wrapped(narrow_help: str) -> None:
    assert "..." not in narrow_help.partition("COMMAND [ARGS]...")[2]
    lines = narrow_help.partition("Teams:")[2].partition("\n\nExamples:")[0].splitlines()
    assert max(map(len, lines)) <= 80
    entries = [line for line in lines if line and not line.endswith(":")]
    assert len(entries) == sum(map(len, COMMANDS.values())) + 1, "a summary takes two lines"


def imported(arguments: list[str]) -> set[str]:
    """Which of the slow libraries a command imports; the command must succeed."""
    program = (
        "import sys\n"
        "from harness.cli.app import cad1\n"
        f"assert cad1({arguments!r}) == 0\n"
        f"sys.stderr.write(' '.join(name for name in {SLOW_LIBRARIES!r} if name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    return set(done.stderr.split())


def test_help_imports_no_slow_library() -> None:
    assert imported(["--help"]) == set()
    assert imported(["score", "--help"]) <= {"pydantic"}  # typer's own, for options


def test_ranking_and_status_import_no_library_that_they_do_not_need(tmp_path: Path) -> None:
    Ledger(tmp_path).close()
    assert imported(["ranking", "--store", str(tmp_path)]) == {"pydantic"}
    assert imported(["status", "--store", str(tmp_path)]) <= {"pydantic", "psutil", "numpy", "soundfile"}


def test_every_option_has_help() -> None:
    cad1 = get_command(app)
    assert isinstance(cad1, TyperGroup)
    commands = dict(cad1.commands)
    group = commands.pop("image")
    assert isinstance(group, TyperGroup)
    image = group.commands
    assert list(image) == ["build", "base", "verify"]
    assert set(commands) == {name for group in COMMANDS.values() for name in group}
    for command in [*commands.values(), *image.values()]:
        for parameter in command.params:
            assert isinstance(parameter, TyperArgument | TyperOption)
            assert parameter.help, f"{command.name} {parameter.name}"


def test_the_engines_are_those_of_the_protocol() -> None:
    assert get_args(get_args(options.EngineOption)[0]) == get_args(Engine)
