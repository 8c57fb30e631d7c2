"""Programs and images that stand in for the evaluator."""

from __future__ import annotations

import io
import os
import sys
import tarfile
import textwrap
from itertools import count
from pathlib import Path

from harness.sandbox.docker.image import PROGRAMS
from harness.sandbox.local.environment import Program

PYTHON = PROGRAMS["evaluator"][0]
"""The evaluator's interpreter in the image."""

_NUMBERS = count()


def image_tag(name: str) -> str:
    """A tag that no other test run on this engine uses."""
    return f"cad1-test:{name}-{os.getpid()}-{next(_NUMBERS)}"


def tar_of(files: dict[str, bytes]) -> io.BytesIO:
    """A tar file with files by name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    buffer.seek(0)
    return buffer


def write_evaluator(tree: Path, script: str) -> Program:
    """An evaluator whose `python -m harness.evaluator` is a script; this Python runs it."""
    package = tree / "harness" / "evaluator"
    package.mkdir(parents=True, exist_ok=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").write_text("")
    (package / "__main__.py").write_text(textwrap.dedent(script))
    return Program(Path(sys.executable), tree, kernels=None, locked=True)
