"""The text report: grouped by code, with the first findings of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from validator.findings.codes import CODES
from validator.findings.finding import Finding, Severity
from validator.findings.text import for_report
from validator.findings.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from validator.report.subject import ChallengeInfo, SubmissionInfo

SHOWN = 3
"""Findings shown of each code, unless all are requested."""

_LABEL = {Severity.ERROR: "ERROR", Severity.WARNING: "WARNING", Severity.INFO: "NOTE"}
_STYLE = {Severity.ERROR: "1;31", Severity.WARNING: "1;33", Severity.INFO: "1;36"}
_GOOD, _DIM, _BOLD = "1;32", "2", "1"


def _size(count: int) -> str:
    value, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return counted(count, "byte") if unit == "bytes" else f"{value:.1f} {unit}"


def render(
    submission: SubmissionInfo,
    challenge: ChallengeInfo,
    findings: Sequence[Finding],
    *,
    files: int,
    headers_only: bool,
    color: bool,
    all_: bool,
) -> str:
    """A report as text, with a newline at its end.

    Args:
        submission: The submission that was checked.
        challenge: The challenge that it was checked against.
        findings: What was found, in the order in which it is shown.
        files: Number of files in the submission.
        headers_only: Whether nothing was decoded.
        color: Use terminal colours.
        all_: Show every finding, not only the first few of each code.
    """

    def paint(text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if color else text

    lines = [
        paint(for_report(submission.name), _BOLD)
        + f" ({_size(submission.size)}), split {challenge.split}: "
        + f"{counted(challenge.songs, 'song')} x {counted(challenge.listeners, 'listener')} = "
        + f"{counted(challenge.examples, 'example')}",
        "",
    ]
    lines += _sections(findings, paint=paint, all_=all_, rest="show them with --all")
    lines.append(_verdict(findings, files=files, headers_only=headers_only, paint=paint))
    return "\n".join(lines) + "\n"


def render_findings(findings: Iterable[Finding], *, rest: str) -> str:
    """Findings as text, grouped by code, with the first few of each; empty if there are none.

    Args:
        findings: What was found, in the order in which it is shown.
        rest: Where those are that are not shown, such as "they are in FILE".
    """
    return "".join(
        f"{line}\n" for line in _sections(findings, paint=lambda text, _: text, all_=False, rest=rest)
    )


def _sections(
    findings: Iterable[Finding], *, paint: Callable[[str, str], str], all_: bool, rest: str
) -> list[str]:
    lines = []
    for code, group in _groups(findings):
        lines += [*_section(code, group, paint=paint, all_=all_, rest=rest), ""]
    return lines


def _groups(findings: Iterable[Finding]) -> list[tuple[str, list[Finding]]]:
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.code, []).append(finding)
    return list(groups.items())


def _section(
    code: str, group: list[Finding], *, paint: Callable[[str, str], str], all_: bool, rest: str
) -> list[str]:
    severity = group[0].severity
    count = f" ({len(group):,})" if len(group) > 1 else ""
    lines = [f"{paint(_LABEL[severity], _STYLE[severity])} {CODES[code].title} [{code}]{count}"]
    shown = group if all_ else group[:SHOWN]
    hint = group[0].hint
    for finding in shown:
        lines.append(f"  {paint(for_report(finding.path) or 'the whole submission', _BOLD)}")
        lines.append(f"    {for_report(finding.message)}")
        if finding.expected and finding.expected != finding.path:
            lines.append(f"    expected: {for_report(finding.expected)}")
        if (
            finding.found
            and finding.found != finding.path
            and (finding.expected or finding.found not in finding.message)
        ):
            lines.append(f"    found:    {for_report(finding.found)}")
        if finding.hint != hint and finding.hint:
            lines.append(f"    How to fix: {for_report(finding.hint)}")
    if len(group) > len(shown):
        lines.append(paint(f"  … and {len(group) - len(shown):,} more ({rest})", _DIM))
    if hint:
        lines.append(f"  {paint('How to fix:', _BOLD)} {for_report(hint)}")
    return lines


def _verdict(
    findings: Sequence[Finding], *, files: int, headers_only: bool, paint: Callable[[str, str], str]
) -> str:
    errors, warnings = (
        sum(finding.severity is severity for finding in findings)
        for severity in (Severity.ERROR, Severity.WARNING)
    )
    checked = f"{counted(files, 'file')} checked"
    if headers_only:
        checked += " (headers only)"
    verdict = paint("INVALID", _STYLE[Severity.ERROR]) if errors else paint("VALID", _GOOD)
    return f"{verdict}: {counted(errors, 'error')}, {counted(warnings, 'warning')}; {checked}."
