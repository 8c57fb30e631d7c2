"""Results as JUnit XML, which CI systems show as a list of tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from validator.findings.codes import CODES
from validator.findings.finding import Severity
from validator.findings.text import for_report

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from validator.findings.finding import Finding


@dataclass(frozen=True, slots=True)
class Case:
    """One test.

    Attributes:
        group: What it belongs to; CI systems call it the class.
        name: Its name.
        failure: Why it failed, in one sentence; empty if it passed.
        skipped: Why it was skipped; empty if it was not.
        detail: More about it, several lines.
        seconds: How long it took.
    """

    group: str
    name: str
    failure: str = ""
    skipped: str = ""
    detail: str = ""
    seconds: float = 0.0


def junit_xml(suite: str, cases: Sequence[Case]) -> str:
    """The cases as a JUnit XML document, with a newline at its end.

    Args:
        suite: What was tested.
        cases: The tests.
    """
    totals = {
        "tests": str(len(cases)),
        "failures": str(sum(bool(case.failure) for case in cases)),
        "errors": "0",
        "skipped": str(sum(bool(case.skipped) for case in cases)),
        "time": f"{sum(case.seconds for case in cases):.3f}",
    }
    root = ElementTree.Element("testsuites", totals)
    top = ElementTree.SubElement(root, "testsuite", {"name": for_report(suite), **totals})
    for case in cases:
        element = ElementTree.SubElement(
            top,
            "testcase",
            {
                "classname": for_report(case.group),
                "name": for_report(case.name),
                "time": f"{case.seconds:.3f}",
            },
        )
        detail = "\n".join(map(for_report, case.detail.split("\n")))
        if case.failure:
            inner = {"message": for_report(case.failure), "type": for_report(case.group)}
            ElementTree.SubElement(element, "failure", inner).text = detail
        elif case.skipped:
            ElementTree.SubElement(element, "skipped", {"message": for_report(case.skipped)})
        elif detail:
            ElementTree.SubElement(element, "system-out").text = detail
    ElementTree.indent(root, " ")
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def junit(name: str, findings: Iterable[Finding], *, strict: bool) -> str:
    """Findings as JUnit XML: each is a test, which fails if the finding is an error.

    Args:
        name: Name of the submission.
        findings: What was found. If nothing fails, one test of the whole submission passes.
        strict: Whether warnings fail, too.
    """
    failing = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
    cases = [_case(finding, fails=finding.severity in failing) for finding in findings]
    if not any(case.failure for case in cases):
        cases.insert(0, Case("valid", name))
    return junit_xml(name, cases)


def _case(finding: Finding, *, fails: bool) -> Case:
    lines = [f"{finding.severity}: {CODES[finding.code].title}", *_lines(finding)]
    return Case(
        group=finding.code,
        name=finding.path or "the whole submission",
        failure=finding.message if fails else "",
        detail="\n".join(lines),
    )


def _lines(finding: Finding) -> list[str]:
    return [
        finding.message,
        *([f"expected: {finding.expected}"] if finding.expected else []),
        *([f"found: {finding.found}"] if finding.found else []),
        *([f"How to fix: {finding.hint}"] if finding.hint else []),
    ]
