"""The kinds of log entries, and the tables whose rows each of them writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

from harness.ledger.log import LogEntry
from harness.ledger.versions import TABLES_1

_TABLES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "challenge": frozenset({"challenges"}),
        "reference": frozenset({"song_references"}),
        "entered": frozenset({"entries"}),
        "re-scored": frozenset({"entries"}),
        "self-reported": frozenset({"entries"}),
        "moved": frozenset({"steps"}),
        "run": frozenset({"runs"}),
        "peak": frozenset({"peaks"}),
        "scored": frozenset({"examples", "failures"}),
        "stored": frozenset({"examples", "failures"}),
        "failed": frozenset({"failures"}),
        "planned": frozenset({"audit_plans"}),
        "audited": frozenset({"audits"}),
        "disqualified": frozenset({"disqualifications"}),
        "reinstated": frozenset({"disqualifications", "decisions"}),
        "policy": frozenset({"policies"}),
        "selected": frozenset({"decisions"}),
        "withdrawn": frozenset({"decisions"}),
        "renamed": frozenset({"decisions"}),
        "adopted": frozenset(TABLES_1),
    }
)

MIGRATED = "migrated"

_MIGRATED: Mapping[int, frozenset[str]] = MappingProxyType(
    {
        3: frozenset({"examples", "disqualifications"}),
        4: frozenset({"examples", "audits", "entries", "audit_plans"}),
        5: frozenset(),
    }
)
"""The tables that a migration to a version rewrites."""


def tables_of_entry(entry: LogEntry) -> frozenset[str] | None:
    """The tables whose rows an entry may write; None if there is no such kind of entry."""
    if entry.kind == MIGRATED:
        return _MIGRATED.get(migrated_to(entry))
    return _TABLES.get(entry.kind)


def migrated_to(entry: LogEntry) -> int:
    """The version to which a `migrated` entry brought the ledger; 0 if it does not say one."""
    return _fact(entry, "to_version")


def written_by(entry: LogEntry) -> int:
    """The version of the ledger that wrote an entry, as far as the entry says it; otherwise 0."""
    return _fact(entry, "version") if entry.kind in {"challenge", "policy"} else 0


def _fact(entry: LogEntry, name: str) -> int:
    try:
        facts = json.loads(entry.facts)
    except (ValueError, TypeError, RecursionError):
        return 0
    value = facts.get(name, 0) if isinstance(facts, dict) else 0
    return value if isinstance(value, int) else 0
