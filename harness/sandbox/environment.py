"""The environment variables that fix the bits: the image sets the same in its Dockerfile, a test compares them."""

from __future__ import annotations

import platform

from harness.haaqi.target import environment

PROCESSOR = ("NUMBA_CPU_", "NPY_", "OPENBLAS_CORETYPE")
"""How the variables begin that name a processor."""


def fixed() -> dict[str, str]:
    """What a child process of this machine gets; other processors than x86-64 keep their own target."""
    variables = environment()
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        variables = {name: value for name, value in variables.items() if not name.startswith(PROCESSOR)}
    return variables
