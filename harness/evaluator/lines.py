"""The evaluator's standard output: the protocol's lines and nothing else."""

from __future__ import annotations

import os
from typing import BinaryIO

from harness.protocol.records import ExampleFailure, ExampleScore, Line


class LineWriter:
    """Writes the protocol's lines to the original standard output, and redirects standard output to standard error.

    Attributes:
        nonce: The job's, which every line repeats.
        examples: How many scores were written.
        failures: How many failures were written.
    """

    def __init__(self, nonce: str) -> None:
        self._stream: BinaryIO = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        self.nonce = nonce
        self.examples = 0
        self.failures = 0

    def send(self, line: Line) -> None:
        """Writes and flushes one line."""
        self._stream.write(line.model_dump_json().encode() + b"\n")
        self._stream.flush()
        self.examples += isinstance(line, ExampleScore)
        self.failures += isinstance(line, ExampleFailure)
