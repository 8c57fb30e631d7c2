"""Every rule is explained, and every rule is broken by some case."""

from pathlib import Path

import pytest

from tests.validator.corpus import accepted, rejected
from validator.findings.codes import RULES, table

README = Path(__file__).resolve().parents[2] / "validator" / "README.md"


def test_readme_holds_the_table():
    text = README.read_text("utf-8")
    held = text.split("<!-- codes -->\n")[1].split("<!-- /codes -->")[0]
    assert held == table()


@pytest.mark.parametrize("code", RULES)
def test_every_rule_is_whole(code):
    rule = RULES[code]
    assert rule.code == code
    assert code == code.lower()
    assert " " not in code
    for text in (rule.title, rule.why, rule.fix):
        assert text
        assert "|" not in text
        assert "\n" not in text
    assert rule.why.endswith(".")
    assert rule.fix.endswith((".", "`"))


NEEDS_REFERENCES = {
    "stems-permuted",
    "stem-mislabelled",
    "sides-swapped",
    "not-amplified",
    "level",
    "reference-silent",
}
NEEDS_ROSTER = {"length-inconsistent"}


def test_every_rule_is_broken_by_a_case():
    broken = {code for _, codes in rejected.CASES.values() for code in codes}
    broken |= {code for _, codes in accepted.CASES.values() for code in codes}
    assert set(RULES) - broken == NEEDS_REFERENCES | NEEDS_ROSTER
