"""Failures reported by a container: the host believes the kind if it can be true, and never the words."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from harness.protocol.errors import (
    DeadlineError,
    Fault,
    HarnessError,
    InternalError,
    MemoryLimitError,
    SetupError,
)
from harness.protocol.records import ExampleFailure
from harness.score.failures import SENTENCES, from_error, from_finding, from_sandbox
from validator.findings.codes import new_finding


def line(fault: str) -> ExampleFailure:
    return ExampleFailure.model_validate(
        {
            "nonce": "0" * 32,
            "song": "Actions - One Minute Smile",
            "listener": "L5040",
            "fault": fault,
            "message": "<script>visit evil.example\x1b[2J</script>",
        }
    )


def test_a_broken_file_is_a_finding() -> None:
    finding = new_finding("flac-md5", "a/b.flac", "The MD5 differs.")
    failed = from_finding(finding)
    assert (failed.fault, failed.code, failed.path) == (Fault.SUBMISSION, "flac-md5", "a/b.flac")
    assert (failed.finding, failed.error) == (finding, None)


def test_the_evaluator_cannot_blame_the_submission() -> None:
    with pytest.raises(ValidationError, match="fault"):
        line("submission")


@pytest.mark.parametrize(
    ("fault", "kind"), [("setup", SetupError), ("memory", MemoryLimitError), ("bug", InternalError)]
)
def test_other_causes_keep_the_containers_words_for_the_organiser(fault: str, kind: type) -> None:
    failed = from_sandbox(line(fault=fault))
    assert type(failed.error) is kind
    assert isinstance(failed.error, HarnessError)
    assert failed.sentence == SENTENCES[Fault(fault)]
    assert "evil" in failed.error.detail
    assert "\x1b" not in failed.error.detail
    assert "evil" not in failed.error.message + failed.error.hint + failed.sentence


def test_a_deadline_of_the_sandbox_is_named() -> None:
    failed = from_error(DeadlineError("late"))
    assert (failed.fault, failed.sentence) == (Fault.TIMEOUT, SENTENCES[Fault.TIMEOUT])
