"""Watches an inbox: scores each submission once it is complete, and writes its team's report.

What was handled is in the ledger, so that a watcher that is started again looks at nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from harness.ledger.ledger import Ledger
from harness.ledger.rosters import roster_of
from harness.ledger.states import Case, State
from harness.protocol.errors import Fault, SetupError
from harness.score.arrivals import Arrival
from harness.score.inbox import Inbox
from harness.score.queue import Queue, Result, ResultCallback
from harness.score.request import LogCallback, Request
from harness.score.teamreports import report_paths, write_report
from validator import SubmissionChangedError
from validator.archive.submission import open_submission
from validator.challenge.manifest import archive_limits

POLL_SECONDS = 1.0

RETRY_SECONDS = 300.0
"""When a submission that failed because of the set-up is tried again."""


class Watcher:
    """Scores what arrives in an inbox.

    Args:
        inbox: The inbox.
        queue: Validates and scores.
        make_request: Makes the request for a submission.
        reports: The folder of the teams' reports.
        log: Called with a line for each event.
        on_result: Called with each result.
        on_others: Called with what arrives and is no submission.
        retry: Seconds after which a submission that failed because of the set-up is tried again.
    """

    def __init__(
        self,
        inbox: Inbox,
        queue: Queue,
        *,
        make_request: Callable[[Arrival], Request],
        reports: Path,
        log: LogCallback,
        on_result: ResultCallback,
        on_others: Callable[[list[Path]], object],
        retry: float = RETRY_SECONDS,
    ) -> None:
        self._inbox = inbox
        self._queue = queue
        self._make_request = make_request
        self._reports = reports
        self._log = log
        self._on_result = on_result
        self._on_others = on_others
        self._retry = retry
        self._failed: dict[Path, float] = {}

    def run(self, *, poll: float = POLL_SECONDS, on_idle: Callable[[], object] = lambda: None) -> None:
        """Watches until it is interrupted.

        Args:
            poll: Seconds between two looks at the inbox while nothing is scored.
            on_idle: Called when there is nothing to score.

        Raises:
            SetupError: Nothing can be scored on this machine as it is, found out before anything is waited for.
        """
        self._queue.prepare()
        while True:
            if not self.step():
                on_idle()
                time.sleep(poll)

    def step(self) -> bool:
        """Validates everything that has arrived, and scores one submission; returns whether one was scored."""
        now = time.monotonic()
        for path in [path for path, due in self._failed.items() if due <= now]:
            del self._failed[path]
            self._inbox.put_back(path)
        try:
            arrivals, others = self._inbox.arrived()
        except OSError as error:
            raise SetupError(
                f"The inbox can't be read: {error}.", hint="Check that the folder is there and readable."
            ) from error
        if others:
            self._on_others(others)
        for arrival in arrivals:
            request = self._make_request(arrival)
            if not self._is_handled(request):
                self._log(f"{arrival.team}: {request.called} arrived")
                self._finish(self._queue.add(request))
        if not self._queue:
            return False
        self._finish(self._queue.score_next())
        return True

    def _finish(self, result: Result | None) -> None:
        if result is None:
            return
        self._on_result(result)
        text = write_report(self._reports, result)
        self._log(f"{result.request.team}: report written to {text}")
        if result.fault == Fault.SETUP:
            self._failed[result.request.submission] = time.monotonic() + self._retry

    def _is_handled(self, request: Request) -> bool:
        """Whether a submission was scored, refused or failed for good, and its report is there."""
        try:
            with open_submission(request.submission, limits=archive_limits(request.challenge)) as submission:
                sha256 = submission.digest()
        except (SubmissionChangedError, OSError):  # the queue finds it again, and says so
            return False
        if sha256 is None:
            return False
        with Ledger(request.store) as ledger:
            steps = ledger.history.steps(Case(request.team, sha256, roster_of(request.challenge).digest))
        if not steps or not report_paths(self._reports, team=request.team, sha256=sha256)[0].exists():
            return False
        last = steps[-1]
        return last.state in {State.SCORED, State.INVALID} or (
            last.state is State.FAILED and last.fault != Fault.SETUP
        )
