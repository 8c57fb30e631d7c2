"""What every command has: -h, -q, -v, --version, examples, completion, and a hint that names its own help."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from harness.cli import console
from harness.cli.app import app, cad1
from harness.cli.examples import EXAMPLES

PROGRAM = "from harness.cli.app import main; main()"
ROOT = Path(__file__).resolve().parents[2]


def every_command() -> Iterator[tuple[str, Any]]:
    """Each command and group with the words that call it."""
    root: Any = get_command(app)
    yield "", root
    for name, command in root.commands.items():
        yield name, command
        for below, one in getattr(command, "commands", {}).items():
            yield f"{name} {below}", one


NAMES = [name for name, _ in every_command()]


@pytest.mark.parametrize("name", NAMES)
def test_h_is_help_and_it_has_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cad1([*name.split(), "-h"]) == 0
    short = capsys.readouterr().out
    assert cad1([*name.split(), "--help"]) == 0
    assert capsys.readouterr().out == short
    assert "-q, --quiet" in short
    examples = short.partition("Examples:\n")[2].splitlines()
    assert examples
    assert max(map(len, short.splitlines())) <= 80


@pytest.mark.parametrize("name", NAMES)
def test_every_example_uses_arguments_that_exist(name: str) -> None:
    text = "\n".join(EXAMPLES[name]).replace("\\\n", " ")
    root: Any = get_command(app)
    for line in text.splitlines():
        program, *words = shlex.split(line)
        assert program == "cad1"
        assert line.startswith(f"cad1 {name}".strip())
        command = root
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        command.make_parser(command.make_context("cad1", [], resilient_parsing=True)).parse_args(args=words)


@pytest.mark.parametrize("name", NAMES)
def test_version_works_everywhere(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cad1([*name.split(), "--version"]) == 0
    assert capsys.readouterr().out.startswith("cad1 ")


@pytest.mark.parametrize("name", NAMES)
def test_wrong_use_names_the_commands_own_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cad1([*name.split(), "--no-such-option"]) == 2
    assert f"`{f'cad1 {name}'.strip()} --help`" in capsys.readouterr().err


def test_a_usage_error_of_a_command_names_its_help(capfd: pytest.CaptureFixture[str]) -> None:
    console.stderr.cache_clear()
    assert cad1(["regress", "--keep", "folder"]) == 2
    assert "`cad1 regress --help`" in capfd.readouterr().err


def test_a_quiet_command_prints_no_log_but_its_errors(tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            capture_output=True, text=True, check=False, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        return done.stderr

    (tmp_path / "cad1.toml").write_text('store = "here"\n')
    assert "store = here, from cad1.toml" in run("clean", "-v")
    assert run("clean", "-q") == run("-q", "clean") == ""
    assert "ledger" in run("ranking", "-q")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_offers_commands(shell: str) -> None:
    words = {"COMP_WORDS": "cad1 sta", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "cad1 sta"}
    words |= {"_TYPER_COMPLETE_FISH_ACTION": "get-args", "_CAD1_COMPLETE": f"complete_{shell}"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=os.environ | words
    )
    assert "status" in done.stdout
    assert "ranking" not in done.stdout


@pytest.mark.parametrize("name", ["ranking", "score"])
def test_an_interrupted_command_says_so(
    name: str,
    synthetic_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Also through the command-line library, which turns the interruption into an exit code."""
    console.stderr.cache_clear()

    def interrupted(*_: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.ranking.store.read_ranking", interrupted)
    monkeypatch.setattr("validator.Challenge.load", interrupted)
    (tmp_path / "x.zip").write_bytes(b"")
    score = ["score", str(tmp_path / "x.zip"), "--data", str(synthetic_root), "--team", "E001"]
    arguments = score if name == "score" else [name]
    assert cad1(arguments) == 130
    assert capfd.readouterr().err.count("cad1: Interrupted") == 1


def test_an_interruption_is_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    console.stderr.cache_clear()

    def interrupted() -> None:
        raise KeyboardInterrupt

    def interrupted_run() -> None:
        console.set_resumable(True)
        raise KeyboardInterrupt

    assert console.run(interrupted) == 130
    assert capfd.readouterr().err == "cad1: Interrupted.\n"
    assert console.run(interrupted_run) == 130
    found = capfd.readouterr().err
    assert found.count(".") == 1
    assert "the same command continues" in found
