"""A queue of submissions: all are validated first, then scored one after the other, whatever one does."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from harness.ledger.audits import audit_progress
from harness.ledger.entities import Key, Scorer
from harness.ledger.ledger import Ledger
from harness.ledger.rosters import roster_of
from harness.ledger.states import Case, State
from harness.protocol.aggregation import mean
from harness.protocol.errors import Fault, HarnessError
from harness.sandbox.contract import Environment, Sandbox
from harness.score.changes import ChangeCallback
from harness.score.conductor import (
    changed_error,
    invalid_cause,
    keep_copy,
    record_invalid,
    score,
    state_after_error,
    state_of,
    validate_headers,
    warned_of,
)
from harness.score.request import LogCallback, Outcome, ProgressCallback, Request
from validator import Report, SubmissionChangedError
from validator.archive.submission import Submission, open_submission
from validator.challenge.manifest import archive_limits
from validator.findings.wording import counted


@dataclass(frozen=True)
class Result:
    """What became of one submission of a queue.

    Attributes:
        request: What was to be scored.
        state: The state that it was left in.
        fault: The category of the cause if it is invalid or failed, a value of `Fault`; otherwise empty.
        cause: One sentence, or empty.
        average: The ranking score, if it has one.
        sha256: The submission's SHA-256; empty if it could not be read to its end.
        report: The validator's report, with what decoding has found; None if it was not validated.
        outcome: The outcome of its run; None if it was invalid, had been scored before, or could not be run.
        error: The error that ended its run, or its first failure that the submission did not cause.
        scored_before: Whether the same scorer had scored it completely before.
    """

    request: Request
    state: State
    fault: str = ""
    cause: str = ""
    average: float | None = None
    sha256: str = ""
    report: Report | None = None
    outcome: Outcome | None = None
    error: HarnessError | None = None
    scored_before: bool = False

    @property
    def exit_code(self) -> int:
        """The exit code that this submission would have alone."""
        if self.error is not None:
            return self.error.exit_code
        return 1 if self.state is State.INVALID else 0


@dataclass(frozen=True)
class _Waiting:
    """A submission that may be scored.

    Attributes:
        request: What is to be scored.
        sha256: Its SHA-256.
        scorer: What has scored it already, if it is in the state `scored`.
    """

    request: Request
    sha256: str
    scorer: Scorer | None


ResultCallback = Callable[[Result], None]
"""Called with the result of each submission as soon as it is known."""


class Queue:
    """Submissions that are validated as they are added, and scored one after the other.

    Args:
        sandbox: Where to score; it is prepared once, before the first submission is scored.
        explain: Turns an exception into an error for the user.
        progress: Called for every example, with the examples of all submissions that were added.
        log: Called when a run waits for another or retries.
        on_change: Called after each change of a state is stored.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        explain: Callable[[Exception], HarnessError],
        progress: ProgressCallback = lambda *_: None,
        log: LogCallback = lambda _: None,
        on_change: ChangeCallback | None = None,
    ) -> None:
        self._sandbox = sandbox
        self._explain = explain
        self._progress = progress
        self._log = log
        self._on_change = on_change
        self._environment: Environment | None = None
        self._waiting: deque[_Waiting] = deque()
        self._done = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def _total(self) -> int:
        return self._done + sum(len(one.request.selected.examples) for one in self._waiting)

    def prepare(self) -> Environment:
        """Prepares the sandbox if it is not prepared yet.

        Raises:
            SetupError: Nothing can be scored on this machine as it is.
        """
        if self._environment is None:
            self._environment = self._sandbox.prepare()
        return self._environment

    def add(self, request: Request) -> Result | None:
        """Validates the headers of a submission, unless it has been scored; records it if it is invalid.

        Returns:
            The result of one that can't be scored; None for one that waits now.
        """
        if not self._waiting:
            self._done = 0
        own = len(request.selected.examples)
        self._progress(self._done, self._total + own, f"validating {request.team}")
        limits = archive_limits(request.challenge)
        try:
            with open_submission(request.submission, limits=limits) as submission:
                try:
                    checked = _validate(request, submission, on_change=self._on_change)
                except SubmissionChangedError as error:
                    raise changed_error(request, error) from error
        except Exception as error:
            return _failed(request, self._explain(error))
        if isinstance(checked, Result):
            return checked
        self._waiting.append(checked)
        return None

    def score_next(self) -> Result:
        """Scores the submission that has waited longest. One that is scored and audited already is not run.

        Raises:
            SetupError: Nothing can be scored on this machine as it is; the submission still waits.
        """
        environment = self.prepare()
        one, done, total = self._waiting[0], self._done, self._total
        team = one.request.team

        def part(own: int, _: int, item: str) -> None:
            self._progress(done + own, total, f"{team}: {item}" if item else team)

        result = _scored_before(one, environment) or self._score(one, environment, part)
        self._waiting.popleft()
        self._done += len(one.request.selected.examples)
        self._progress(self._done, total, team)
        return result

    def _score(self, one: _Waiting, environment: Environment, progress: ProgressCallback) -> Result:
        request = one.request
        try:
            outcome = score(
                request,
                self._sandbox,
                progress=progress,
                log=lambda line: self._log(f"{request.team}: {line}"),
                on_change=self._on_change,
                environment=environment,
            )
        except Exception as error:
            return _failed(request, self._explain(error), sha256=one.sha256)
        if not outcome.report.valid:  # it was exchanged after it had been validated
            cause = invalid_cause(outcome.report)
            return Result(request, State.INVALID, Fault.SUBMISSION, cause, report=outcome.report)
        state, fault, cause = state_of(outcome)
        return Result(
            request,
            state,
            fault,
            warned_of(outcome.whole_report) if state is State.SCORED else cause,
            average=outcome.average,
            sha256=one.sha256,
            report=outcome.whole_report,
            outcome=outcome,
            error=outcome.faults[0] if outcome.faults else None,
        )


