"""Checks that a sandbox matches the lock, without scoring anything."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from harness.protocol import limits
from harness.protocol.errors import InternalError
from harness.protocol.records import Hello
from harness.sandbox.contract import Environment, Sandbox, Task
from harness.sandbox.stamp import temporary_folder


def check_sandbox(sandbox: Sandbox, *, data: Path) -> tuple[Environment, Hello]:
    """Runs a job without examples: the sandbox checks every file and version against the lock.

    Args:
        sandbox: What to check.
        data: A data root with split `test`, readable for every user.

    Returns:
        What the sandbox scores with, as the host and as the sandbox sees it.

    Raises:
        SetupError: If anything differs from the lock; names it.
    """
    environment = sandbox.prepare()
    with temporary_folder("check") as folder:
        folder.chmod(0o755)
        (folder / "empty").mkdir()
        task = Task(
            split="test",
            engine="fast",
            submission=folder / "empty",
            data=data,
            seconds=limits.deadline("fast", stem_seconds=0.0),
            memory=limits.memory("fast", seconds=0.0),
        )
        with closing(sandbox.run(task)) as lines:
            hello = [line for line in lines if isinstance(line, Hello)]
    if not hello:
        raise InternalError("The sandbox ended without its first line.")
    return environment, hello[0]
