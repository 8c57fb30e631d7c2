"""The error of a failed audit."""

from __future__ import annotations

from harness.ledger.entities import AuditRecord
from harness.score.audit import audit_error


def test_a_failed_audit_names_the_largest_difference_and_what_to_do() -> None:
    good = AuditRecord("A", "L1", "left_bass", 0.5, 0.5)
    small = AuditRecord("B", "L1", "left_bass", 0.5, 0.5 + 2e-9)
    large = AuditRecord("C", "L2", "right_drums", 0.5, 0.75)
    assert audit_error([good]) is None
    error = audit_error([good, small, large])
    assert error is not None
    assert "2 of 3 stems" in error.message
    assert "right_drums of C for L2: 0.5 with the fast engine, 0.75 with pyclarity" in error.message
    assert "failed audits are repeated" in error.hint
