"""What a team may read about its submission: as text and as JSON, in a folder for the organiser to send."""

from __future__ import annotations

import json
from pathlib import Path

from harness.ledger.states import State
from harness.protocol.errors import Fault
from harness.ranking.files import write_atomically
from harness.score.failures import SENTENCES
from harness.score.queue import Result
from validator.findings.text import for_terminal

FOLDER = "reports"
"""The folder in a store, unless another is named."""


NOT_YET = "Scoring could not be finished. The submission is not the cause; it is scored again."
"""What a team reads about a failure of the set-up."""


def report_paths(folder: Path, *, team: str, sha256: str) -> tuple[Path, Path]:
    """The paths of the text and of the JSON about a submission."""
    stem = f"{team}-{sha256[:12] or 'unreadable'}"
    return folder / f"{stem}.txt", folder / f"{stem}.json"


def write_report(folder: Path, result: Result) -> Path:
    """Writes a submission's report for its team; returns the path of the text.

    Raises:
        SetupError: It can't be written.
    """
    text, machine = report_paths(folder, team=result.request.team, sha256=result.sha256)
    write_atomically(machine, as_json(result))
    write_atomically(text, as_text(result))
    return text


def cause_for_team(result: Result) -> str:
    """The cause in the host's own words; what it says about the machine is for the organiser."""
    if result.state is not State.FAILED:
        return result.cause
    if result.fault == Fault.SETUP:
        return NOT_YET
    return SENTENCES.get(Fault(result.fault), SENTENCES[Fault.BUG])


def as_text(result: Result) -> str:
    """The report as text."""
    request = result.request
    lines = [
        f"{request.called} of {request.team}, split {request.challenge.split}",
        f"SHA-256: {result.sha256 or 'it could not be read to its end'}",
        f"State: {result.state}",
    ]
    if result.average is not None:
        lines.append(f"Average score: {result.average:.4f}")
    if cause := cause_for_team(result):
        lines.append(f"Cause: {cause}")
    text = "".join(f"{for_terminal(line)}\n" for line in lines)
    return text if result.report is None else f"{text}\n{result.report.to_text(all_=True)}"


def as_json(result: Result) -> str:
    """The report as JSON."""
    request = result.request
    document = {
        "schema_version": 1,
        "team": request.team,
        "split": request.challenge.split,
        "submission": result.sha256,
        "file": for_terminal(request.called),
        "state": str(result.state),
        "fault": str(result.fault),
        "cause": cause_for_team(result),
        "average": result.average,
        "report": None if result.report is None else json.loads(result.report.to_json()),
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"
