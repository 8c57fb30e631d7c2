"""The time that a run may take in total: whoever makes each example slow does not hold the machine for days."""

from __future__ import annotations

import threading

from harness.protocol.errors import DeadlineError
from harness.protocol.records import Engine

EXPECTED_SECONDS: dict[Engine, float] = {"fast": 0.08, "pyclarity": 2.0}
"""Processor time per second of a stem, measured on a slow core: 2.4 s and 60 s for a stem of 30 s."""

START_SECONDS = 20.0
"""What the sandboxes of a song take to start."""

FACTOR = 3.0
"""How many times the expected time a run may take: a core may be shared and the disk slow."""

FLOOR_SECONDS = 1800.0
"""The least total: a small run on a cold machine first copies and compiles."""


class Budget:
    """The sandbox time of a run, of all workers together.

    Args:
        expected: Seconds that the run is expected to take.
    """

    def __init__(self, expected: float) -> None:
        self.expected = expected
        self.total = max(FLOOR_SECONDS, FACTOR * expected)
        self._lock = threading.Lock()
        self._spent = 0.0

    def spend(self, seconds: float) -> None:
        """Notes the time of a sandbox."""
        with self._lock:
            self._spent += seconds

    def left(self) -> float:
        """Seconds that are left.

        Raises:
            DeadlineError: If none are.
        """
        left = self.total - self._spent
        if left <= 0:
            raise DeadlineError(
                f"Scoring was stopped: it has taken {duration(self.total)} of sandbox time in total, "
                f"{FACTOR:.0f} times what was expected.",
                hint="Scores stored before are kept; run the same command again to continue. If this repeats, the "
                "submission or the machine is slow on purpose or by a fault: look at the log.",
            )
        return left

    def __str__(self) -> str:
        return (
            f"Expected {duration(self.expected)} of processor time; at most {duration(self.total)} in total."
        )


def expected_seconds(engine: Engine, *, stem_seconds: float, songs: int) -> float:
    """Seconds that a run is expected to take.

    Args:
        engine: Which HAAQI scores.
        stem_seconds: The length of all stems together.
        songs: How many songs they belong to.
    """
    return songs * START_SECONDS + stem_seconds * EXPECTED_SECONDS[engine]


def duration(seconds: float) -> str:
    """Seconds for people: `40 min`, `11.5 h`."""
    return f"{seconds / 60:.0f} min" if seconds < 3 * 3600 else f"{seconds / 3600:.1f} h"
