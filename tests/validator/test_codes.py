"""Every code is explained, and every code is given by some case."""

from pathlib import Path

import pytest

from tests.validator.corpus import accepted, rejected
from validator import Severity
from validator.findings.codes import CODES, new_finding
from validator.findings.table import table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "findings.md"


def test_docs_contain_the_table():
    text = PAGE.read_text("utf-8")
    assert text.split("<!-- codes -->\n")[1].split("<!-- /codes -->")[0] == table()


@pytest.mark.parametrize("name", CODES)
def test_every_code_is_complete(name):
    code = CODES[name]
    assert code.name == name
    assert name == name.lower()
    assert " " not in name
    for text in (code.title, code.reason, code.fix):
        assert text
        assert "|" not in text
        assert "\n" not in text
    assert code.reason.endswith(".")
    assert code.fix.endswith((".", "`"))


def test_a_finding_has_the_severity_and_the_fix_of_its_code():
    finding = new_finding("silent", "x.flac", "It is silent.", found="0")
    assert finding.severity is Severity.WARNING
    assert finding.hint == CODES["silent"].fix
    assert (finding.code, finding.path, finding.expected, finding.found) == ("silent", "x.flac", "", "0")
    assert new_finding("silent", "", "m.", hint="h.").hint == "h."
    with pytest.raises(KeyError):
        new_finding("no-such-code", "", "m.")


NEEDS_REFERENCES = {
    "stems-permuted",
    "stem-mislabelled",
    "sides-swapped",
    "not-amplified",
    "level",
    "reference-silent",
}
NEEDS_ROSTER = {"length-inconsistent"}


def test_every_code_is_given_by_a_case():
    given = {code for _, codes in rejected.CASES.values() for code in codes}
    given |= {code for _, codes in accepted.CASES.values() for code in codes}
    assert set(CODES) - given == NEEDS_REFERENCES | NEEDS_ROSTER
