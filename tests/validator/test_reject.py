"""Invalid submissions are rejected with exactly the right errors; each says where it is and how to fix it."""

from collections import Counter

import pytest

from tests.validator import forge
from tests.validator.corpus import rejected
from validator import Severity, validate, validation


@pytest.mark.parametrize("name", rejected.CASES)
def test_rejected(name, tmp_path, monkeypatch):
    make, codes = rejected.CASES[name]
    if name in rejected.LIMITED:
        monkeypatch.setattr(validation, "archive_limits", lambda _: rejected.SMALL)
    report = validate(make(tmp_path), forge.CHALLENGE)
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    assert Counter(finding.code for finding in errors) == codes, report.to_text(all_=True)
    assert not report.valid
    for finding in errors:
        assert finding.message.endswith("."), finding
        assert finding.hint, finding
        assert finding.path.isprintable(), finding


def test_limited_cases_exist():
    assert set(rejected.CASES) >= rejected.LIMITED


def test_there_are_enough_cases():
    assert len(rejected.CASES) >= 80
