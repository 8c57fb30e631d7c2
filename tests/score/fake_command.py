"""The command `cad1` with a sandbox that scores nothing, for tests that kill it.

Every stem of an example has the same value, which follows from the samples and scale factors.
"""

from __future__ import annotations

import hashlib
import os
import signal

from harness.cli.app import main
from harness.sandbox import choice
from tests.score.fakes import FakeSandbox
from validator.challenge.audio import ExampleAudio


def value(example: ExampleAudio) -> float:
    """A number from 0 to 1."""
    hashed = hashlib.sha256(repr(sorted(example.scales.items())).encode())
    for _, pcm in sorted(example.stems.items()):
        hashed.update(pcm.tobytes())
    return int(hashed.hexdigest()[:8], 16) / 2**32


if __name__ == "__main__":
    # a shell that starts the tests in the background ignores it for them
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sandbox = FakeSandbox()
    sandbox.value = value
    sandbox.delay = float(os.environ["FAKE_DELAY"])
    setattr(choice, "choose_sandbox", lambda *_, **__: sandbox)  # noqa: B010
    main()
