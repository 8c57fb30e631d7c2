"""What honest people and tools make passes, with exactly the warnings that are true."""

import accept_cases
import forge
import pytest

from validator import validate


@pytest.mark.parametrize("name", accept_cases.CASES)
def test_accepted(name, tmp_path):
    make, codes = accept_cases.CASES[name]
    report = validate(make(tmp_path), forge.CHALLENGE)
    assert sorted(finding.code for finding in report.findings) == codes, report.to_text(all_=True)
    assert report.valid


def test_enough():
    assert len(accept_cases.CASES) >= 25
