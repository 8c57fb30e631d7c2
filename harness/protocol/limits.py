"""Limits of a sandbox: time and memory, by the length of the audio, and processes, files and disk."""

from __future__ import annotations

from harness.protocol.records import Engine

GIB = 2**30

START_SECONDS = 120.0
"""What a sandbox may take before its first example: kernels, the lock's check, a cold disk."""

SECONDS_PER_STEM_SECOND: dict[Engine, float] = {"pyclarity": 20.0, "fast": 1.5}
"""Deadline per second of a stem: more than ten times what either engine takes on a core of its own."""

BASE_MEMORY = 2 * GIB
"""Interpreter, libraries, compiled kernels and a song's references."""

MEMORY_PER_SECOND: dict[Engine, int] = {"pyclarity": 80_000_000, "fast": 4_000_000}
"""Bytes per second of a stem: pyclarity holds 32 channels of everything (1.6 GB for 30 s, measured)."""

BATCH = 8
"""Examples that the fast engine scores together: the noise is made once for all of them."""

BATCH_SECONDS = 250.0
"""Seconds that one stem of all examples of a batch may last together: eight segments of 30 s, one whole song."""

PROCESSES = 64
"""The evaluator is one process with its threads; the limit stops a fork bomb."""

OPEN_FILES = 256

TEMPORARY_BYTES = 64 * 1024 * 1024
"""The size of /tmp, which holds the copy of the compiled kernels (a few MB)."""

TEMPORARY_FILES = 4096
"""Files and folders in /tmp: more than ten times those of the compiled kernels."""


def batch(engine: Engine, *, seconds: float) -> int:
    """How many examples with stems of `seconds` are scored together."""
    if engine == "pyclarity":
        return 1
    return max(1, min(BATCH, int(BATCH_SECONDS / seconds)))


def deadline(engine: Engine, *, stem_seconds: float) -> float:
    """Seconds that a sandbox gets for stems with a total length of `stem_seconds`."""
    return START_SECONDS + stem_seconds * SECONDS_PER_STEM_SECOND[engine]


def memory(engine: Engine, *, seconds: float) -> int:
    """Bytes that a sandbox gets for stems of `seconds` each."""
    return BASE_MEMORY + int(seconds * MEMORY_PER_SECOND[engine])
