"""What can go wrong, by whose fault, and with which exit code the command ends.

What is wrong with a submission is a `validator.Finding`, not an exception; these are for the rest.
Every error says in one sentence what is wrong and where, and in its hint how to mend it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Fault(StrEnum):
    """Whose fault a failure is."""

    SUBMISSION = "submission"
    USAGE = "usage"
    SETUP = "setup"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    BUG = "bug"


class HarnessError(Exception):
    """A failure with a sentence for the user.

    Args:
        message: One sentence: what is wrong and where, what was expected, what was found.
        hint: How to mend it; may be empty where nothing can be done.
        detail: Raw output for the organiser (already capped and cleaned); never shown to a team.
    """

    fault: ClassVar[Fault] = Fault.BUG
    exit_code: ClassVar[int] = 5

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail


class SubmissionError(HarnessError):
    """The submission, or a scores file, is invalid (exit 1)."""

    fault = Fault.SUBMISSION
    exit_code = 1


class UsageError(HarnessError):
    """The command was used wrongly (exit 2)."""

    fault = Fault.USAGE
    exit_code = 2


class SetupError(HarnessError):
    """The machine, the image, the store or the data root is at fault (exit 3)."""

    fault = Fault.SETUP
    exit_code = 3


class MachineError(SetupError):
    """A fault of the machine that may pass by itself, such as an engine that restarts: worth another try."""


class DeadlineError(HarnessError):
    """A deadline of the host passed (exit 4)."""

    fault = Fault.TIMEOUT
    exit_code = 4


class MemoryLimitError(HarnessError):
    """A memory limit was hit (exit 4)."""

    fault = Fault.MEMORY
    exit_code = 4


class BugError(HarnessError):
    """Something that must not happen happened (exit 5)."""

    fault = Fault.BUG
    exit_code = 5
