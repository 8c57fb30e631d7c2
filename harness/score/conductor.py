"""The conductor: takes one submission from a path to stored scores.

Validates headers on the host, enters the submission in the ledger, sends the examples without a score to sandboxes
song by song, and stores each example as it arrives. The ledger keeps every state that the submission goes through.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

from harness.ledger.entities import Entry, Key, Roster, Scorer
from harness.ledger.ledger import Ledger
from harness.ledger.rosters import roster_of
from harness.ledger.states import Case, State
from harness.protocol.errors import Fault, HarnessError, SetupError
from harness.ranking.store import write_ranking
from harness.sandbox.contract import Sandbox
from harness.sandbox.leftovers import sweep
from harness.score.heartbeat import Heartbeat
from harness.score.observations import write_report
from harness.score.request import LogCallback, Outcome, ProgressCallback, Request
from harness.score.run import Run
from validator import Report, Severity, SubmissionChangedError
from validator.archive.submission import Submission, open_submission
from validator.challenge.manifest import archive_limits
from validator.findings.wording import counted
from validator.validation import validate_open


def score(
    request: Request,
    sandbox: Sandbox,
    *,
    progress: ProgressCallback = lambda *_: None,
    log: LogCallback = lambda _: None,
) -> Outcome:
    """Validates a submission, scores the examples without a score, stores them, and updates the ranking.

    Args:
        request: What to score.
        sandbox: Where to score it.
        progress: Called for every example.
        log: Called when the run waits for another or retries.

    Returns:
        The outcome; `faults` and `findings` list what could not be scored and why.

    Raises:
        SetupError: Nothing can be scored on this machine as it is.
        HarnessError: No example can be scored, whatever the cause.
        SubmissionNotFound: There is no submission at the path.
    """
    if request.challenge.root is None:
        raise SetupError("Scoring needs the challenge's audio.", hint="Give the data root with --data.")
    with open_submission(request.submission, limits=archive_limits(request.challenge)) as submission:
        try:
            return _score(request, submission, sandbox, progress=progress, log=log)
        except SubmissionChangedError as error:
            raise _changed(request, error) from error


def _score(
    request: Request,
    submission: Submission,
    sandbox: Sandbox,
    *,
    progress: ProgressCallback,
    log: LogCallback,
) -> Outcome:
    """Scores an open submission: what is validated, what is hashed and what is scored are the same bytes."""
    report = validate_open(
        submission,
        request.challenge,
        name=request.submission.resolve().name,
        quick=True,
        examples=selected_examples(request),
    )
    roster = roster_of(request.challenge)
    outcome = Outcome(report=report, roster=roster)
    if not report.valid:
        record_invalid(request, submission, report, roster)
        return outcome
    environment = sandbox.prepare()
    for leftover, reason in sweep().kept:
        log(f"Could not remove the {leftover.kind} {leftover.name} of a dead run: {reason}.")
    case = Case(request.team, required_digest(submission, name=report.submission.name), roster.digest)
    key = Key(
        case.submission, roster.digest, Scorer(environment.scorer_digest, request.engine, environment.locked)
    )
    with Ledger(request.store) as ledger:
        ledger.add_roster(roster)
        ledger.enter(Entry(request.team, key, report.submission.name, report.submission.size, "scored"))
        run = Run(
            request=request,
            submission=submission,
            sandbox=sandbox,
            environment=environment,
            ledger=ledger,
            key=key,
            progress=progress,
            log=log,
        )
        with Heartbeat(
            ledger, key, team=request.team, count=run.count, on_wait=run.report_wait, on_lost=run.abort
        ) as heartbeat:
            ledger.history.move(case, State.RECEIVED, cause=received_cause(report))
            ledger.history.move(case, State.SCORING, scorer=key.scorer)
            try:
                _finish(run, heartbeat, outcome)
                outcome.report_path = write_report(
                    request.store,
                    outcome.whole_report,
                    submission=key.submission,
                    challenge=key.challenge,
                )
                write_ranking(ledger, request.store)
            except BaseException as error:
                if not run.lost:  # else the other run sets the state
                    with suppress(HarnessError):  # a full disk must not hide the error that stopped the run
                        _leave(ledger, case, key.scorer, state_after_error(request, error))
                raise
            _leave(ledger, case, key.scorer, state_of(outcome))
    return outcome


def _changed(request: Request, error: SubmissionChangedError) -> SetupError:
    """The error for a submission that is not what was hashed any more."""
    return SetupError(
        f"{request.submission.name} changed while it was scored: {error}.",
        hint="Nothing of what changed was scored. Keep the submission as it arrived where nothing writes to it, "
        "and score it again.",
    )


def _finish(run: Run, heartbeat: Heartbeat, outcome: Outcome) -> None:
    """Scores what has no score and fills in the outcome."""
    run.plan_audit()
    run.score_missing()
    if heartbeat.error is not None:
        raise heartbeat.error
    run.fill(outcome)


def _leave(ledger: Ledger, case: Case, scorer: Scorer, end: tuple[State, str, str]) -> None:
    """Moves a submission from `scoring` to the state in which its run leaves it."""
    state, fault, cause = end
    ledger.history.move(case, state, fault=fault, cause=cause, scorer=scorer)


def record_invalid(request: Request, submission: Submission, report: Report, roster: Roster) -> None:
    """Records an invalid submission in the ledger; one that cannot be read at all has no digest and is left out."""
    found = submission.digest()
    if found is None:
        return
    case = Case(request.team, found, roster.digest)
    with Ledger(request.store) as ledger:
        ledger.add_roster(roster)
        ledger.history.move(case, State.RECEIVED, cause=received_cause(report))
        ledger.history.move(case, State.INVALID, fault=Fault.SUBMISSION, cause=invalid_cause(report))
    write_report(request.store, report, submission=found, challenge=roster.digest)


def received_cause(report: Report) -> str:
    """The cause of the state `received`: the name of what arrived."""
    return f"{report.submission.name} received"


def invalid_cause(report: Report) -> str:
    """The cause of the state `invalid`: the codes of the errors, each with its count."""
    return _codes(report, Severity.ERROR)


def _codes(report: Report, severity: Severity) -> str:
    """The findings of a severity in a few words: `2 errors: length (1), missing (1)`."""
    codes = Counter(finding.code for finding in report.findings if finding.severity is severity)
    listed = ", ".join(f"{code} ({number})" for code, number in sorted(codes.items()))
    return f"{counted(codes.total(), severity.value)}: {listed}"


def state_after_error(request: Request, error: BaseException) -> tuple[State, str, str]:
    """The state, fault and cause of a submission whose run was ended by an error."""
    if isinstance(error, SubmissionChangedError):
        error = _changed(request, error)
    if isinstance(error, HarnessError):
        return State.FAILED, error.fault, error.message
    if isinstance(error, Exception):
        return State.FAILED, Fault.BUG, f"{type(error).__name__}: {error}"
    return State.RECEIVED, "", "interrupted; run the same command again to continue"


def state_of(outcome: Outcome) -> tuple[State, str, str]:
    """The state, fault and cause of a submission that was validated, and scored if it is valid."""
    if not outcome.report.valid:
        return State.INVALID, Fault.SUBMISSION, invalid_cause(outcome.report)
    if outcome.faults:
        return State.FAILED, outcome.faults[0].fault, outcome.faults[0].message
    if outcome.findings:
        return State.INVALID, Fault.SUBMISSION, f"{counted(len(outcome.findings), 'file')} cannot be decoded"
    if outcome.average is None:
        return State.RECEIVED, "", f"{outcome.stored} of {outcome.total} examples scored, as requested"
    report = outcome.whole_report
    warnings = f"; {_codes(report, Severity.WARNING)}" if report.count(Severity.WARNING) else ""
    return State.SCORED, "", f"average score {outcome.average!r}{warnings}"


def required_digest(submission: Submission, *, name: str) -> str:
    """The SHA-256 that identifies a valid submission called `name`.

    Raises:
        SetupError: It has none, because it could not be read to its end.
    """
    found = submission.digest()
    if found is None:
        raise SetupError(f"{name} can't be read to its end.", hint="Copy it here again.")
    return found


def selected_examples(request: Request) -> frozenset[tuple[str, str]] | None:
    """The requested examples; None if all of the challenge's are requested."""
    if request.selected is request.challenge:
        return None
    return frozenset(request.selected.examples)
