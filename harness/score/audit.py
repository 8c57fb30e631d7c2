"""The proof that our fast number is pyclarity's: stems drawn from a submission, scored again by pyclarity itself.

Which stems are drawn depends on the submission's SHA-256 alone: a team can't know them before it has packed, and
two runs draw the same.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass

from harness.ledger.ledger import AuditRecord, StoredExample
from harness.protocol.errors import InternalError
from harness.protocol.records import AuditStem
from validator.challenge.rules import CAD1

EXAMPLES_PER_AUDIT = 200
MIN_AUDITS = 3


@dataclass(frozen=True)
class Draw:
    """A stem to be audited, and the fast engine's value for it."""

    stem: AuditStem
    fast: float

    def judge(self, pyclarity: float) -> AuditRecord:
        """The two values side by side."""
        return AuditRecord(self.stem.song, self.stem.listener, self.stem.value, self.fast, pyclarity)


def default_number(examples: int) -> int:
    """One stem of each 200 examples, at least 3."""
    return max(MIN_AUDITS, math.ceil(examples / EXAMPLES_PER_AUDIT))


def draw(
    examples: Mapping[tuple[str, str], StoredExample], *, submission: str, number: int | None
) -> list[Draw]:
    """Draws stems among those that have a value, song by song.

    Args:
        examples: What the fast engine has scored.
        submission: The submission's SHA-256, which seeds the draw.
        number: How many; the default number if None.
    """
    pool = [
        (song, listener, position)
        for (song, listener), example in sorted(examples.items())
        for position, name in enumerate(CAD1.scoring_order)
        if example.values[name] is not None
    ]
    wanted = default_number(len(examples)) if number is None else number
    chosen = random.Random(f"audit {submission}").sample(pool, min(wanted, len(pool)))  # noqa: S311
    draws = []
    for song, listener, position in sorted(chosen):
        name = CAD1.scoring_order[position]
        fast = examples[song, listener].values[name]
        assert fast is not None
        draws.append(Draw(AuditStem(song=song, listener=listener, value=name), fast))
    return draws


def verdict(records: list[AuditRecord]) -> InternalError | None:
    """A bug of ours where any stem's two values differ by more than rounding."""
    wrong = [record for record in records if not record.passed]
    if not wrong:
        return None
    worst = max(wrong, key=lambda record: record.difference)
    return InternalError(
        f"The audit failed: {len(wrong)} of {len(records)} stems score otherwise by pyclarity itself; the worst is "
        f"{worst.stem} of {worst.song} for {worst.listener}: {worst.fast!r} by our engine, {worst.pyclarity!r} by "
        "pyclarity.",
        hint="The submission is not ranked. Score it with `--engine pyclarity`, and please report this.",
    )
