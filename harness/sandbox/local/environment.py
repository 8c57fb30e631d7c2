"""The locked environment outside of containers: its variables, and the virtual environment in the user's cache."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from harness.haaqi.target import environment
from harness.protocol.errors import SetupError
from harness.protocol.lock import HARNESS, Lock, locate, scoring_files
from harness.sandbox.docker.image import SCORER_LOCK
from harness.sandbox.wheels import cache_folder, fill

PROCESSOR = ("NUMBA_CPU_", "NPY_", "OPENBLAS_CORETYPE")
"""How the variables begin that name a processor."""

PYTHON = (3, 11)
"""The locked packages are built for this Python."""


def fixed() -> dict[str, str]:
    """What a child process of this machine gets; other processors than x86-64 keep their own target."""
    variables = environment()
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        variables = {name: value for name, value in variables.items() if not name.startswith(PROCESSOR)}
    return variables


@dataclass(frozen=True)
class Evaluator:
    """What runs `harness.evaluator` on this machine.

    Attributes:
        python: The interpreter.
        tree: The folder that holds `harness` and `validator`.
        kernels: The kernels compiled beforehand, if there are any.
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


def find_evaluator(lock: Lock) -> Evaluator:
    """The locked environment where there is a Python 3.11; else what is installed beside the harness, unlocked.

    Raises:
        SetupError: If the locked environment can't be made.
    """
    base = find_python()
    if base is None:
        return Evaluator(Path(sys.executable), HARNESS.parent, kernels=None, locked=False)
    home = make_environment(lock, base)
    return Evaluator(venv_python(home / "venv"), home / "tree", kernels=home / "numba", locked=True)


def variables(*, temporary: str) -> dict[str, str]:
    """All variables that the evaluator needs of its own.

    Args:
        temporary: Where its temporary files go, as the evaluator sees it.
    """
    return fixed() | {
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


def make_environment(lock: Lock, python: str) -> Path:
    """The folder with the locked virtual environment and the locked sources, made if it is not there.

    Raises:
        SetupError: If the packages can't be had or the environment does not prove itself.
    """
    home = cache_folder() / f"scorer-{lock.digest[:16]}"
    home.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(home.parent / f"{home.name}.lock"):
        if (home / "proved").is_file():
            return home
        shutil.rmtree(home, ignore_errors=True)
        wheels = fill(cache_folder() / "wheels-process", python=python)
        copy_sources(home / "tree")
        _run([python, "-m", "venv", str(home / "venv")], "made")
        _run(
            [
                str(venv_python(home / "venv")),
                *("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"),
                *("--find-links", str(wheels[0].parent), "--require-hashes", "--no-deps"),
                *("--only-binary=:all:", "--requirement", str(home / "tree/harness/scorer-requirements.txt")),
            ],
            "filled",
        )
        kernels = {"NUMBA_CACHE_DIR": str(home / "numba"), "PYTHONHASHSEED": "0"}
        proof = _run(
            [str(venv_python(home / "venv")), "-m", "harness.evaluator.selftest"],
            "proved",
            cwd=home / "tree",
            variables=fixed() | kernels,
        )
        (home / "proved").write_text(proof, encoding="utf-8")
    return home


def copy_sources(tree: Path) -> None:
    """Copies the files of the lock, and only these, so that nothing else of this installation takes part."""
    root = HARNESS.parent
    for name in [*scoring_files(root), SCORER_LOCK]:
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(locate(name, root), target)
        os.utime(target, (1_700_000_000, 1_700_000_000))


def _run(
    command: list[str], what: str, *, cwd: Path | None = None, variables: dict[str, str] | None = None
) -> str:
    clean_environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "NUMBA_"))}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=clean_environment | (variables or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SetupError(
            f"The evaluator's own Python environment could not be {what}.",
            hint=f"See that there is disk left in {cache_folder()} and that Python 3.11 has `venv` and pip.",
            detail=(done.stdout + done.stderr)[-4000:],
        )
    return done.stdout
