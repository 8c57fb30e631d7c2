"""What must not pass is refused, with exactly the errors it deserves, and each says where and how to mend it."""

from collections import Counter

import forge
import pytest
import reject_cases

from validator import Severity, validate, validation


@pytest.mark.parametrize("name", reject_cases.CASES)
def test_rejected(name, tmp_path, monkeypatch):
    make, codes = reject_cases.CASES[name]
    if name in reject_cases.LIMITED:
        monkeypatch.setattr(validation, "limits", lambda _: reject_cases.SMALL)
    report = validate(make(tmp_path), forge.CHALLENGE)
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    assert Counter(finding.code for finding in errors) == codes, report.to_text(all_=True)
    assert not report.valid
    for finding in errors:
        assert finding.message.endswith((".", "already.")), finding
        assert finding.hint, finding
        assert finding.path.isprintable(), finding


def test_enough():
    assert len(reject_cases.CASES) >= 80
