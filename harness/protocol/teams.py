"""Team names: they appear in tables, in file names and on command lines."""

from __future__ import annotations

import re

from harness.protocol.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def checked_team(team: str) -> str:
    """Returns a valid team name: 1 to 64 letters, digits, `-` and `_`, starting with a letter or digit.

    Raises:
        UsageError: If the name is not valid; a leading `-`, for example, would read as an option.
    """
    if not _NAME.fullmatch(team):
        raise UsageError(
            f"{team!r} cannot be a team's name.",
            hint="Use up to 64 letters, digits, - and _, such as E001; a letter or digit comes first.",
        )
    return team
