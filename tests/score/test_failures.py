"""Failures reported by a container: the host believes the kind if it can be true, and never the words."""

from __future__ import annotations

import pytest

from harness.protocol.errors import (
    DeadlineError,
    Fault,
    HarnessError,
    InternalError,
    MemoryLimitError,
    SetupError,
)
from harness.protocol.records import Example, ExampleFailure
from harness.score.failures import DECODING_CODES, SENTENCES, files_of, from_error, from_sandbox
from validator.challenge.rules import CAD1
from validator.findings.codes import CODES

EXAMPLE = Example(song="Actions - One Minute Smile", listener="L5040")
STEM = CAD1.stem_name(EXAMPLE.listener, EXAMPLE.song, "left", "drums")


def line(fault: str = "submission", code: str = "flac-md5", path: str = STEM) -> ExampleFailure:
    return ExampleFailure.model_validate(
        {
            "nonce": "0" * 32,
            "song": EXAMPLE.song,
            "listener": EXAMPLE.listener,
            "fault": fault,
            "code": code,
            "path": path,
            "message": "<script>visit evil.example\x1b[2J</script>",
        }
    )


def test_every_code_is_the_validators() -> None:
    assert set(CODES) >= DECODING_CODES


def test_an_example_has_seventeen_files() -> None:
    assert len(files_of(EXAMPLE)) == 17


@pytest.mark.parametrize("code", sorted(DECODING_CODES))
def test_a_broken_file_is_reported_in_the_hosts_words(code: str) -> None:
    failed = from_sandbox(line(code=code))
    assert failed.fault is Fault.SUBMISSION
    assert failed.finding is not None
    assert failed.sentence == f"{CODES[code].title}."
    assert (failed.finding.code, failed.finding.path) == (code, STEM)
    assert failed.finding.hint == CODES[code].fix
    assert "evil" not in repr(failed)


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("no-such-code", STEM),
        ("archive-structure", STEM),  # a code of the validator that decoding cannot find
        ("flac-md5", "L5041/another/file.flac"),
        ("flac-md5", ""),
    ],
)
def test_what_the_evaluator_cannot_know_is_not_believed(code: str, path: str) -> None:
    failed = from_sandbox(line(code=code, path=path))
    assert failed.fault is Fault.BUG
    assert failed.finding is None
    assert failed.sentence == SENTENCES[Fault.BUG]
    assert isinstance(failed.error, InternalError)
    assert "\x1b" not in failed.error.detail
    assert "evil" not in failed.error.message


@pytest.mark.parametrize(
    ("fault", "kind"), [("setup", SetupError), ("memory", MemoryLimitError), ("bug", InternalError)]
)
def test_other_causes_keep_the_containers_words_for_the_organiser(fault: str, kind: type) -> None:
    failed = from_sandbox(line(fault=fault))
    assert type(failed.error) is kind
    assert isinstance(failed.error, HarnessError)
    assert failed.sentence == SENTENCES[Fault(fault)]
    assert "evil" in failed.error.detail
    assert "evil" not in failed.error.message + failed.error.hint + failed.sentence


def test_a_deadline_of_the_sandbox_is_named() -> None:
    failed = from_error(DeadlineError("late"))
    assert (failed.fault, failed.sentence) == (Fault.TIMEOUT, SENTENCES[Fault.TIMEOUT])
