"""The input and the result of a scoring run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.ledger.entities import AuditRecord, Roster, StoredExample
from harness.protocol.errors import HarnessError, SetupError
from harness.protocol.records import Engine
from validator import Challenge, Finding, Report
from validator.report.report import in_order

ProgressCallback = Callable[[int, int, str], None]
"""Called with the number of examples done, the number of all examples, and what was done last."""

LogCallback = Callable[[str], None]
"""Called with one line for the log."""

MAX_PROBLEMS = 5
"""Problems that an error message lists."""


@dataclass(frozen=True)
class Request:
    """The input of a scoring run.

    Attributes:
        submission: A zip or a folder.
        challenge: The whole challenge, from a data root.
        selected: The part of it to score in this run; the same object as `challenge` for all of it.
        team: The team that sent the submission.
        store: The folder of the ledger.
        engine: Which HAAQI implementation scores.
        workers: Number of sandboxes that run at the same time.
        audits: Number of stems to spot-check with pyclarity; None for the default number, 0 for none.
        name: What the submission is called; empty for the name of its file or folder.
        keep: The folder that gets a copy of the submission, see `harness.score.kept`; None to make none.
    """

    submission: Path
    challenge: Challenge
    selected: Challenge
    team: str
    store: Path
    engine: Engine = "fast"
    workers: int = 1
    audits: int | None = None
    name: str = ""
    keep: Path | None = None

    @property
    def called(self) -> str:
        """The name of the submission in reports, messages and the ledger."""
        return self.name or self.submission.resolve().name


@dataclass
class Outcome:
    """The result of a scoring run.

    Attributes:
        report: The validator's report on names and headers; if it is not valid, nothing was scored.
        roster: The songs and listeners of the challenge.
        scored: Number of examples that this run scored.
        average: The ranking score, once every example of the challenge is stored.
        findings: Problems of the submission that the sandbox found while decoding.
        audio: What the audio shows that was decoded so far: warnings and notes, as of `cad1 validate --data`.
        unseen: Number of examples that were scored by a version that did not look at their audio.
        report_path: Where the whole report is; None if it was not written.
        faults: Failures that the submission did not cause; other examples' scores are stored.
        audits: Stems of this submission that were spot-checked with pyclarity.
        examples: All stored examples of the submission by this scorer, by (song, listener).
        locked: Whether the locked environment scored.
    """

    report: Report
    roster: Roster
    scored: int = 0
    average: float | None = None
    findings: list[Finding] = field(default_factory=list)
    audio: list[Finding] = field(default_factory=list)
    unseen: int = 0
    report_path: Path | None = None
    faults: list[HarnessError] = field(default_factory=list)
    audits: list[AuditRecord] = field(default_factory=list)
    examples: Mapping[tuple[str, str], StoredExample] = field(default_factory=dict)
    locked: bool = False

    @property
    def whole_report(self) -> Report:
        """Everything that was found: in names, headers and audio."""
        if not self.report.valid:
            return self.report
        findings = in_order([*self.report.findings, *self.findings, *self.audio])
        return replace(self.report, findings=findings, depth="decoded")

    @property
    def stored(self) -> int:
        """Number of examples of the submission that the ledger holds."""
        return len(self.examples)

    @property
    def total(self) -> int:
        """Number of examples of the whole challenge."""
        return len(self.roster.examples)

    def require_complete(self, name: str) -> None:
        """Checks that the submission called `name` has a ranking score.

        Raises:
            HarnessError: The first failure that the submission did not cause.
            SetupError: The submission was rejected.
        """
        for fault in self.faults:
            raise fault
        if self.average is None:
            problems = [*self.report.findings, *self.findings]
            listed = "; ".join(f"{one.path}: {one.message}" for one in problems[:MAX_PROBLEMS])
            raise SetupError(
                f"The submission {name} was rejected: {listed}",
                hint="The likely cause is a change in harness/enhance or in the validator.",
            )
