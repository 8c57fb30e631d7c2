"""Fixtures of the tests of the baselines."""

from __future__ import annotations

import pytest

from harness.baselines.synthetic import make_challenge
from validator import Challenge


@pytest.fixture(scope="session")
def challenge(tmp_path_factory: pytest.TempPathFactory) -> Challenge:
    """The synthetic challenge with default arguments."""
    return Challenge.load(make_challenge(tmp_path_factory.mktemp("challenge")), split="test")
