"""The locked environments outside containers: their variables, and a virtual environment for each program."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from filelock import FileLock

from harness.haaqi.target import environment
from harness.protocol.errors import SetupError
from harness.protocol.lock import (
    HARNESS,
    REQUIREMENTS,
    SCORER_LOCK,
    Lock,
    ProgramName,
    locate,
    scoring_files,
)
from harness.sandbox.wheels import cache_folder, fill

PROCESSOR = ("NUMBA_CPU_", "NPY_", "OPENBLAS_CORETYPE")
"""Prefixes of the variables that name a processor."""

PYTHON = (3, 11)
"""The locked packages are built for this Python."""

PROGRAMS: tuple[ProgramName, ...] = get_args(ProgramName)

ENVIRONMENT_PREFIX = "scorer-"
READY = "proved"
"""The file with the report of the self-test, in the environment's folder."""


def target_variables() -> dict[str, str]:
    """The variables of `harness.haaqi.target`; processors other than x86-64 keep their own target."""
    variables = environment()
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        variables = {name: value for name, value in variables.items() if not name.startswith(PROCESSOR)}
    return variables


@dataclass(frozen=True)
class Program:
    """The interpreter and sources that run `harness.evaluator` or `harness.decoder` on this machine.

    Attributes:
        python: The interpreter.
        tree: The folder that holds `harness` and `validator`.
        kernels: The folder of precompiled kernels, if there is one: the evaluator's.
        locked: Whether it is the locked environment.
    """

    python: Path
    tree: Path
    kernels: Path | None
    locked: bool


def find_python() -> str | None:
    """A Python 3.11 on this machine: this one, or one on the path."""
    if sys.version_info[:2] == PYTHON:
        return sys.executable
    return shutil.which("python3.11")


def find_program(lock: Lock, name: ProgramName) -> Program:
    """A program's locked environment if there is a Python 3.11; else the harness's own packages, unlocked.

    Raises:
        SetupError: If the locked environment can't be made.
    """
    base = find_python()
    if base is None:
        return Program(Path(sys.executable), HARNESS.parent, kernels=None, locked=False)
    home = make_environment(lock, base, program=name)
    kernels = home / "kernels" if name == "evaluator" else None
    return Program(venv_python(home / "venv"), home / "tree", kernels=kernels, locked=True)


def variables(*, temporary: str) -> dict[str, str]:
    """All environment variables that a program needs.

    Args:
        temporary: The folder for its temporary files, as the program sees it.
    """
    return target_variables() | {
        "TMPDIR": temporary,
        "HOME": temporary,
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
    }


def venv_python(venv: Path) -> Path:
    """The interpreter of a virtual environment."""
    return venv / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def environment_folder(lock: Lock, program: ProgramName) -> Path:
    """The folder of a program's environment under a lock, which may not exist yet."""
    return cache_folder() / f"{ENVIRONMENT_PREFIX}{lock.digest[:16]}-{program}"


def is_ready(lock: Lock) -> bool:
    """Whether a lock's environments were made and have passed their self-tests."""
    return all((environment_folder(lock, program) / READY).is_file() for program in PROGRAMS)


def make_environment(lock: Lock, python: str, *, program: ProgramName) -> Path:
    """The folder with a program's virtual environment and the locked sources, made if it does not exist.

    Raises:
        SetupError: If the packages can't be installed, or the environment fails its check or its self-test.
    """
    home = environment_folder(lock, program)
    home.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(home.parent / f"{home.name}.lock"):
        if (home / READY).is_file():
            return home
        shutil.rmtree(home, ignore_errors=True)
        wheels = fill(cache_folder() / "wheels-process" / program, program, python=python)
        tree, inside = home / "tree", str(venv_python(home / "venv"))
        copy_sources(tree)
        # Neither pip nor setuptools: a .pth file of setuptools would run at every start.
        _run([python, "-m", "venv", "--without-pip", str(home / "venv")], program, "made")
        _run(
            [
                *(
                    python,
                    "-m",
                    "pip",
                    "--python",
                    inside,
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                ),
                *("--no-index", "--find-links", str(wheels[0].parent), "--require-hashes", "--no-deps"),
                *("--only-binary=:all:", "--requirement", str(tree / REQUIREMENTS[program])),
            ],
            program,
            "filled",
        )
        settings = variables(temporary=str(home)) | {"NUMBA_CACHE_DIR": str(home / "kernels")}
        report = _run(
            [inside, "-m", f"harness.{program}.selftest"], program, "tested", cwd=tree, variables=settings
        )
        check = [inside, "-m", "harness.protocol.lock", "--check", program, lock.digest]
        report += _run(check, program, "checked", cwd=tree, variables=settings)
        (home / READY).write_text(report, encoding="utf-8")
    return home


def copy_sources(tree: Path) -> None:
    """Copies the files of the lock, and only these: nothing else of this installation takes part in scoring."""
    root = HARNESS.parent
    for name in [*scoring_files(root), SCORER_LOCK]:
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(locate(name, root), target)
        os.utime(target, (1_700_000_000, 1_700_000_000))


def _run(
    command: list[str],
    program: ProgramName,
    what: str,
    *,
    cwd: Path | None = None,
    variables: dict[str, str] | None = None,
) -> str:
    """Runs one step without Python's and Numba's variables of this process; returns its output.

    Raises:
        SetupError: If it fails: the program's environment could not be `what`.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "NUMBA_"))}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=inherited | (variables or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SetupError(
            f"The {program}'s own Python environment could not be {what}.",
            hint=f"Check that {cache_folder()} has free disk space and that Python 3.11 has `venv` and pip.",
            detail=(done.stdout + done.stderr)[-4000:],
        )
    return done.stdout
