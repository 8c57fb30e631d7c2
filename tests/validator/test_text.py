"""Text from outside is shown as text, whatever the place takes for a command, a formula or markup."""

from __future__ import annotations

import pytest

from validator.findings.text import for_ci_log, for_csv, for_markdown, for_terminal, quoted
from validator.findings.wording import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("A - I'm Alright (Ünï)", "A - I'm Alright (Ünï)"),
        ("a\x1b[2J", r"a\x1b[2J"),
        ("a\nb\r\u2028c", r"a\nb\r\u2028c"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), r"caf\xe9"),
    ],
)
def test_a_terminal_gets_one_line_that_can_be_printed(text: str, shown: str) -> None:
    assert for_terminal(text) == shown == for_terminal(shown)
    assert shown.isprintable()


def test_a_long_path_is_shortened_after_it_is_escaped() -> None:
    shown = printable("\x1b" * 400)
    assert len(shown) < 300
    assert shown.isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("E001: 3 stems, difference 1.0e-13.", "E001: 3 stems, difference 1.0e-13."),
        ("my_team", "my_team"),
        ("a|b", r"a\|b"),
        ("`code`", r"\`code\`"),
        ("[text](https://example.org)", r"\[text\](https:\//example.org)"),
        ("www.example.org", r"www\.example.org"),
        ("<img src=x>&amp;", r"\<img src=x\>\&amp;"),
        ("_em_ *strong* ~gone~", r"\_em\_ \*strong\* \~gone\~"),
        ("# heading", r"\# heading"),
        ("1. list", r"1\. list"),
        ("- list", r"\- list"),
        ("\\|", r"\\\|"),
        ("two\nlines", r"two\\nlines"),
    ],
)
def test_markdown_shows_the_text_itself(text: str, shown: str) -> None:
    assert for_markdown(text) == shown


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_a_formula_stays_text_in_a_spreadsheet(text: str) -> None:
    assert for_csv(text) == "'" + text


def test_ordinary_cells_stay_as_they_are() -> None:
    assert for_csv("E001") == "E001"
    assert for_csv("a=b") == "a=b"


@pytest.mark.parametrize(
    "line",
    [
        "::error::x",
        "  ::set-output name=a::b",
        "\t::add-mask::x",
        "a\n::error::x",
        "a\r::error::x",
        "a\n\n ::x::",
    ],
)
def test_no_line_of_a_log_is_a_command(line: str) -> None:
    shown = for_ci_log(line)
    assert not any(one.lstrip().startswith("::") for one in shown.splitlines())
    assert shown.replace(r"\x3a", ":") == line


def test_no_mark_of_a_command_stays_in_a_log() -> None:
    assert (
        for_ci_log("x ##[error]y ##vso[task.z] ## heading") == r"x #\x23[error]y #\x23vso[task.z] ## heading"
    )


def test_what_a_log_does_not_take_for_a_command_stays_as_it_is() -> None:
    text = "%0A::error::x\n\x1b[1mbold\x1b[0m a::b\n"
    assert for_ci_log(text) == text


def test_what_another_program_said_is_quoted() -> None:
    said = 'Run this".\nOr that'
    assert quoted("evaluator", said) == r'''The evaluator said: "Run this'.\nOr that"'''
