"""One thing that is wrong with a submission, as data.

Standard library only: this module is also imported inside the sandbox.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How serious a finding is. Only an error makes a submission invalid."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a submission.

    Attributes:
        code: A key of `validator.findings.codes.CODES`.
        severity: How serious it is.
        path: Where it is: a file or a folder (ending in `/`) of the submission, a pattern with `*`, or empty
            for the whole submission.
        message: What is wrong, in one sentence.
        expected: What should be there; may be empty.
        found: What is there; may be empty.
        hint: How to fix it.
    """

    code: str
    severity: Severity
    path: str
    message: str
    expected: str = ""
    found: str = ""
    hint: str = ""

    def to_dict(self) -> dict[str, str]:
        """The finding as in the JSON report."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "path": self.path,
            "message": self.message,
            "expected": self.expected,
            "found": self.found,
            "hint": self.hint,
        }
