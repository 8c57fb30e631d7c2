"""The failures that end a command: the cause of each, and the exit code that goes with it.

A problem of a submission is a `validator.Finding`, not an exception; these classes are for everything else. Each
error says in one sentence what is wrong and where, and its hint says how to fix it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Fault(StrEnum):
    """The cause of a failure; the values are stored in ledgers."""

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
        hint: How to fix it; empty if the user can do nothing.
        detail: Raw output for the organiser, already capped and made printable; never shown to a team.
        extra: The optional dependencies that are missing, such as `score`; the command says how to install them.
    """

    fault: ClassVar[Fault] = Fault.BUG
    exit_code: ClassVar[int] = 5

    def __init__(self, message: str, *, hint: str = "", detail: str = "", extra: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail
        self.extra = extra


class SubmissionError(HarnessError):
    """The submission, or a scores file, is invalid (exit code 1)."""

    fault = Fault.SUBMISSION
    exit_code = 1


class UsageError(HarnessError):
    """The command was used incorrectly (exit code 2)."""

    fault = Fault.USAGE
    exit_code = 2


class SetupError(HarnessError):
    """The cause is the machine, the image, the store or the data root (exit code 3)."""

    fault = Fault.SETUP
    exit_code = 3


class MachineError(SetupError):
    """A failure of the machine that may be temporary, such as a restarting Docker engine; worth a retry."""


class DeadlineError(HarnessError):
    """A deadline set by the host has passed (exit code 4)."""

    fault = Fault.TIMEOUT
    exit_code = 4


class MemoryLimitError(HarnessError):
    """A memory limit was exceeded (exit code 4)."""

    fault = Fault.MEMORY
    exit_code = 4


class InternalError(HarnessError):
    """An internal error: the harness or the evaluator did something it must never do (exit code 5)."""

    fault = Fault.BUG
    exit_code = 5
