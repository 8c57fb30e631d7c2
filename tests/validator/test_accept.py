"""What honest people and tools make passes, with exactly the warnings that are true."""

import pytest

from tests.validator import forge
from tests.validator.corpus import accepted
from validator import validate


@pytest.mark.parametrize("name", accepted.CASES)
def test_accepted(name, tmp_path):
    make, codes = accepted.CASES[name]
    report = validate(make(tmp_path), forge.CHALLENGE)
    assert sorted(finding.code for finding in report.findings) == codes, report.to_text(all_=True)
    assert report.valid


def test_enough():
    assert len(accepted.CASES) >= 25
