"""Examples without a score: the cause, and the sentence that a team may read about it.

What a container reports about a failure is untrusted. The host believes only its kind, and only if the evaluator
can know it; the sentence is the host's own. The container's words are kept for the organiser.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.protocol.errors import Fault, HarnessError, InternalError, MemoryLimitError, SetupError
from harness.protocol.records import Example, ExampleFailure
from harness.sandbox.contract import printable
from validator.challenge.rules import CAD1
from validator.findings.codes import CODES, new_finding
from validator.findings.finding import Finding

DECODING_CODES = frozenset(
    {
        "missing",
        "member-corrupt",
        "member-too-large",
        "sample-rate",
        "bit-depth",
        "channels",
        "length",
        "scale-value",
        "not-flac",
        "flac-header",
        "flac-unknown-length",
        "flac-md5",
        "flac-corrupt",
        "flac-truncated",
        "flac-trailing",
    }
)
"""What decoding inside the sandbox may find in a file whose header passed validation."""

SENTENCES: dict[Fault, str] = {
    Fault.SETUP: "A file that scoring needs could not be read in the sandbox.",
    Fault.TIMEOUT: "Scoring exceeded its deadline.",
    Fault.MEMORY: "Scoring exceeded the memory limit of the sandbox.",
    Fault.BUG: "The scorer failed with an internal error.",
}
"""The sentences for causes other than the submission."""


@dataclass(frozen=True)
class FailureReport:
    """An example that was tried and has no score.

    Attributes:
        fault: The cause.
        code: The validator's code if the submission is the cause, else the cause's name.
        path: The file in the submission, below the wrapper folder; empty if no file is the cause.
        sentence: For the team; one of a fixed set.
        finding: The finding of the validator, if the submission is the cause.
        error: The error for the organiser, if it is not.
    """

    fault: Fault
    code: str
    path: str
    sentence: str
    finding: Finding | None = None
    error: HarnessError | None = None


def files_of(example: Example) -> set[str]:
    """The files that a failure of this example may name."""
    listener, song = example.listener, example.song
    pairs = [(side, stem) for side in CAD1.sides for stem in CAD1.stems]
    return {
        CAD1.remix_name(listener, song),
        *(CAD1.stem_name(listener, song, side, stem) for side, stem in pairs),
        *(CAD1.scale_name(listener, song, side, stem) for side, stem in pairs),
    }


def from_sandbox(line: ExampleFailure) -> FailureReport:
    """The report of a failure that the evaluator sent, in the host's own words."""
    example = f"{line.song} for {line.listener}"
    if line.fault == "submission":
        known = files_of(Example(song=line.song, listener=line.listener))
        if line.code not in DECODING_CODES or line.path not in known:
            error: HarnessError = InternalError(
                f"{example}: the evaluator reported a failure that it cannot know about.",
                hint="Please report this; the host ignored what it sent.",
                detail=_raw(line),
            )
            return from_error(error)
        finding = new_finding(line.code, line.path, f"{CODES[line.code].title}.")
        return FailureReport(Fault.SUBMISSION, line.code, line.path, finding.message, finding=finding)
    fault = Fault(line.fault)
    kind = {Fault.MEMORY: MemoryLimitError, Fault.SETUP: SetupError}.get(fault, InternalError)
    return from_error(
        kind(
            f"{example} could not be scored. {SENTENCES[fault]}",
            hint="The details hold the evaluator's message. Run the same command again to continue.",
            detail=_raw(line),
        )
    )


def from_error(error: HarnessError) -> FailureReport:
    """The report of an example that was alone in a sandbox when the sandbox failed."""
    sentence = SENTENCES.get(error.fault, SENTENCES[Fault.BUG])
    return FailureReport(error.fault, error.fault.value, "", sentence, error=error)


def _raw(line: ExampleFailure) -> str:
    return printable(f"{line.code} {line.path}: {line.message}".encode())
