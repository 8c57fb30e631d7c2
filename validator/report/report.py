"""The report on one submission as data, and in every format."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from validator.findings.finding import Finding, Severity
from validator.report.document import json_text
from validator.report.github import github
from validator.report.junit import junit
from validator.report.sarif import sarif
from validator.report.subject import ChallengeInfo, SubmissionInfo
from validator.report.text import render

ReportFormat = Literal["text", "json", "junit", "sarif", "github"]


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
        return json_text(self.submission, self.challenge, self.findings)

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

    def render(
        self, format_: ReportFormat, *, strict: bool = False, color: bool = False, all_: bool = False
    ) -> str:
        """The report in a format, with a newline at its end.

        Args:
            format_: The format. For GitHub Actions it is the annotations, and the text after them.
            strict: Whether warnings fail, as tests of JUnit do; errors always do.
            color: Use terminal colours in text.
            all_: Show every finding in text, not only the first few of each code.
        """
        if format_ == "json":
            return self.to_json()
        if format_ == "junit":
            return junit(self.submission.name, self.findings, strict=strict)
        if format_ == "sarif":
            return sarif(self.submission.name, self.findings)
        commands = github(self.submission.name, self.findings) if format_ == "github" else ""
        return commands + self.to_text(color=color and format_ == "text", all_=all_)


_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """Errors first, then warnings, then notes; within these rare codes first, then by path."""
    frequency = Counter(finding.code for finding in findings)
    return tuple(
        sorted(findings, key=lambda f: (_RANK[f.severity], frequency[f.code], f.code, f.path, f.message))
    )