def score_all(
    requests: Iterable[Request],
    sandbox: Sandbox,
    *,
    explain: Callable[[Exception], HarnessError],
    progress: ProgressCallback = lambda *_: None,
    log: LogCallback = lambda _: None,
    on_change: ChangeCallback | None = None,
    on_result: ResultCallback = lambda _: None,
) -> list[Result]:
    """Validates the headers of all submissions, then scores those that are valid, in the order given.

    A submission that fails does not stop the others. One that the same scorer has scored and audited completely is
    only hashed. Run again after an interruption, it continues.

    Args:
        requests: What to score, in the order in which the submissions arrived.
        sandbox: Where to score; it is prepared once, and only if something is to be scored.
        explain: See `Queue`, as for the next three.
        progress: Called for every example.
        log: Called with a line for the log.
        on_change: Called after each change of a state is stored.
        on_result: Called with each result as soon as it is known.

    Returns:
        The results, in the order of the requests.

    Raises:
        SetupError: Nothing can be scored on this machine as it is.
    """
    queue = Queue(sandbox, explain=explain, progress=progress, log=log, on_change=on_change)
    results: dict[int, Result] = {}
    waiting: list[int] = []
    for number, request in enumerate(requests):
        checked = queue.add(request)
        if checked is None:
            waiting.append(number)
        else:
            results[number] = checked
            on_result(checked)
    for number in waiting:
        results[number] = queue.score_next()
        on_result(results[number])
    return [results[number] for number in sorted(results)]


def worst_exit_code(results: Sequence[Result]) -> int:
    """The exit code of a queue: the greatest of those of its submissions."""
    return max((result.exit_code for result in results), default=0)


def _validate(
    request: Request, submission: Submission, *, on_change: ChangeCallback | None
) -> Result | _Waiting:
    """Validates the headers of an open submission, unless it has been scored; records it if it is invalid."""
    roster = roster_of(request.challenge)
    sha256 = submission.digest()
    if sha256 is not None:
        case = Case(request.team, sha256, roster.digest)
        with Ledger(request.store) as ledger:
            steps = ledger.history.steps(case)
        if steps and steps[-1].state is State.SCORED:
            keep_copy(request, submission, sha256=sha256)
            return _Waiting(request, sha256, steps[-1].scorer)
    report = validate_headers(request, submission)
    if report.valid and sha256 is not None:
        return _Waiting(request, sha256, None)
    record_invalid(request, submission, report, roster, on_change=on_change)
    return Result(
        request, State.INVALID, Fault.SUBMISSION, invalid_cause(report), sha256=sha256 or "", report=report
    )


def _scored_before(one: _Waiting, environment: Environment) -> Result | None:
    """The result of a submission that this environment has scored completely and audited; None if it has not."""
    request = one.request
    scorer = Scorer(environment.scorer_digest, request.engine, environment.locked)
    if one.scorer != scorer:
        return None
    roster = roster_of(request.challenge)
    key = Key(one.sha256, roster.digest, scorer)
    with Ledger(request.store, read_only=True) as ledger:
        examples = ledger.examples(key)
        audits = audit_progress(
            ledger.audit_plan(key), ledger.audits(key), examples, submission=key.submission
        )
    if audits.failed or (audits.missing and request.audits != 0):
        return None
    if any(example not in examples for example in roster.examples):
        return None
    average = mean(example.score for example in examples.values())
    return Result(request, State.SCORED, average=average, sha256=one.sha256, scored_before=True)


def _failed(request: Request, error: HarnessError, *, sha256: str = "") -> Result:
    state, fault, cause = state_after_error(request, error)
    return Result(request, state, fault, cause, sha256=sha256, error=error)


def summary(results: Sequence[Result]) -> str:
    """One line about a queue: how many submissions are in which state."""
    states = [result.state for result in results]
    parts = [f"{states.count(state)} {state}" for state in State if state in states]
    return f"{counted(len(results), 'submission')}: {', '.join(parts)}."
