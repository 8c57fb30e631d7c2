"""Submissions as people and tools really make them are accepted, with exactly the warnings that apply."""

from collections import Counter

import pytest

from tests.validator import forge
from tests.validator.corpus import accepted
from validator import validate


@pytest.mark.parametrize("name", accepted.CASES)
def test_accepted(name, tmp_path):
    make, codes = accepted.CASES[name]
    report = validate(make(tmp_path), forge.CHALLENGE)
    assert Counter(finding.code for finding in report.findings) == codes, report.to_text(all_=True)
    assert report.valid


def test_there_are_enough_cases():
    assert len(accepted.CASES) >= 25
