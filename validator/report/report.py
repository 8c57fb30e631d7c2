"""Everything that was found in one submission: as data, as JSON and as text."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from validator.findings.finding import Finding, Severity
from validator.report.subject import Scope, Subject
from validator.report.text import render

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found in one submission.

    Attributes:
        subject: What was looked at.
        scope: What it was held against.
        findings: Errors first, then warnings, then information; within these by code and path.
        files: Number of members looked at.
        depth: "headers" after a quick look, "decoded" when every FLAC was decoded.
    """

    subject: Subject
    scope: Scope
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
        """The report as the contract's JSON, with a newline at its end."""
        document = {
            "schema_version": SCHEMA_VERSION,
            "valid": self.valid,
            "submission": {
                "name": self.subject.name,
                "sha256": self.subject.sha256,
                "bytes": self.subject.size,
            },
            "challenge": {
                "split": self.scope.split,
                "songs": self.scope.songs,
                "listeners": self.scope.listeners,
                "examples": self.scope.examples,
            },
            "counts": {
                "error": self.count(Severity.ERROR),
                "warning": self.count(Severity.WARNING),
            },
            "findings": [finding.to_dict() for finding in self.findings],
        }
        return json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False) + "\n"

    def to_text(self, *, color: bool = False, all_: bool = False) -> str:
        """The report for a reader: grouped by code, the first places of each (every one with `all_`)."""
        return render(
            self.subject,
            self.scope,
            self.findings,
            looked_at=self.files,
            by_headers=self.depth == "headers",
            color=color,
            all_=all_,
        )


_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """Errors first, then warnings, then information; the more frequent the later; then by path."""
    often = Counter(finding.code for finding in findings)
    return tuple(
        sorted(findings, key=lambda f: (_RANK[f.severity], often[f.code], f.code, f.path, f.message))
    )
