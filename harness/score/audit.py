"""The audit: stems of a submission, spot-checked with pyclarity itself.

Which stems are checked is drawn with a salt that is made when the submission arrives and that no team can know.
"""

from __future__ import annotations

from harness.ledger.entities import AuditRecord
from harness.protocol.errors import InternalError


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
        hint="The submission is not ranked. Run the same command again: failed audits are repeated. If they fail "
        "again, score it with `--engine pyclarity`, and please report this.",
    )
