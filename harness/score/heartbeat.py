"""The lease on a submission: one process scores it at a time, and a dead process does not block the next.

A run claims the ledger's lease on what it scores and renews it while it is alive. Another run of the same
submission waits, and takes over once the first is dead: its process is gone or, on another machine, its heartbeat
has stopped.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType

from harness.ledger.entities import Key
from harness.ledger.leases import Lease
from harness.ledger.ledger import Ledger
from harness.protocol.errors import HarnessError
from harness.sandbox.stamp import can_be_seen, is_alive, own_stamp

BEAT_SECONDS = 5.0
STALE_SECONDS = 120.0
"""A run on another machine, or in another container, without a heartbeat so long is dead: it missed 24 beats."""

POLL_SECONDS = 0.5


def runner() -> str:
    """An identifier of this process, unique across machines and over time: the host and its stamp."""
    return f"{socket.gethostname()} {own_stamp()}"


def is_dead(lease: Lease) -> bool:
    """Whether the run that holds a lease is dead."""
    host, _, stamp = lease.runner.rpartition(" ")
    if host == socket.gethostname() and can_be_seen(stamp):
        return not is_alive(stamp)
    return lease.age > STALE_SECONDS


class Heartbeat:
    """Holds the lease on a submission's examples for the length of a `with` block; waits for it on entry.

    Args:
        ledger: Where the lease is stored.
        key: The submission, challenge and scorer to lease.
        team: The team that sent the submission.
        count: Returns the number of examples with a score, and the number of all requested ones.
        on_wait: Called every `POLL_SECONDS` with the lease of another run while waiting for it.
        on_lost: Called from the heartbeat's thread if the lease was lost or the ledger cannot be written.

    Attributes:
        error: Why the ledger could not be written, if so.
    """

    def __init__(
        self,
        ledger: Ledger,
        key: Key,
        *,
        team: str,
        count: Callable[[], tuple[int, int]],
        on_wait: Callable[[Lease], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._key = key
        self._team = team
        self._count = count
        self._on_wait = on_wait
        self._on_lost = on_lost
        self._runner = runner()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True, name="heartbeat")
        self.error: HarnessError | None = None

    def __enter__(self) -> Heartbeat:
        while True:
            done, total = self._count()
            holder = self._ledger.leases.claim(
                self._key, team=self._team, runner=self._runner, done=done, total=total, is_dead=is_dead
            )
            if holder is None:
                break
            self._on_wait(holder)
            time.sleep(POLL_SECONDS)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self.error is None:
            self._ledger.leases.release(self._key, runner=self._runner)

    def _renew(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            done, _ = self._count()
            try:
                held = self._ledger.leases.beat(self._key, runner=self._runner, done=done)
            except HarnessError as error:
                self.error = error
                held = False
            if not held:
                self._on_lost()
                return
