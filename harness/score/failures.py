"""Examples without a score: whose fault that is, and the sentence that a team may read about it.

What a container says of a failure is untrusted. Only its kind is believed, and only if it is one that the evaluator
knows; the sentence is the host's own. The container's words are kept for the organiser.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.protocol.errors import Fault, HarnessError, InternalError, MemoryLimitError, SetupError
from harness.protocol.records import Example, ExampleFailure
from harness.sandbox.contract import printable
from validator.challenge.rules import CAD1
from validator.findings.codes import rule
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
"""What decoding inside the sandbox may find wrong with a file that passed by its header."""

SENTENCES: dict[Fault, str] = {
    Fault.SETUP: "Something that scoring needs could not be read in the sandbox.",
    Fault.TIMEOUT: "Scoring it took longer than its deadline.",
    Fault.MEMORY: "Scoring it took more memory than the sandbox has.",
    Fault.BUG: "The scorer failed on it.",
}
"""The allow-list for what is not the submission's fault."""


@dataclass(frozen=True)
class Failed:
    """An example that was tried and has no score.

    Attributes:
        fault: Whose fault it is.
        code: The validator's code where it is the submission's, else the fault's name.
        path: The file, if it is one; below the wrapper folder.
        sentence: For the team, from an allow-list.
        finding: What the validator would have said, where it is the submission's fault.
        error: What the organiser reads, where it is not.
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


def from_sandbox(line: ExampleFailure) -> Failed:
    """A failure that the evaluator reported, in the host's own words."""
    place = f"{line.song} for {line.listener}"
    if line.fault == "submission":
        known = files_of(Example(song=line.song, listener=line.listener))
        if line.code not in DECODING_CODES or line.path not in known:
            error: HarnessError = InternalError(
                f"{place}: the evaluator named a failure that it can't know.",
                hint="Please report it; nothing of it was believed.",
                detail=_raw(line),
            )
            return from_error(error)
        finding = rule(line.code).at(line.path, f"{rule(line.code).title}.")
        return Failed(Fault.SUBMISSION, line.code, line.path, finding.message, finding=finding)
    fault = Fault(line.fault)
    kind = {Fault.MEMORY: MemoryLimitError, Fault.SETUP: SetupError}.get(fault, InternalError)
    return from_error(
        kind(
            f"{place} could not be scored. {SENTENCES[fault]}",
            hint="The details hold what the evaluator said. Run the same command again to go on.",
            detail=_raw(line),
        )
    )


def from_error(error: HarnessError) -> Failed:
    """The failure of an example that was alone in a sandbox when that failed."""
    sentence = SENTENCES.get(error.fault, SENTENCES[Fault.BUG])
    return Failed(error.fault, error.fault.value, "", sentence, error=error)


def _raw(line: ExampleFailure) -> str:
    return printable(f"{line.code} {line.path}: {line.message}".encode())
