"""The report on one submission: as data, as JSON and as text."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from validator.findings.finding import Finding, Severity
from validator.findings.text import CI_MARK
from validator.findings.wording import printable
from validator.report.subject import ChallengeInfo, SubmissionInfo
from validator.report.text import render

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found in one submission.

    Attributes:
        submission: The submission that was checked.
        challenge: The challenge that it was checked against.
        findings: Errors first, then warnings, then notes; within these by code and path.
        files: Number of files in the submission.
        depth: "headers" if only headers were read, "decoded" if every FLAC file was decoded.
    """

    submission: SubmissionInfo
    challenge: ChallengeInfo
    findings: tuple[Finding, ...]
    files: int = 0
    depth: str = "decoded"

    @property
    def valid(self) -> bool:
        """Whether there is no error."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)

    def count(self, severity: Severity) -> int:
        """The number of findings of that severity."""
        return sum(finding.severity is severity for finding in self.findings)

    def to_json(self) -> str:
        """The report as JSON, with a newline at its end."""
        document = {
            "schema_version": SCHEMA_VERSION,
            "valid": self.valid,
            "submission": {
                "name": printable(self.submission.name),
                "sha256": self.submission.sha256,
                "bytes": self.submission.size,
            },
            "challenge": {
                "split": self.challenge.split,
                "songs": self.challenge.songs,
                "listeners": self.challenge.listeners,
                "examples": self.challenge.examples,
            },
            "counts": {
                "error": self.count(Severity.ERROR),
                "warning": self.count(Severity.WARNING),
            },
            "findings": [finding.to_dict() for finding in self.findings],
        }
        text = json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False) + "\n"
        return CI_MARK.sub(r"#\\u0023", text)  # it only occurs inside strings

    def to_text(self, *, color: bool = False, all_: bool = False) -> str:
        """The report as text, grouped by code.

        Args:
            color: Use terminal colours.
            all_: Show every finding, not only the first few of each code.
        """
        return render(
            self.submission,
            self.challenge,
            self.findings,
            files=self.files,
            headers_only=self.depth == "headers",
            color=color,
            all_=all_,
        )


_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """Errors first, then warnings, then notes; within these rare codes first, then by path."""
    frequency = Counter(finding.code for finding in findings)
    return tuple(
        sorted(findings, key=lambda f: (_RANK[f.severity], frequency[f.code], f.code, f.path, f.message))
    )
