"""What a submission to CAD1 Task 1 must be, and everything that is wrong with one, found at once.

Names are imported on first use: the sandboxes contain only the packages that they need, and `import validator` must
work there too.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from validator.archive.members import SubmissionChangedError as SubmissionChangedError
    from validator.archive.submission import SubmissionNotFound as SubmissionNotFound
    from validator.challenge.challenge import Challenge as Challenge
    from validator.challenge.metadata import ChallengeError as ChallengeError
    from validator.findings.finding import Finding as Finding
    from validator.findings.finding import Severity as Severity
    from validator.report.report import Report as Report
    from validator.validation import validate as validate

_MODULES = {
    "Challenge": "validator.challenge.challenge",
    "ChallengeError": "validator.challenge.metadata",
    "Finding": "validator.findings.finding",
    "Report": "validator.report.report",
    "Severity": "validator.findings.finding",
    "SubmissionChangedError": "validator.archive.members",
    "SubmissionNotFound": "validator.archive.submission",
    "validate": "validator.validation",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(_MODULES)
