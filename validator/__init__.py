"""What a submission to CAD1 Task 1 must be, and everything that is wrong with one, found at once.

Names are imported when they are first asked for: the sandbox takes single modules of this package, and
neither loads nor trusts the rest.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from validator.archive import SubmissionNotFound
    from validator.challenge import Challenge, ChallengeError
    from validator.finding import Finding, Severity
    from validator.report import Report
    from validator.validation import validate

__all__ = [
    "Challenge",
    "ChallengeError",
    "Finding",
    "Report",
    "Severity",
    "SubmissionNotFound",
    "validate",
]

_HOMES = {
    "Challenge": "challenge",
    "ChallengeError": "challenge",
    "Finding": "finding",
    "Report": "report",
    "Severity": "finding",
    "SubmissionNotFound": "archive",
    "validate": "validation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'validator' has no attribute {name!r}")
    return getattr(import_module(f"validator.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
