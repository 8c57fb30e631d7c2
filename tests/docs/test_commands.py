"""What README and docs tell a reader to type exists: commands, options, make targets, imports."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import tomllib
from typing import Any

import pytest
from typer.main import get_command

from harness.cli.app import app
from harness.cli.commands import SHARED_OPTIONS
from tests.docs.pages import PAGES, ROOT, Page

SHELL = ("", "sh", "bash", "shell", "console", "yaml", "yml")
COMMAND = re.compile(r"^\s*(?:- )?(?:run: |\$ )?(?:\w+=\S* )*(cad1 .*)$")
CAD1 = get_command(app)


def command_lines(page: Page) -> list[str]:
    """The lines of fenced code that start with `cad1`, continued lines joined."""
    lines = (line for code in page.fences(*SHELL) for line in code.replace("\\\n", " ").splitlines())
    return [match[1] for line in lines if (match := COMMAND.match(line))]


def arguments_of(line: str) -> list[str]:
    """The arguments after `cad1`, up to a comment, a pipe, a redirection or the next command."""
    words = shlex.split(line, comments=True)[1:]
    end = next((i for i, word in enumerate(words) if word in {"|", "||", "&&", ";", ">", ">>", "2>"}), None)
    return words[:end]


def problem_of(arguments: list[str]) -> str:
    """What the command's own parser says against these arguments; empty if it accepts them."""
    command: Any = CAD1
    name, rest, context = "cad1", arguments, None
    try:
        while True:
            if hasattr(command, "commands") and "--help" not in rest[:1]:
                context = command.make_context(name, list(rest), parent=context)
                name, command, rest = command.resolve_command(context, rest)
                continue
            command.make_context(name, list(rest), parent=context)
            return ""
    except Exception as error:  # the parser's own classes are private; only a clean exit is no problem
        if getattr(error, "exit_code", None) == 0:
            return ""
        return error.format_message() if hasattr(error, "format_message") else repr(error)


def unknown_names(text: str) -> list[str]:
    """Commands and options in a mention of `cad1` that do not exist. `build|verify` names two commands."""
    words = re.sub(r"[\[\]…]", " ", text).split()[1:]
    commands: list[Any] = [CAD1]
    while (
        words
        and any(hasattr(command, "commands") for command in commands)
        and re.fullmatch(r"[a-z][a-z|-]*", words[0])
    ):
        names = [name for name in words.pop(0).split("|") if name]
        table = {name: sub for command in commands for name, sub in getattr(command, "commands", {}).items()}
        if missing := [name for name in names if name not in table]:
            return missing
        commands = [table[name] for name in names]
    parameters = [*SHARED_OPTIONS, *(parameter for command in commands for parameter in command.params)]
    known = {"-h", "--help"} | {option for parameter in parameters for option in parameter.opts}
    options = [
        option for word in words for option in word.split("|") if option.startswith("-") and option != "-"
    ]
    return [option for option in options if option.rstrip("*,.") not in known]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands(page: Page):
    problems = {}
    for line in command_lines(page):
        wrong = ", ".join(unknown_names(line)) if "[" in line else problem_of(arguments_of(line))
        if wrong:
            problems[line] = wrong
    assert not problems


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name
)
def test_mentioned_commands(page: Page):
    mentions = [span for span in page.spans if span.startswith("cad1 ")]
    assert not {span: names for span in mentions if (names := unknown_names(span))}


def test_commands_are_found():
    assert len(command_lines(PAGES[0])) >= 5
    page = Page(ROOT / "none.md")
    page.__dict__["text"] = (
        "```sh\nA=1 cad1 x \\\n  --y  # why\npip install cad1\n```\n```yaml\n- run: cad1 z\n```\n"
    )
    assert [arguments_of(line) for line in command_lines(page)] == [["x", "--y"], ["z"]]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("cad1 validate submission_E001.zip --split test", ""),
        ("cad1 image build", ""),
        ("cad1 score --help", ""),
        ("cad1 valdate submission_E001.zip", "valdate"),
        ("cad1 validate submission_E001.zip --splt test", "--splt"),
        ("cad1 validate submission_E001.zip --split dev", "dev"),
        ("cad1 validate", "submission"),
        ("cad1 image built", "built"),
    ],
)
def test_the_parser_is_asked(line: str, wrong: str):
    problem = problem_of(arguments_of(line))
    assert wrong in problem
    assert bool(problem) == bool(wrong)


def test_mentions_are_checked():
    assert unknown_names("cad1 image build|verify") == []
    assert unknown_names("cad1 validate SUBMISSION [--data ROOT] [--quick]") == []
    assert unknown_names("cad1 image build|publish") == ["publish"]
    assert unknown_names("cad1 verify --heads HASH") == ["--heads"]
    assert unknown_names("cad1 frobnicate") == ["frobnicate"]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name
)
def test_make_targets(page: Page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    code = "\n".join([*page.fences(*SHELL), *page.spans])
    assert set(re.findall(r"^make ([a-z-]+)", code, re.MULTILINE)) <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_examples(page: Page):
    missing = []
    for code in page.fences("python", "py"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in {
                "harness",
                "validator",
            }:
                module = importlib.import_module(str(node.module))
                missing += [alias.name for alias in node.names if not hasattr(module, alias.name)]
    assert not missing


def test_the_installed_command_starts():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    module, _, function = scripts["cad1"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))
