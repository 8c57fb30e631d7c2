"""What a submission to CAD1 Task 1 must be, and everything that is wrong with one, found at once."""

from validator.archive import SubmissionNotFound
from validator.challenge import Challenge, ChallengeError
from validator.report import Finding, Report, Severity
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
