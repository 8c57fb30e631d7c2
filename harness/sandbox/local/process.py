"""The process sandbox: a child process with the same protocol, in an environment of its own.

It protects the host's process from a crash, a hang and a memory bomb. It hides nothing of the host from the audio
that it decodes: it is for a team's own files, and for machines without an engine.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from harness.protocol.errors import SetupError
from harness.protocol.lock import Lock
from harness.protocol.variables import CACHE_ENV, PARENT_ENV
from harness.sandbox.contract import Environment, Records, Task, make_job
from harness.sandbox.local.child import converse, kill
from harness.sandbox.local.environment import Program, find_program, variables
from harness.sandbox.stamp import RUN_ENV, own_stamp, temporary_folder


class ProcessSandbox:
    """Runs each job in a child process.

    On a machine with Python 3.11 the child runs in a virtual environment, made once in the user's cache from the
    hash-locked requirement file. Elsewhere it uses the packages installed with the harness, and its scores are
    marked as unlocked.
    """

    name = "process"

    def __init__(self) -> None:
        self._environment: Environment | None = None
        self._evaluator: Program | None = None

    def prepare(self) -> Environment:
        """See `Sandbox.prepare`."""
        lock = Lock.load()
        lock.check_host()
        self._evaluator = find_program(lock, "evaluator")
        self._environment = Environment(
            sandbox=self.name,
            scorer_digest=lock.digest,
            locked=self._evaluator.locked,
            image="",
            base_image=f"{sys.platform}, no container",
        )
        return self._environment

    def run(self, task: Task) -> Records:
        """See `Sandbox.run`."""
        environment = self._environment or self.prepare()
        job = make_job(
            task,
            submission=str(task.submission.resolve()),
            data=str(task.data.resolve()),
            environment=environment,
        )
        with temporary_folder("job") as folder:
            path = folder / "job.json"
            path.write_text(job.model_dump_json(), encoding="utf-8")
            temporary = folder / "tmp"
            temporary.mkdir()
            child = self._start(path, temporary)
            try:
                yield from converse(child, job, task)
            finally:
                kill(child)

    def _start(self, job: Path, temporary: Path) -> subprocess.Popen[bytes]:
        evaluator = self._evaluator
        assert evaluator is not None  # prepare has run
        settings = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
        settings |= variables(temporary=str(temporary)) | {PARENT_ENV: "1", RUN_ENV: own_stamp()}
        if evaluator.kernels is not None:
            settings[CACHE_ENV] = str(evaluator.kernels)
        try:
            return subprocess.Popen(
                [evaluator.python, "-m", "harness.evaluator", str(job)],
                cwd=evaluator.tree,
                env=settings,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise SetupError(
                f"The evaluator's Python {evaluator.python} can't be started: {error.strerror}.",
                hint=f"Delete {evaluator.tree.parent} and run the command again to make it again.",
            ) from error
