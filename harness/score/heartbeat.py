"""Who is working on a submission: one process at a time, and nobody once that process is gone.

A run takes the ledger's lease on what it scores and renews it while it lives. Another run of the same waits, and
takes over once the first is dead: its process is gone or, from another machine, its heart has long stopped.
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
from harness.sandbox.stamp import is_alive, own_stamp

BEAT_SECONDS = 5.0
STALE_SECONDS = 120.0
"""A heart that has not beaten for so long, on another machine, has stopped: 24 beats."""

POLL_SECONDS = 0.5


def runner() -> str:
    """This process, told apart from any other: `host pid@start`."""
    return f"{socket.gethostname()} {own_stamp()}"


def is_dead(lease: Lease) -> bool:
    """Whether nobody works under a lease any more."""
    host, _, stamp = lease.runner.rpartition(" ")
    if host == socket.gethostname():
        return not is_alive(stamp)
    return lease.age > STALE_SECONDS


class Heartbeat:
    """Holds the lease on a submission's examples for as long as the block lasts.

    Args:
        ledger: Where the lease is kept.
        key: What is worked on.
        team: Whose it is.
        count: Says how many examples are stored and how many there are to be.
        wait: Told who is being waited for, now and then.
        lost: Called, from the heart's thread, where the lease was lost or the ledger can't be written.
    """

    def __init__(
        self,
        ledger: Ledger,
        key: Key,
        *,
        team: str,
        count: Callable[[], tuple[int, int]],
        wait: Callable[[Lease], None],
        lost: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._key = key
        self._team = team
        self._count = count
        self._wait = wait
        self._lost = lost
        self._runner = runner()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")
        self.error: HarnessError | None = None

    def __enter__(self) -> Heartbeat:
        while True:
            done, total = self._count()
            holder = self._ledger.leases.claim(
                self._key, team=self._team, runner=self._runner, done=done, total=total, is_dead=is_dead
            )
            if holder is None:
                break
            self._wait(holder)
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

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            done, _ = self._count()
            try:
                held = self._ledger.leases.beat(self._key, runner=self._runner, done=done)
            except HarnessError as error:
                self.error = error
                held = False
            if not held:
                self._lost()
                return
