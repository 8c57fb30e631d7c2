"""Asks a sandbox to hold itself to the lock, without scoring anything."""

from __future__ import annotations

from contextlib import closing

from harness.baselines.synthetic import make_challenge
from harness.protocol.errors import BugError
from harness.protocol.records import Hello
from harness.sandbox import limits
from harness.sandbox.contract import Environment, Sandbox, Task
from harness.sandbox.stamp import temporary_folder


def verify(sandbox: Sandbox) -> tuple[Environment, Hello]:
    """Runs a job without examples: the sandbox checks every file and version, and says what it scores with.

    Raises:
        SetupError: If anything differs from the lock; names it.
    """
    environment = sandbox.prepare()
    with temporary_folder("verify") as root:
        root.chmod(0o755)
        data = make_challenge(root / "data", seconds=2.0, scored_seconds=0.5)
        (root / "empty").mkdir()
        task = Task(
            split="test",
            engine="fast",
            submission=root / "empty",
            data=data,
            seconds=limits.deadline("fast", stem_seconds=0.0),
            memory=limits.memory("fast", seconds=0.0),
        )
        with closing(sandbox.run(task)) as lines:
            hello = [line for line in lines if isinstance(line, Hello)]
    if not hello:
        raise BugError("The sandbox ended without saying what it scores with.")
    return environment, hello[0]
