"""What all sandboxes have in common: running an evaluator on a task, and decoding."""

from __future__ import annotations

import threading

from harness.sandbox.contract import Environment, Records, Sandbox, Task
from harness.sandbox.decoding import SandboxedDecoder
from harness.sandbox.evaluation import evaluate


class StartingSandbox(Sandbox):
    """A sandbox that only says how its programs are started; its `prepare` sets `_environment`."""

    _environment: Environment | None = None

    def environment(self) -> Environment:
        """See `Sandbox.environment`."""
        return self._environment or self.prepare()

    def decoder(self, *, stop: threading.Event | None = None) -> SandboxedDecoder:
        """See `Sandbox.decoder`."""
        return SandboxedDecoder(self, stop=stop)

    def run(self, task: Task) -> Records:
        """See `Sandbox.run`."""
        yield from evaluate(self, task)
