"""Leftovers of dead runs in a store: leases, and files that were being written."""

from __future__ import annotations

import time
from pathlib import Path

from harness.ledger.database import FILE
from harness.ledger.leases import Lease
from harness.ledger.ledger import Ledger
from harness.score.heartbeat import is_dead

ABANDONED_SECONDS = 60.0
"""A temporary file next to ranking.md exists for milliseconds; one this old was left by a killed run."""


def dead_leases(store: Path) -> list[Lease]:
    """The leases of dead runs; none if the store has no ledger.

    Raises:
        SetupError: The ledger cannot be read.
    """
    if not (store / FILE).is_file():
        return []
    with Ledger(store, read_only=True) as ledger:
        return [lease for lease in ledger.leases.all() if is_dead(lease)]


def remove_dead_leases(store: Path) -> list[Lease]:
    """Removes the leases of dead runs, and marks what they were scoring as failed; returns these leases.

    Raises:
        SetupError: The ledger cannot be written.
    """
    if not (store / FILE).is_file():
        return []
    with Ledger(store) as ledger:
        return ledger.leases.remove_dead(is_dead)


def remove_partial_files(store: Path) -> list[Path]:
    """Removes files that a killed run was writing; returns their paths. A store without a ledger is left alone."""
    if not (store / FILE).is_file():
        return []
    removed = []
    for path in sorted(store.glob(".*.md.*")):
        if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed
