"""What the command says: the answer on standard output, everything else in sentences on standard error."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console

from harness.protocol.errors import HarnessError, InternalError, SetupError, UsageError
from harness.ranking.render import write_atomically
from validator import ChallengeError, SubmissionNotFound

err = Console(stderr=True)
out = Console()

STORE = Path("submissions")
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
"""Libraries that the base install does without, and the extra that brings each."""


def emit(text: str, output: Path | None) -> None:
    """Writes the answer to a file, in one step, or to standard output."""
    if output is None:
        sys.stdout.write(text)
        return
    write_atomically(output, text)
    err.print(f"Written to {output}.", markup=False, highlight=False)


def say(text: str) -> None:
    """One line of the log."""
    err.print(text, markup=False, highlight=False)


def complain(error: HarnessError, store: Path = STORE) -> None:
    """Prints an error for people; what a sandbox printed goes to a log of the organiser's."""
    err.print(f"cad1: {error.message}", markup=False, highlight=False, soft_wrap=True)
    if error.hint:
        err.print(f"  {error.hint}", markup=False, highlight=False, soft_wrap=True)
    if error.detail:
        _log(error.detail, store)


def _log(text: str, store: Path) -> None:
    """Keeps raw output in the store's `logs`, or in the system's temporary folder without a store."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    for folder in (store / "logs" if store.is_dir() else None, Path(tempfile.gettempdir())):
        if folder is None:
            continue
        try:
            folder.mkdir(exist_ok=True)
            path = folder / f"cad1-{stamp}.log"
            path.write_text(text, encoding="utf-8")
        except OSError:
            continue  # a full or read-only disk: try the next place
        err.print(f"  Details: {path}", markup=False, highlight=False, soft_wrap=True)
        return


def _bug(error: Exception) -> int:
    bug = InternalError(
        f"A bug of ours: {type(error).__name__}: {error}.",
        hint="Please report it with the details; what was stored is kept.",
        detail="".join(traceback.format_exception(error)),
    )
    complain(bug)
    return bug.exit_code


def _lacking(error: ModuleNotFoundError) -> int:
    """A library of an extra that is not installed is the set-up's fault, any other a bug of ours."""
    library = (error.name or "").partition(".")[0]
    if library not in EXTRAS:
        return _bug(error)
    complain(
        SetupError(
            f"This command needs {library}, which is not installed.",
            hint=f"Install the extra that brings it: `pip install 'cad1-harness[{EXTRAS[library]}]'`.",
        )
    )
    return SetupError.exit_code


def run(command: Callable[[], object]) -> int:
    """Runs the command and turns everything that can go wrong into a sentence and an exit code."""
    try:
        result = command()
    except typer.Exit as leave:
        return leave.exit_code
    except HarnessError as error:
        complain(error)
        return error.exit_code
    except ChallengeError as error:
        complain(SetupError(str(error), hint=error.hint))
        return SetupError.exit_code
    except SubmissionNotFound as error:
        complain(UsageError(str(error)))
        return UsageError.exit_code
    except (KeyboardInterrupt, typer.Abort):
        err.print("cad1: interrupted; what was stored is kept, run the same command again to go on.")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever read our output has gone
        return 0
    except ModuleNotFoundError as error:
        return _lacking(error)
    except OSError as error:
        complain(
            SetupError(f"The system refused: {error}.", hint="See the disk, the permissions and the path.")
        )
        return SetupError.exit_code
    except Exception as error:
        if hasattr(error, "format_message"):  # the CLI library's own: a wrong option
            err.print(f"cad1: {error.format_message()}", markup=False, highlight=False)
            err.print("  `cad1 --help` names the commands and options.", markup=False, highlight=False)
            return UsageError.exit_code
        return _bug(error)
    return result if isinstance(result, int) else 0
