"""What a check has to say: a finding, and a report of all of them.

Standard library only, for this module is also imported inside the sandbox.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

SCHEMA_VERSION = 1


class Severity(StrEnum):
    """How much a finding weighs. Only an error makes a submission invalid."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a submission got wrong.

    Attributes:
        code: Name of the rule, as in `validator.codes`.
        severity: How much it weighs.
        path: Where: a member of the submission, a folder of it (ending in `/`), or empty for the whole.
        message: What is wrong, in one sentence.
        expected: What should be there; may be empty.
        found: What is there; may be empty.
        hint: How to mend it.
    """

    code: str
    severity: Severity
    path: str
    message: str
    expected: str = ""
    found: str = ""
    hint: str = ""

    def to_dict(self) -> dict[str, str]:
        """The finding as the contract's JSON has it."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "path": self.path,
            "message": self.message,
            "expected": self.expected,
            "found": self.found,
            "hint": self.hint,
        }


@dataclass(frozen=True, slots=True)
class Subject:
    """The submission that was looked at.

    Attributes:
        name: File or folder name, without the way to it.
        sha256: Digest of the file; None for a folder, which has no bytes of its own (for one,
            `validator.archive.digest` defines a digest of its files).
        size: Bytes of the file, or of all files of the folder.
    """

    name: str
    sha256: str | None
    size: int


@dataclass(frozen=True, slots=True)
class Scope:
    """What the submission was held against: the split and its numbers of songs, listeners, examples."""

    split: str
    songs: int
    listeners: int
    examples: int


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
        from validator.text import render  # noqa: PLC0415 - text is not needed inside the sandbox

        return render(self, color=color, all_=all_)


_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """Errors first, then warnings, then information; the more frequent the later; then by path."""
    often = Counter(finding.code for finding in findings)
    return tuple(
        sorted(findings, key=lambda f: (_RANK[f.severity], often[f.code], f.code, f.path, f.message))
    )
