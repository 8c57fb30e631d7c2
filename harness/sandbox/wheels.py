"""A wheel folder: every package of a requirement file as a wheel for one platform, each with a hash of that file.

It is filled before anything is built or installed, so that building and installing need no network.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from harness.protocol.errors import SetupError
from harness.protocol.lock import HARNESS, REQUIREMENTS, ProgramName, pinned_versions, sha256

IMAGE_PLATFORM: tuple[str, ...] = (
    "--platform=manylinux_2_31_x86_64",
    "--platform=manylinux_2_28_x86_64",
    "--platform=manylinux_2_17_x86_64",
    "--platform=manylinux2014_x86_64",
    "--python-version=3.11",
    "--implementation=cp",
    "--abi=cp311",
    "--abi=none",
)
"""The image's platform: Debian bookworm (glibc 2.36) on x86-64, CPython 3.11."""


def requirements_file(program: ProgramName) -> Path:
    """A program's hash-locked requirement file in this installation."""
    return HARNESS.parent / REQUIREMENTS[program]


def cache_folder() -> Path:
    """This user's cache folder for the harness."""
    return user_cache_path("cad1-harness", appauthor=False)


def hashes(text: str) -> set[str]:
    """All SHA-256 digests that a requirement file allows."""
    return set(re.findall(r"--hash=sha256:([0-9a-f]{64})", text))


def check(folder: Path, program: ProgramName) -> list[Path]:
    """The wheels of a folder, each with a hash that the program's requirement file allows.

    Raises:
        SetupError: If one is missing or has another hash.
    """
    requirements = requirements_file(program)
    allowed = hashes(requirements.read_text(encoding="utf-8"))
    wheels = sorted(folder.glob("*.whl"))
    for wheel in wheels:
        if sha256(wheel.read_bytes()) not in allowed:
            raise SetupError(
                f"The wheel {wheel.name} in {folder} has a hash that {requirements.name} does not allow.",
                hint="Delete it and run the command again to download it again.",
            )
    have = {re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower() for wheel in wheels}
    missing = [name for name in pinned_versions(HARNESS.parent, program) if name.lower() not in have]
    if missing:
        raise SetupError(
            f"The wheel folder {folder} lacks {', '.join(missing)}.",
            hint="Run the command again on a machine that can reach the package registry.",
        )
    return wheels


def fill(
    folder: Path, program: ProgramName, *, platform: Sequence[str] = (), python: str = sys.executable
) -> list[Path]:
    """Downloads a program's wheels with pip, hashes required, unless the folder is complete; checks all of them.

    Args:
        folder: Where the wheels go; made if necessary.
        program: Whose requirement file.
        platform: pip's options for a platform other than `python`'s own.
        python: The interpreter whose pip downloads.

    Raises:
        SetupError: If a wheel can't be downloaded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        try:
            return check(folder, program)
        except SetupError:
            pass  # not filled yet, or damaged: download, then check again
        for wheel in folder.glob("*.whl"):
            wheel.unlink()
        command = [python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--require-hashes", "--only-binary=:all:", *platform, "--dest", str(folder)]
        done = subprocess.run(
            [*command, "--requirement", str(requirements_file(program))],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SetupError(
                "The locked packages can't be downloaded.",
                hint="Check that the package registry can be reached and that there is free disk space for "
                f"{folder}; the process sandbox also needs a Python 3.11 for this platform.",
                detail=done.stderr[-4000:],
            )
        return check(folder, program)
