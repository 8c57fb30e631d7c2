"""What commands print with `--json`: one document each, with `schema_version`."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validator.findings.text import CI_MARK
from validator.findings.wording import printable

if TYPE_CHECKING:
    from harness.baselines.regression import Comparisons, Regression
    from harness.machine.doctor import Check
    from harness.protocol.errors import HarnessError
    from harness.provenance.verification import Verification
    from harness.sandbox.selfcheck import SandboxReport
    from harness.score.queue import Result
    from harness.score.request import Outcome

SCHEMA_VERSION = 1


def document(**content: object) -> str:
    """A JSON document, with a newline at its end; text from outside in it can't command a CI system."""
    text = json.dumps({"schema_version": SCHEMA_VERSION, **content}, indent=1, allow_nan=False) + "\n"
    return CI_MARK.sub(r"#\\u0023", text)  # it only occurs inside strings


def score_document(outcome: Outcome, *, team: str) -> dict[str, Any]:
    """The result of scoring one submission.

    Args:
        outcome: The result.
        team: The team.
    """
    from harness.score.conductor import state_of

    report = outcome.whole_report
    return {
        "team": team,
        "submission": {"name": printable(report.submission.name), "sha256": report.submission.sha256},
        "split": report.challenge.split,
        "state": state_of(outcome)[0].value,
        "average": outcome.average,
        "examples": {"scored": outcome.scored, "stored": outcome.stored, "total": outcome.total},
        "audits": {
            "stems": len(outcome.audits),
            "greatest_difference": max((one.difference for one in outcome.audits), default=None),
        },
        "findings": [finding.to_dict() for finding in report.findings],
        "report": None if outcome.report_path is None else str(outcome.report_path),
        "faults": [fault_document(fault) for fault in outcome.faults],
    }


def result_document(result: Result) -> dict[str, Any]:
    """What became of one submission of a queue, with the keys of `score_document`, whatever became of it."""
    request = result.request
    submission = {"name": printable(request.called), "sha256": result.sha256 or None}
    if result.outcome is not None:
        return score_document(result.outcome, team=request.team) | {"submission": submission}
    return {
        "team": request.team,
        "submission": submission,
        "split": request.challenge.split,
        "state": result.state.value,
        "average": result.average,
        "examples": None,
        "audits": None,
        "findings": [finding.to_dict() for finding in result.report.findings] if result.report else [],
        "report": None,
        "faults": [fault_document(result.error)] if result.error else [],
    }


def fault_document(error: HarnessError) -> dict[str, Any]:
    """An error: its cause, its sentence and how to fix it."""
    return {"fault": error.fault.value, "message": error.message, "hint": error.hint}


def checks_json(checks: Sequence[Check], *, can_score: bool) -> str:
    """What `cad1 doctor` found."""
    return document(can_score=can_score, checks=[asdict(check) for check in checks])


def store_json(store: Path, found: Verification) -> str:
    """The verification of a store."""
    return document(
        store=str(store),
        verified=not found.problems,
        head=found.head,
        entries=found.entries,
        examples=found.examples,
        since=None if found.since is None else found.since.sentence,
        problems=found.problems,
    )


def bundle_json(bundle: Path, problems: Sequence[str], *, key: Path | None) -> str:
    """The verification of a bundle."""
    return document(
        bundle=str(bundle), verified=not problems, signature_checked=key is not None, problems=list(problems)
    )


def regression_json(found: Comparisons) -> str:
    """The comparison of the baselines with their stored and their published scores."""
    return document(
        steady=found.steady,
        results=[_result(one) for one in found.stored],
        published={
            name: [
                {"song": one.song, "published": one.published, "found": one.found, "expected": one.expected}
                for one in differences
            ]
            for name, differences in found.published.items()
        },
    )


def _result(one: Regression) -> dict[str, Any]:
    found: dict[str, Any] = {
        "baseline": one.name, "engine": one.engine, "steady": one.steady, "skipped": one.skipped
    }  # fmt: skip
    if one.comparison is not None:
        found |= {
            "compared": one.comparison.compared,
            "tolerance": one.comparison.tolerance,
            "largest_change": _number(one.comparison.largest),
            "changed": [
                {
                    "song": drift.song,
                    "listener": drift.listener,
                    "value": drift.column,
                    "expected": drift.expected,
                    "found": _number(drift.found),
                }
                for drift in one.comparison.drifts
            ],
            "missing": [list(example) for example in one.comparison.missing],
            "unexpected": [list(example) for example in one.comparison.unexpected],
        }
    return found


def _number(value: float | None) -> float | None:
    """A number for JSON, which has neither NaN nor infinity: null."""
    return value if value is not None and math.isfinite(value) else None


def image_json(found: SandboxReport) -> str:
    """An image that matches the lock."""
    environment = found.environment
    return document(
        image=environment.image,
        base_image=environment.base_image,
        scorer=environment.scorer_digest,
        evaluator=found.hello.versions,
        decoder=found.decoder,
    )
