"""What was written to a ledger since a published head."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from harness.ledger.log import GENESIS, LogEntry
from harness.ledger.schema import IDENTITY

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Changes:
    """What the log has after a published head.

    Attributes:
        entries: How many entries.
        kinds: The kinds of these entries and how many there are of each, sorted.
        teams: The teams that they are about, sorted.
    """

    entries: int
    kinds: tuple[tuple[str, int], ...]
    teams: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What has changed, for an organiser."""
        if not self.entries:
            return "Nothing has changed since the given head."
        kinds = ", ".join(f"{number} {kind}" for kind, number in self.kinds)
        about = f", about {', '.join(self.teams)}" if self.teams else ""
        return f"Written to the log since the given head: {kinds}{about}."


def changes_since(head: str, entries: Sequence[LogEntry], rows: Rows) -> Changes | None:
    """What the log has after the entry whose SHA-256 is `head`; None if there is no such entry.

    Args:
        head: SHA-256 of an entry, or `GENESIS`.
        entries: The log.
        rows: The rows of the ledger by table and column.
    """
    digests = [GENESIS, *(entry.sha256 for entry in entries)]
    if head not in digests:
        return None
    later = entries[digests.index(head) :]
    teams_of: defaultdict[tuple[str, object], set[str]] = defaultdict(set)
    for row in [*rows["entries"], *rows["steps"]]:
        teams_of["submission", row["submission"]].add(row["team"])
        teams_of["team", row["team"]].add(row["team"])
    for row in rows["examples"]:
        teams_of["run", row["run"]] |= teams_of["submission", row["submission"]]
    teams = {team for entry in later for subject in _subjects(entry) for team in teams_of[subject]}
    kinds = Counter(entry.kind for entry in later)
    return Changes(len(later), tuple(sorted(kinds.items())), tuple(sorted(teams)))


def _subjects(entry: LogEntry) -> Iterator[tuple[str, object]]:
    """The team, submissions and run that an entry names; `check_rows` reports one that can't be read."""
    with suppress(ValueError, TypeError, KeyError, AttributeError, IndexError):
        facts = json.loads(entry.facts)
        found = [(name, facts.get(name)) for name in ("team", "submission", "run")]
        found += [
            ("submission", row["row"][0])
            for row in json.loads(entry.rows)
            if IDENTITY.get(row["table"], ("",))[0] == "submission"
        ]
        yield from (subject for subject in found if isinstance(subject[1], str | int))
