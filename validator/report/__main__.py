"""Writes a JSON report again in other formats: a submission is validated once, and reported in each place of CI.

`python -m validator.report REPORT.json [--junit=FILE] [--sarif=FILE] [--summary=FILE] [--strict=true]` prints the
annotations of GitHub Actions and every finding; the Markdown summary is appended to its file.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from validator.findings.finding import Finding, Severity
from validator.findings.text import for_report
from validator.report.github import github, summary
from validator.report.junit import junit
from validator.report.sarif import sarif

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> None:
    """Reads the report and writes the others."""
    parser = argparse.ArgumentParser(prog="python -m validator.report", allow_abbrev=False)
    parser.add_argument("report", type=Path, help="a report of `cad1 validate --format json`")
    parser.add_argument("--junit", type=Path, help="write JUnit XML to this file")
    parser.add_argument("--sarif", type=Path, help="write SARIF to this file")
    parser.add_argument("--summary", type=Path, help="append Markdown to this file")
    parser.add_argument("--strict", choices=["true", "false"], default="false", help="warnings fail, too")
    options = parser.parse_args(arguments)
    document = json.loads(options.report.read_text(encoding="utf-8"))
    name = document["submission"]["name"]
    findings = [Finding(**{**one, "severity": Severity(one["severity"])}) for one in document["findings"]]
    sys.stdout.write(github(name, findings))
    for one in findings:
        place = one.path or "the whole submission"
        sys.stdout.write(for_report(f"{one.severity}: {place}: {one.message} {one.hint}") + "\n")
    if options.junit is not None:
        text = junit(name, findings, strict=options.strict == "true")
        options.junit.write_text(text, encoding="utf-8")
    if options.sarif is not None:
        options.sarif.write_text(sarif(name, findings), encoding="utf-8")
    if options.summary is not None:
        with options.summary.open("a", encoding="utf-8") as file:
            file.write(summary(name, findings))


if __name__ == "__main__":
    main(sys.argv[1:])
