"""What the conductor is asked for, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness.ledger.entities import AuditRecord
from harness.protocol.errors import HarnessError
from harness.protocol.records import Engine
from validator import Challenge, Finding, Report

Told = Callable[[int, int, str], None]
"""Progress: examples done, examples in all, what was done last."""

Say = Callable[[str], None]
"""Gets a sentence for the log."""


@dataclass(frozen=True)
class Request:
    """What `cad1 score` was asked to do.

    Attributes:
        submission: A zip or a folder.
        challenge: The whole challenge, from a data root.
        selected: The part of it to be scored in this run; the whole for a ranked score.
        team: Whose submission it is.
        store: The folder of the ledger.
        engine: Which HAAQI scores.
        workers: Sandboxes at a time.
        audits: Stems that pyclarity scores again; None for the default number, 0 for none.
    """

    submission: Path
    challenge: Challenge
    selected: Challenge
    team: str
    store: Path
    engine: Engine = "fast"
    workers: int = 1
    audits: int | None = None


@dataclass
class Outcome:
    """What a run came to.

    Attributes:
        report: The validator's report; where it is not valid, nothing was scored.
        scored: Examples that this run scored.
        stored: Examples of the submission that the ledger now holds.
        total: Examples of the whole challenge.
        average: The ranking score, once every example of the challenge is stored.
        findings: What the sandbox found wrong with the submission while it decoded.
        faults: What went wrong and is not the submission's fault; the others' scores are stored.
        audits: Stems of this submission that pyclarity has scored again.
    """

    report: Report
    scored: int = 0
    stored: int = 0
    total: int = 0
    average: float | None = None
    findings: list[Finding] = field(default_factory=list)
    faults: list[HarnessError] = field(default_factory=list)
    audits: list[AuditRecord] = field(default_factory=list)
