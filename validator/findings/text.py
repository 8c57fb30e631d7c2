"""Text from outside, shown: one function for each place.

Text from outside is what a team, a container, an archive, a bundle or a ledger says: file names, song and team
names, keys of a JSON document, messages. For an HTML page, jinja's autoescape follows `for_terminal`.

Standard library only: this module is also imported inside the sandbox.
"""

from __future__ import annotations

import re

_MARKDOWN = re.compile(r"""[\\`*|<>\[\]&~$@]|(?<!\w)_|_(?!\w)|(?<=:)//|(?<=www)\.""")
_MARKDOWN_START = re.compile(r"^(\s*)(#|[+-](?=\s|$)|\d+(?=[.)](?:\s|$)))")
_CI_COMMAND = re.compile(r"(^|[\r\n])([^\S\r\n]*)::")
CI_MARK = re.compile(r"##(?=[A-Za-z]*\[)")
"""The beginning of a command of GitHub Actions or Azure Pipelines, anywhere in a line of a log."""


def for_terminal(text: str) -> str:
    r"""One line for a terminal: what can't be printed is escaped, such as `\n`, `\x1b` and `\u202e`.

    Escaped are control characters, line breaks, bidirectional marks, invisible characters and every space but the
    ordinary one. Escaping twice changes nothing more.
    """
    if text.isprintable():
        return text
    return "".join(map(_escape, text))


def _escape(char: str) -> str:
    if char.isprintable():
        return char
    if "\udc80" <= char <= "\udcff":  # Python's stand-in for a byte that is not UTF-8
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")


def for_markdown(text: str) -> str:
    """One line of Markdown that shows exactly this text: no table cell ends, no link, HTML or emphasis begins."""
    escaped = _MARKDOWN.sub(lambda match: "\\" + match[0], for_terminal(text))
    return _MARKDOWN_START.sub(
        lambda match: f"{match[1]}{match[2]}\\" if match[2].isdigit() else f"{match[1]}\\{match[2]}", escaped
    )


def for_csv(text: str) -> str:
    """A cell of a CSV file that a spreadsheet shows as text: `'` goes before what it would take for a formula."""
    shown = for_terminal(text)
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) else shown


def for_ci_log(text: str) -> str:
    """Lines for a log that a CI service reads: none is taken for a command, such as `::error::` or `##[group]`.

    Line breaks and colours stay: pass text from outside through `for_terminal` first.
    """
    return CI_MARK.sub(r"#\\x23", _CI_COMMAND.sub(r"\1\2\\x3a:", text))


def for_report(text: str) -> str:
    """A part of a report of the validator, which goes to a terminal or into a log that a CI service reads."""
    return for_ci_log(for_terminal(text))


def quoted(speaker: str, text: str) -> str:
    """A sentence that says who said something: `The evaluator said: "…"`.

    Args:
        speaker: Such as `evaluator`.
        text: What it said, from outside.
    """
    shown = for_terminal(text).replace('"', "'")
    return f'The {speaker} said: "{shown}"'
