"""What makes one number of many, and which of them are checked: the mean, and the draw of the audit.

A reader can repeat a draw: it follows from the stored values, the submission's SHA-256 and the salt in the bundle.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping

AUDIT_TOLERANCE = 1e-9
"""Largest difference between the two engines that passes an audit: far below what any ranking shows."""

EXAMPLES_PER_AUDIT = 200
MIN_AUDITS = 3


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the defined values, by an exact sum: the same bits in any order. None if there are none."""
    defined = [value for value in values if value is not None]
    return math.fsum(defined) / len(defined) if defined else None


def default_number(examples: int) -> int:
    """How many stems of a submission are audited: one per 200 examples, at least 3."""
    return max(MIN_AUDITS, math.ceil(examples / EXAMPLES_PER_AUDIT))


def draw_audits(
    values: Mapping[tuple[str, str], Mapping[str, float | None]], *, submission: str, salt: str, number: int
) -> list[tuple[str, str, str]]:
    """Draws stems among those that have a value, each equally likely.

    Each stem, in sorted order, gets a number of `random.Random` seeded with submission and salt, and those with the
    smallest numbers are drawn. Every version of Python gives the same numbers for a seed that is text, but not the
    same `sample`.

    Args:
        values: The values of each (song, listener) by name, None where the reference is silent.
        submission: The submission's SHA-256.
        salt: Random text that a team can't know before it has submitted.
        number: How many to draw; all if there are fewer.

    Returns:
        (song, listener, name of the value), sorted.
    """
    pool = sorted(
        (song, listener, name)
        for (song, listener), named in values.items()
        for name, value in named.items()
        if value is not None
    )
    generator = random.Random(f"audit {submission} {salt}")  # noqa: S311  (repeatable; the salt is secret)
    return sorted(sorted(pool, key=lambda _: generator.random())[:number])
