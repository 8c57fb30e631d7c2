"""`cad1.toml` in the working directory: defaults for options that every command line would repeat.

The command line wins over the environment, and the environment over the file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness.protocol.errors import UsageError
from validator.challenge.rules import CAD1

FILE = Path("cad1.toml")

SANDBOXES = ("docker", "bubblewrap", "process")

KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "store": (),
        "data": (),
        "split": CAD1.splits,
        "sandbox": SANDBOXES,
        "workers": (),
    }
)
"""What the file may set, with the values that are allowed; none are listed for a path or a number."""

EXCEPT = frozenset({("regress", "data"), ("validate", "sandbox")})
"""Options of the same name that mean something else: real MUSDB18-HQ, and where to decode."""


def default_map(command: Any, path: Path = FILE) -> dict[str, Any]:
    """The defaults that `cad1.toml` gives to the options of a command and of those below it.

    Args:
        command: The command or group, as the command-line library has it.
        path: The file; it need not exist.

    Returns:
        A mapping of option name to value, or of command name to such a mapping.

    Raises:
        UsageError: The file is not TOML, or has a key or a value that it may not have; names the line.
    """
    settings = read_settings(path)
    return _defaults(command, settings) if settings else {}


def _defaults(command: Any, settings: Mapping[str, str | int]) -> dict[str, Any]:
    if commands := getattr(command, "commands", None):
        return {name: _defaults(one, settings) for name, one in commands.items()}
    names = {parameter.name for parameter in command.params}
    return {
        key: value for key, value in settings.items() if key in names and (command.name, key) not in EXCEPT
    }


def read_settings(path: Path = FILE) -> dict[str, str | int]:
    """The settings of `cad1.toml`; empty if there is no such file.

    Raises:
        UsageError: See `default_map`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} can't be read: {error}.", hint="Fix the file or remove it.") from error
    try:
        settings = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"{path} is not TOML: {error}.", hint='A line looks like `store = "folder"`.'
        ) from error
    for problem in _problems(settings, text):
        raise UsageError(f"{path}, {problem}.", hint=f"It may set {', '.join(KEYS)}.")
    return settings


def _problems(settings: Mapping[str, Any], text: str) -> Iterator[str]:
    """What is wrong with each key, in the file's order."""
    for key, value in settings.items():
        place = f"line {_line(key, text)}"
        if key not in KEYS:
            yield f"{place}: unknown key {key!r}"
        elif key == "workers":
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                yield f"{place}: expected workers to be a whole number from 1, found {value!r}"
        elif KEYS[key] and value not in KEYS[key]:
            yield f"{place}: expected {key} to be one of {', '.join(KEYS[key])}, found {value!r}"
        elif not isinstance(value, str) or not value:
            yield f"{place}: expected {key} to be a text in quotes, found {value!r}"


def _line(key: str, text: str) -> int:
    """The number of the line that sets a key, or opens a table of that name."""
    start = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}\b""")
    lines = enumerate(text.splitlines(), start=1)
    return next((number for number, line in lines if start.match(line)), 1)
