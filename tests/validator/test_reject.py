"""What must not pass is refused, with exactly the errors it deserves, and each says where and how to mend it."""

from collections import Counter

import pytest

from tests.validator import forge
from tests.validator.corpus import rejected
from validator import Severity, validate, validation


@pytest.mark.parametrize("name", rejected.CASES)
def test_rejected(name, tmp_path, monkeypatch):
    make, codes = rejected.CASES[name]
    if name in rejected.LIMITED:
        monkeypatch.setattr(validation, "limits", lambda _: rejected.SMALL)
    report = validate(make(tmp_path), forge.CHALLENGE)
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    assert Counter(finding.code for finding in errors) == codes, report.to_text(all_=True)
    assert not report.valid
    for finding in errors:
        assert finding.message.endswith((".", "already.")), finding
        assert finding.hint, finding
        assert finding.path.isprintable(), finding


def test_enough():
    assert len(rejected.CASES) >= 80
