"""The report as JSON."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from validator.findings.finding import Severity
from validator.findings.text import CI_MARK
from validator.findings.wording import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from validator.findings.finding import Finding
    from validator.report.subject import ChallengeInfo, SubmissionInfo

SCHEMA_VERSION = 1


def json_text(submission: SubmissionInfo, challenge: ChallengeInfo, findings: Sequence[Finding]) -> str:
    """A report as JSON, with a newline at its end.

    Args:
        submission: The submission that was checked.
        challenge: The challenge that it was checked against.
        findings: What was found, in the order in which it is listed.
    """
    count = Counter(finding.severity for finding in findings)
    document = {
        "schema_version": SCHEMA_VERSION,
        "valid": not count[Severity.ERROR],
        "submission": {
            "name": printable(submission.name),
            "sha256": submission.sha256,
            "bytes": submission.size,
        },
        "challenge": {
            "split": challenge.split,
            "songs": challenge.songs,
            "listeners": challenge.listeners,
            "examples": challenge.examples,
        },
        "counts": {
            "error": count[Severity.ERROR],
            "warning": count[Severity.WARNING],
        },
        "findings": [finding.to_dict() for finding in findings],
    }
    text = json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False) + "\n"
    return CI_MARK.sub(r"#\\u0023", text)  # it only occurs inside strings
