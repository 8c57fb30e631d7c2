"""Output of the command: answers on standard output, everything else on standard error, and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.protocol.errors import HarnessError, InternalError, SetupError, UsageError
from validator.findings.text import for_ci_log, for_terminal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

STORE = Path("submissions")
"""The default store."""

INTERRUPTED = 130
"""The exit code of a command that was interrupted."""

EXTRAS = {
    "numba": "score",
    "scipy": "score",
    "soxr": "score",
    "torch": "baselines",
    "torchaudio": "baselines",
    "openunmix": "baselines",
    "cryptography": "sign",
    "securesystemslib": "sign",
}
"""Libraries that only an extra installs, and the name of that extra."""


@cache
def stdout() -> Console:
    """The console of standard output."""
    from rich.console import Console

    return Console()


@cache
def stderr() -> Console:
    """The console of standard error."""
    from rich.console import Console

    return Console(stderr=True)


_store: Path | None = None


def remember_store(store: Path) -> Path:
    """Notes the store that a command was given, so that the details of its errors are saved there."""
    global _store  # noqa: PLW0603  (the command line of this process)
    _store = store
    return store


_resumable = False


def set_resumable(value: bool) -> None:
    """Notes whether the command, run again after an interruption, continues where it stopped."""
    global _resumable  # noqa: PLW0603  (the command line of this process)
    _resumable = value


_verbosity = 0


def set_verbosity(level: int) -> None:
    """Sets how much this command prints besides its answer: -1 errors only, 0 the log, 1 details too."""
    global _verbosity  # noqa: PLW0603  (the command line of this process)
    _verbosity = level


def is_quiet() -> bool:
    """Whether only answers and errors are printed."""
    return _verbosity < 0


def is_verbose() -> bool:
    """Whether details are printed too."""
    return _verbosity > 0


def use_color() -> bool:
    """Whether text on standard output may be coloured."""
    return stdout().is_terminal and "NO_COLOR" not in os.environ


def emit(text: str, output: Path | None) -> None:
    """Writes an answer to standard output, or to a file that appears complete or not at all."""
    if output is None:
        sys.stdout.write(text)
        return
    from harness.ranking.files import write_atomically

    write_atomically(output, text)
    log(f"Written to {output}.")


def show(text: str) -> None:
    """Writes text for people to standard output; text from outside in it has gone through `for_terminal`."""
    sys.stdout.write(text if sys.stdout.isatty() else for_ci_log(text))


def show_line(line: str) -> None:
    """Writes one line for people to standard output; what can't be printed is escaped."""
    show(f"{for_terminal(line)}\n")


def log(text: str) -> None:
    """Writes one line of the log unless the command is quiet; what can't be printed is escaped."""
    if not is_quiet():
        warn(text)


def warn(text: str) -> None:
    """Writes a line to standard error that a quiet command prints too; what can't be printed is escaped."""
    stderr().print(log_line(text), soft_wrap=True)


def log_line(text: str) -> Text:
    """A line as standard error shows it: on a terminal, or in a log that a CI service reads."""
    from rich.text import Text

    line = for_terminal(text)
    return Text(line if sys.stderr.isatty() else for_ci_log(line))


def print_error(error: HarnessError, store: Path | None = None) -> None:
    """Prints an error and its hint; raw output of a sandbox goes to a log file for the organiser.

    Args:
        error: The error.
        store: Its folder `logs` gets the file; the store that the command was given if None.
    """
    warn(f"cad1: {error.message}")
    if error.hint:
        warn(f"  {error.hint}")
    if error.extra:
        from harness.cli.installation import install_hint

        warn(f"  {install_hint(error.extra)}")
    if error.detail and is_verbose():
        for line in error.detail.splitlines():
            warn(f"  | {line}")
    if error.detail:
        _save_detail(error.detail, store or _store)


def _save_detail(text: str, store: Path | None) -> None:
    """Saves raw output in the store's folder `logs`, or in the system's temporary folder without a store."""
    import tempfile
    from datetime import UTC, datetime

    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    for folder in (store / "logs" if store and store.is_dir() else None, Path(tempfile.gettempdir())):
        if folder is None:
            continue
        try:
            folder.mkdir(exist_ok=True)
            path = folder / f"cad1-{stamp}.log"
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError:
            continue  # a full or read-only disk: try the next folder
        warn(f"  Details: {path}")
        return


def run(command: Callable[[], object]) -> int:
    """Runs a command; turns every exception into a message and an exit code."""
    global _store  # noqa: PLW0603
    _store = None  # of an earlier command in this process
    set_verbosity(0)
    set_resumable(False)
    try:
        result = command()
    except typer.Exit as leave:
        return leave.exit_code
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader of standard output has exited
        return 0
    except Exception as exception:
        error = to_harness_error(exception)
        print_error(error)
        return error.exit_code
    if result == INTERRUPTED:  # the command-line library returns it for a KeyboardInterrupt
        resumes = "; what was stored is kept, and the same command continues from there" if _resumable else ""
        warn(f"cad1: Interrupted{resumes}.")
    return result if isinstance(result, int) else 0


def to_harness_error(error: Exception) -> HarnessError:
    """Converts an exception to an error with a message for the user."""
    if isinstance(error, HarnessError):
        return error
    if hasattr(error, "format_message"):  # of the command-line library: a wrong option
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "cad1"
        return UsageError(error.format_message(), hint=f"`{path} --help` lists the arguments and options.")
    from validator.archive.members import SubmissionChangedError
    from validator.archive.submission import SubmissionNotFound
    from validator.challenge.metadata import ChallengeError

    if isinstance(error, ChallengeError | SubmissionChangedError):
        return SetupError(str(error), hint=error.hint)
    if isinstance(error, SubmissionNotFound):
        return UsageError(str(error))
    if isinstance(error, ModuleNotFoundError):
        return _missing_library(error)
    if isinstance(error, OSError):
        return SetupError(
            f"The system reports: {error}.", hint="Check the disk, the permissions and the path."
        )
    return _internal_error(error)


def _internal_error(error: Exception) -> InternalError:
    import traceback

    return InternalError(
        f"Internal error: {type(error).__name__}: {error}.",
        hint="Please report it with the details; what was stored is kept.",
        detail="".join(traceback.format_exception(error)),
    )


def _missing_library(error: ModuleNotFoundError) -> HarnessError:
    """A set-up error if an extra installs the library, else an internal error."""
    library = (error.name or "").partition(".")[0]
    if library not in EXTRAS:
        return _internal_error(error)
    return SetupError(f"This command needs {library}, which is not installed.", extra=EXTRAS[library])
