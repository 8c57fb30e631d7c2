"""The audits of a submission: which stems are drawn, what was found, and whether all of them agree."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.ledger.database import Database
from harness.ledger.entities import AuditPlan, AuditRecord, Key, StoredExample
from harness.ledger.insertion import KEY
from harness.protocol.aggregation import draw_audits

Stem = tuple[str, str, str]
"""Song, listener and name of the value."""


@dataclass(frozen=True)
class AuditProgress:
    """How far the audit of a submission is.

    Attributes:
        planned: How many stems are to be audited.
        missing: Those of them that have no audit; without names if they were not drawn with a salt.
        failed: Audited stems of which the audit does not agree with what was scored.
    """

    planned: int
    missing: tuple[Stem, ...]
    failed: tuple[Stem, ...]

    @property
    def done(self) -> int:
        """How many of the planned stems have an audit."""
        return self.planned - len(self.missing)


def audit_progress(
    plan: AuditPlan | None,
    audits: Iterable[AuditRecord],
    examples: Mapping[tuple[str, str], StoredExample],
    *,
    submission: str,
) -> AuditProgress:
    """Compares the stored audits with what the plan draws.

    An audit agrees if both engines give the same value within the tolerance, the value of the fast engine is the
    stored one, and it was made of the audio that was scored. Audits of other stems than those drawn add nothing,
    but fail like any other.

    Args:
        plan: None if the submission is not audited.
        audits: The latest attempt of each stem.
        examples: The stored examples by (song, listener).
        submission: The submission's SHA-256.
    """
    found = {(one.song, one.listener, one.stem): one for one in audits}
    failed = tuple(
        stem for stem, audit in sorted(found.items()) if not _agrees(audit, examples.get(stem[:2]))
    )
    if plan is None:
        return AuditProgress(0, (), failed)
    if not plan.salt:
        lacking = max(0, plan.number - len(found))
        return AuditProgress(plan.number, (("", "", ""),) * lacking, failed)
    values = {name: example.values for name, example in examples.items()}
    drawn = draw_audits(values, submission=submission, salt=plan.salt, number=plan.number)
    return AuditProgress(len(drawn), tuple(stem for stem in drawn if stem not in found), failed)


def _agrees(audit: AuditRecord, example: StoredExample | None) -> bool:
    return (
        audit.passed
        and example is not None
        and audit.fast == example.values.get(audit.stem)
        and example.audio in {"", audit.audio}
    )


class Audits:
    """The part of the ledger that holds plans of audits and their results.

    Args:
        database: The ledger's file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def plan(self, key: Key, *, number: int) -> AuditPlan:
        """See `Ledger.plan_audit`."""
        with self._database.transaction() as transaction:
            row = transaction.execute(
                f"SELECT salt, number FROM audit_plans WHERE {KEY}",  # noqa: S608  (constants)
                key.values,
            ).fetchone()
            if row is not None:
                return AuditPlan(*row)
            made = AuditPlan(secrets.token_hex(16), number)
            transaction.execute(
                "INSERT INTO audit_plans VALUES (?, ?, ?, ?, ?, ?, ?)", (*key.values, made.salt, made.number)
            )
            transaction.log("planned", {"audits": number}, ("audit_plans", key.values))
            return made

    def stored_plan(self, key: Key) -> AuditPlan | None:
        """See `Ledger.audit_plan`."""
        found = self._database.read(
            f"SELECT salt, number FROM audit_plans WHERE {KEY}",  # noqa: S608  (constants)
            key.values,
            make=lambda row: AuditPlan(*row),
        )
        return found[0] if found else None

    def store(self, key: Key, audit: AuditRecord) -> None:
        """See `Ledger.store_audit`."""
        stem = (*key.values, audit.song, audit.listener, audit.stem)
        with self._database.transaction() as transaction:
            (attempt,) = transaction.execute(
                f"SELECT coalesce(max(attempt), 0) + 1 FROM audits WHERE {KEY}"  # noqa: S608  (constants)
                " AND (song, listener, stem) = (?, ?, ?)",
                stem,
            ).fetchone()
            transaction.execute(
                "INSERT INTO audits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*stem, attempt, audit.fast, audit.pyclarity, audit.audio, transaction.at),
            )
            transaction.log("audited", {"difference": audit.difference}, ("audits", (*stem, attempt)))

    def latest(self, key: Key) -> list[AuditRecord]:
        """See `Ledger.audits`."""
        found = self._database.read(
            "SELECT song, listener, stem, fast, pyclarity, audio, attempt FROM audits"  # noqa: S608  (constants)
            f" WHERE {KEY} ORDER BY song, listener, stem, attempt",
            key.values,
            make=lambda row: AuditRecord(*row),
        )
        return list({(one.song, one.listener, one.stem): one for one in found}.values())
