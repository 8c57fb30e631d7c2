"""One thing that is wrong with a submission, as data.

Standard library only, for this module is also imported inside the sandbox.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding weighs. Only an error makes a submission invalid."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a submission got wrong.

    Attributes:
        code: Name of the rule, as in `validator.findings.codes`.
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
