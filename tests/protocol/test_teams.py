"""Names that teams may have."""

from __future__ import annotations

import pytest

from harness.protocol.errors import UsageError
from harness.protocol.teams import checked_team


@pytest.mark.parametrize("name", ["E001", "e-0_1", "7", "x" * 64])
def test_good_names_are_returned(name: str) -> None:
    assert checked_team(name) == name


@pytest.mark.parametrize(
    "name", ["", "-x", "_x", "../E001", "E 1", "E001\n", "É1", "E/1", "E.1", "E٣", "x" * 65]
)
def test_other_names_are_wrong_use(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a team's name") as caught:
        checked_team(name)
    assert "E001" in caught.value.hint
