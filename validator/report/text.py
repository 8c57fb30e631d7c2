"""A report for a reader: grouped by rule, counted, the first places of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from validator.findings.codes import RULES
from validator.findings.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from validator.report.subject import Scope, Subject

PLACES = 3
"""Places shown of each rule unless all are asked for."""

_STYLE = {Severity.ERROR: "1;31", Severity.WARNING: "1;33", Severity.INFO: "1;36"}
_GOOD, _DIM, _BOLD = "1;32", "2", "1"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _size(count: int) -> str:
    value, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"


def render(
    subject: Subject,
    scope: Scope,
    findings: Sequence[Finding],
    *,
    looked_at: int,
    by_headers: bool,
    color: bool,
    all_: bool,
) -> str:
    """A report as text, with a newline at its end.

    Args:
        subject: The submission.
        scope: What it was held against.
        findings: What was found, in the order in which it is to be read.
        looked_at: Number of files.
        by_headers: Whether nothing was decoded.
        color: Whether the terminal knows colours.
        all_: Show every place, and not the first few of each rule.
    """

    def paint(text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if color else text

    lines = [
        paint(subject.name, _BOLD)
        + f" ({_size(subject.size)}), split {scope.split}: "
        + f"{_plural(scope.songs, 'song')} x {_plural(scope.listeners, 'listener')} = "
        + f"{_plural(scope.examples, 'example')}",
        "",
    ]
    for code, group in _groups(findings):
        lines += _section(code, group, paint=paint, all_=all_)
        lines.append("")
    lines += _verdict(findings, looked_at=looked_at, by_headers=by_headers, paint=paint)
    return "\n".join(lines) + "\n"


def _groups(findings: Iterable[Finding]) -> list[tuple[str, list[Finding]]]:
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.code, []).append(finding)
    return list(groups.items())


def _section(code: str, group: list[Finding], *, paint: Callable[[str, str], str], all_: bool) -> list[str]:
    rule, severity = RULES[code], group[0].severity
    label = {Severity.ERROR: "ERROR", Severity.WARNING: "WARNING", Severity.INFO: "NOTE"}[severity]
    lines = [f"{paint(label, _STYLE[severity])} {rule.title} [{code}] ({_plural(len(group), 'place')})"]
    shown = group if all_ else group[:PLACES]
    hint = group[0].hint
    for finding in shown:
        lines.append(f"  {paint(finding.path or 'the whole submission', _BOLD)}")
        lines.append(f"    {finding.message}")
        if finding.expected:
            lines.append(f"    expected: {finding.expected}")
        if finding.found:
            lines.append(f"    found:    {finding.found}")
        if finding.hint != hint and finding.hint:
            lines.append(f"    mend it:  {finding.hint}")
    if len(group) > len(shown):
        lines.append(
            paint(f"  … and {_plural(len(group) - len(shown), 'more place')} (--all shows them)", _DIM)
        )
    if hint:
        lines.append(f"  {paint('Mend it:', _BOLD)} {hint}")
    return lines


def _verdict(
    findings: Sequence[Finding], *, looked_at: int, by_headers: bool, paint: Callable[[str, str], str]
) -> list[str]:
    errors, warnings = (
        sum(finding.severity is severity for finding in findings)
        for severity in (Severity.ERROR, Severity.WARNING)
    )
    looked = f"{_plural(looked_at, 'file')} looked at"
    if by_headers:
        looked += ", by headers only"
    if errors == 0:
        verdict = paint("VALID", _GOOD)
        return [f"{verdict}: {looked}, {_plural(warnings, 'warning')}."]
    verdict = paint("INVALID", _STYLE[Severity.ERROR])
    return [f"{verdict}: {_plural(errors, 'error')}, {_plural(warnings, 'warning')}; {looked}."]
