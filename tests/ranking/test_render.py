"""The ranking shows names and reasons from outside as text, in every format, and tells its tables apart."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from rich.console import Console

from harness.ledger.entities import Roster, Scorer
from harness.ranking.render import RENDERERS, Format, html, markdown, terminal, titles
from harness.ranking.rows import Row, Unranked
from harness.ranking.tables import Table

SCORER = Scorer("d" * 64, "fast", True)
HOSTILE = "=E|<b>[red]x[/](https://example.org)\x1b[2J\n\u202e::y"


def table(*teams: str, challenge: str = "c", split: str = "test", reason: str = "") -> Table:
    rows = tuple(Row(number, team, 0.5, "scored") for number, team in enumerate(teams, start=1))
    unranked = (Unranked("E009", 4, "5" * 64, disqualified=reason),) if reason else ()
    return Table(Roster(challenge * 64, split, ("A",), ("L1",)), SCORER, "scored", rows, unranked)


def shown(tables: list[Table], format_: Format) -> str:
    return RENDERERS[format_](tables) if format_ != "table" else terminal(tables, Console(width=200))


@pytest.mark.parametrize("format_", ["table", "markdown", "csv", "html"])
def test_no_control_character_of_a_name_reaches_a_reader(format_: Format) -> None:
    text = shown([table(HOSTILE, reason=HOSTILE, split=HOSTILE)], format_)
    assert all(one.isprintable() or one == "\n" for one in text)
    assert not re.search(r"^\s*::", text, re.MULTILINE)
    assert r"\x1b" in text


def test_a_terminal_does_not_take_a_name_for_markup() -> None:
    assert "[red]x[/]" in shown([table(HOSTILE)], "table")


def test_markdown_does_not_take_a_name_for_markup() -> None:
    text = markdown([table(HOSTILE, reason=HOSTILE)])
    row = next(line for line in text.splitlines() if "0.5000" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 4
    assert not re.search(r"(?<!\\)[<>\[\]]|https://", text)


def test_a_page_does_not_take_a_name_for_markup() -> None:
    text = html([table(HOSTILE, reason=HOSTILE)])
    assert "<b>" not in text
    assert "&lt;b&gt;" in text


def test_a_spreadsheet_does_not_take_a_name_for_a_formula() -> None:
    (row,) = csv.DictReader(io.StringIO(shown([table("=1+1")], "csv")))
    assert row["team"] == "'=1+1"
    assert row["average"] == "0.5"


def test_json_holds_a_name_as_it_is() -> None:
    (found,) = json.loads(shown([table(HOSTILE)], "json"))["tables"]
    assert found["rows"][0]["team"] == HOSTILE


def test_tables_of_two_challenges_of_one_split_have_two_titles() -> None:
    tables = [table("E001", challenge="a"), table("E001", challenge="b"), table("E001", split="valid")]
    one, two, other = titles(tables)
    assert one.endswith(f"challenge {'a' * 12}")
    assert two.endswith(f"challenge {'b' * 12}")
    assert "challenge" not in other
    for format_ in ("table", "markdown", "html"):
        text = shown(tables, format_)
        assert all(text.count(title) == 1 for title in (one, two)), format_
    assert [found["title"] for found in json.loads(shown(tables, "json"))["tables"]] == [one, two, other]
    rows = list(csv.DictReader(io.StringIO(shown(tables, "csv"))))
    assert [row["challenge"][0] for row in rows] == ["a", "b", "c"]
