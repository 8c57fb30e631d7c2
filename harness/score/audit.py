"""The audit: stems of a submission, spot-checked with pyclarity itself.

The submission's SHA-256 alone determines which stems are drawn: a team cannot know them before it has packed its
submission, and two runs draw the same.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from harness.ledger.entities import AuditRecord, StoredExample
from harness.protocol.aggregation import default_number
from harness.protocol.errors import InternalError
from harness.protocol.records import AuditStem
from validator.challenge.rules import CAD1


@dataclass(frozen=True)
class AuditDraw:
    """A stem to spot-check, and the fast engine's value for it."""

    stem: AuditStem
    fast: float

    def record(self, pyclarity: float) -> AuditRecord:
        """Both values, for the ledger."""
        return AuditRecord(self.stem.song, self.stem.listener, self.stem.value, self.fast, pyclarity)


def draw(
    examples: Mapping[tuple[str, str], StoredExample], *, submission: str, number: int | None
) -> list[AuditDraw]:
    """Draws stems among those that have a value, sorted by song.

    Args:
        examples: The examples that the fast engine has scored.
        submission: The submission's SHA-256, which seeds the draw.
        number: How many to draw; the default number if None.
    """
    pool = [
        (song, listener, position)
        for (song, listener), example in sorted(examples.items())
        for position, name in enumerate(CAD1.scoring_order)
        if example.values[name] is not None
    ]
    size = default_number(len(examples)) if number is None else number
    chosen = random.Random(f"audit {submission}").sample(pool, min(size, len(pool)))  # noqa: S311
    draws = []
    for song, listener, position in sorted(chosen):
        name = CAD1.scoring_order[position]
        fast = examples[song, listener].values[name]
        assert fast is not None
        draws.append(AuditDraw(AuditStem(song=song, listener=listener, value=name), fast))
    return draws


def audit_error(records: list[AuditRecord]) -> InternalError | None:
    """The error of a failed audit: the two values of a stem differ by more than rounding. None if it passed."""
    failed = [record for record in records if not record.passed]
    if not failed:
        return None
    worst = max(failed, key=lambda record: record.difference)
    return InternalError(
        f"The audit failed: {len(failed)} of {len(records)} stems have another score with pyclarity. The largest "
        f"difference is {worst.stem} of {worst.song} for {worst.listener}: {worst.fast!r} with the fast engine, "
        f"{worst.pyclarity!r} with pyclarity.",
        hint="The submission is not ranked. Score it with `--engine pyclarity`, and please report this.",
    )
