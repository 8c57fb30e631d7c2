"""Examples without a score: the cause, and the sentence that a team may read about it.

What a sandbox reports about a failure is untrusted. The host believes only its kind; the sentence is the host's
own. The sandbox's words are kept for the organiser.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.protocol.errors import Fault, HarnessError, InternalError, MemoryLimitError, SetupError
from harness.protocol.records import ExampleFailure
from harness.sandbox.contract import printable
from validator.findings.finding import Finding

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
        sentence: For the team; the host's own.
        finding: The finding of the validator, if the submission is the cause.
        error: The error for the organiser, if it is not.
    """

    fault: Fault
    code: str
    path: str
    sentence: str
    finding: Finding | None = None
    error: HarnessError | None = None


def from_finding(finding: Finding) -> FailureReport:
    """The report of an example with a file that can't be scored."""
    return FailureReport(Fault.SUBMISSION, finding.code, finding.path, finding.message, finding=finding)


def from_sandbox(line: ExampleFailure) -> FailureReport:
    """The report of a failure that the evaluator sent, in the host's own words."""
    example = f"{line.song} for {line.listener}"
    fault = Fault(line.fault)
    kind = {Fault.MEMORY: MemoryLimitError, Fault.SETUP: SetupError}.get(fault, InternalError)
    return from_error(
        kind(
            f"{example} could not be scored. {SENTENCES[fault]}",
            hint="The details hold the evaluator's message. Run the same command again to continue.",
            detail=printable(line.message.encode()),
        )
    )


def from_error(error: HarnessError) -> FailureReport:
    """The report of an example that was alone in a sandbox when the sandbox failed."""
    sentence = SENTENCES.get(error.fault, SENTENCES[Fault.BUG])
    return FailureReport(error.fault, error.fault.value, "", sentence, error=error)
