"""Findings as SARIF 2.1.0, the format of code scanning services."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from validator.findings.codes import CODES, Code
from validator.findings.finding import Severity
from validator.findings.text import CI_MARK, for_terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from validator.findings.finding import Finding

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
"""The name of the schema; nothing is fetched."""

_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def sarif(name: str, findings: Sequence[Finding]) -> str:
    """Findings as a SARIF log, with a newline at its end.

    Args:
        name: Name of the submission; locations are paths below it.
        findings: What was found.
    """
    codes = sorted({finding.code for finding in findings})
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {"name": "cad1 validate", "rules": [_rule(CODES[code]) for code in codes]}
                },
                "results": [_result(name, finding, codes.index(finding.code)) for finding in findings],
            }
        ],
    }
    text = json.dumps(log, indent=1, ensure_ascii=True, allow_nan=False) + "\n"
    return CI_MARK.sub(r"#\\u0023", text)  # it only occurs inside strings


def _rule(code: Code) -> dict[str, Any]:
    return {
        "id": code.name,
        "shortDescription": {"text": code.title},
        "fullDescription": {"text": code.reason},
        "help": {"text": code.fix},
        "defaultConfiguration": {"level": _LEVEL[code.severity]},
    }


def _result(name: str, finding: Finding, index: int) -> dict[str, Any]:
    sentences = [finding.message]
    if finding.expected and finding.expected != finding.path:
        sentences.append(f"Expected: {finding.expected}.")
    if finding.found and finding.found != finding.path:
        sentences.append(f"Found: {finding.found}.")
    sentences.append(f"How to fix: {finding.hint}")
    inside = not {"", ".", ".."} & set(finding.path.rstrip("/").split("/"))
    place = f"{name}/{finding.path}" if inside else name
    return {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": _LEVEL[finding.severity],
        "message": {"text": for_terminal(" ".join(sentences))},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(for_terminal(place))},
                    "region": {"startLine": 1},
                }
            }
        ],
    }
