"""The process sandbox: a child process with the same protocol, in an environment of its own.

It protects the host's process from a crash, a hang and a memory bomb. It hides nothing of the host from the audio
that it decodes: it is for a team's own files, and for machines without an engine.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.protocol.errors import SetupError
from harness.protocol.lock import Lock, ProgramName
from harness.protocol.variables import CACHE_ENV
from harness.sandbox.base import StartingSandbox
from harness.sandbox.contract import Environment, Running
from harness.sandbox.local.child import RunningChild, kill
from harness.sandbox.local.environment import PROGRAMS, Program, find_program, variables
from harness.sandbox.stamp import RUN_ENV, own_stamp, temporary_folder


class ProcessSandbox(StartingSandbox):
    """Runs each program in a child process.

    On a machine with Python 3.11 the child runs in a virtual environment, made once in the user's cache from the
    hash-locked requirement file. Elsewhere it uses the packages installed with the harness, and its scores are
    marked as unlocked.
    """

    name = "process"

    def __init__(self) -> None:
        self._environment: Environment | None = None
        self._programs: dict[ProgramName, Program] = {}

    def prepare(self) -> Environment:
        """See `Sandbox.prepare`."""
        lock = Lock.load()
        lock.check_host()
        self._programs = {name: find_program(lock, name) for name in PROGRAMS}
        self._environment = Environment(
            sandbox=self.name,
            scorer_digest=lock.digest,
            locked=all(found.locked for found in self._programs.values()),
            image="",
            base_image=f"{sys.platform}, no container",
        )
        return self._environment

    @contextmanager
    def start(self, program: ProgramName, *, memory: int) -> Iterator[Running]:
        """See `Sandbox.start`."""
        self.environment()
        with temporary_folder("job") as folder:
            child = self._start(program, folder)
            try:
                with RunningChild(program, child, memory=memory, own_tmp=False) as running:
                    yield running
            finally:
                kill(child, program)

    def _start(self, program: ProgramName, temporary: Path) -> subprocess.Popen[bytes]:
        found = self._programs[program]
        settings = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
        settings |= variables(temporary=str(temporary)) | {RUN_ENV: own_stamp()}
        if found.kernels is not None:
            settings[CACHE_ENV] = str(found.kernels)
        try:
            return subprocess.Popen(
                [found.python, "-m", f"harness.{program}"],
                cwd=found.tree,
                env=settings,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise SetupError(
                f"The {program}'s Python {found.python} can't be started: {error.strerror}.",
                hint=f"Delete {found.tree.parent} and run the command again to make it again.",
            ) from error
