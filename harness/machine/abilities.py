"""Which commands work on this machine, and what the others lack."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

from harness.machine.doctor import Check


@dataclass(frozen=True)
class Need:
    """What some commands need beyond the plain installation.

    Attributes:
        commands: How they are typed, after `cad1`.
        checks: Names of the checks of `examine` that must pass.
        libraries: Python modules that must be there.
    """

    commands: str
    checks: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()


NEEDS = (
    Need("validate, ranking, status, scores, add-scores, export, verify"),
    Need("score --sandbox docker", ("lock", "Docker engine", "evaluator image")),
    Need("score --sandbox bubblewrap", ("lock", "bubblewrap", "process sandbox")),
    Need("score --sandbox process", ("lock", "process sandbox")),
    Need("enhance, demo, regress", libraries=("scipy", "soxr")),
    Need("haaqi", libraries=("numba", "scipy", "soxr")),
    Need("enhance --separator demucs, openunmix", libraries=("soxr", "torch", "torchaudio", "openunmix")),
    Need("export --sign, verify --key", libraries=("cryptography", "securesystemslib")),
)
"""In the order of the report. Scoring in a sandbox needs none of the libraries: the sandbox brings its own."""


@dataclass(frozen=True)
class Ability:
    """Whether some commands work here.

    Attributes:
        commands: How they are typed, after `cad1`.
        checks: The checks that fail.
        libraries: The modules that are missing.
    """

    commands: str
    checks: tuple[str, ...]
    libraries: tuple[str, ...]

    @property
    def works(self) -> bool:
        """Whether nothing is missing."""
        return not self.checks and not self.libraries


def abilities(checks: Sequence[Check]) -> list[Ability]:
    """What each command lacks, from the results of `examine`."""
    failed = {check.name for check in checks if not check.good}
    return [
        Ability(
            need.commands,
            tuple(name for name in need.checks if name in failed),
            tuple(name for name in need.libraries if not _is_installed(name)),
        )
        for need in NEEDS
    ]


def _is_installed(library: str) -> bool:
    try:
        return importlib.util.find_spec(library) is not None
    except ValueError:  # a module without a specification was put there by hand
        return False
