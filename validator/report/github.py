"""Findings for GitHub Actions: annotations of a run, and the Markdown of a step's summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from validator.findings.codes import CODES
from validator.findings.finding import Severity
from validator.findings.text import for_markdown, for_report
from validator.findings.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from validator.findings.finding import Finding

SHOWN = 3
"""Places that an annotation names of each code: GitHub shows ten annotations of a step, so one code is one."""

_COMMAND = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def github(name: str, findings: Iterable[Finding]) -> str:
    """One annotation for each code, as a workflow command; empty if there is no finding.

    Args:
        name: Name of the submission.
        findings: What was found, in the order in which it is shown.
    """
    lines = []
    for code, group in by_code(findings).items():
        title = f"{name}: {CODES[code].title} [{code}]"
        body = [f"{finding.path or 'the whole submission'}: {finding.message}" for finding in group[:SHOWN]]
        if len(group) > SHOWN:
            body.append(f"… and {len(group) - SHOWN:,} more")
        body.append(f"How to fix: {group[0].hint}")
        message = "%0A".join(_data(line) for line in body)
        lines.append(f"::{_COMMAND[group[0].severity]} title={_property(title)}::{message}\n")
    return "".join(lines)


def summary(name: str, findings: Sequence[Finding]) -> str:
    """The summary of a step as Markdown: the verdict, and a table with a row for each code.

    Args:
        name: Name of the submission.
        findings: What was found, in the order in which it is shown.
    """
    errors, warnings = (
        sum(finding.severity is severity for finding in findings)
        for severity in (Severity.ERROR, Severity.WARNING)
    )
    verdict = "invalid" if errors else "valid"
    counts = f"{counted(errors, 'error')}, {counted(warnings, 'warning')}"
    lines = [f"### {for_markdown(name)} is {verdict}", "", f"{counts}.", ""]
    if findings:
        lines += ["| | what is wrong | where | how to fix it |", "|---|---|---|---|"]
    for code, group in by_code(findings).items():
        first = group[0]
        where = for_markdown(first.path) or "the whole submission"
        if len(group) > 1:
            where += f" and {len(group) - 1:,} more"
        what = f"{for_markdown(first.message)} (`{code}`)"
        lines.append(f"| {first.severity} | {what} | {where} | {for_markdown(first.hint)} |")
    return "\n".join(lines).rstrip("\n") + "\n"


def by_code(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """The findings of each code, in the order in which the codes come first."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.code, []).append(finding)
    return groups


def _data(text: str) -> str:
    """Text in the message of a workflow command."""
    return for_report(text).replace("%", "%25")


def _property(text: str) -> str:
    """Text in a property of a workflow command."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
