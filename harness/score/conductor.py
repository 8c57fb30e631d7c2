"""The conductor: takes one submission from a path to stored scores.

Validates headers on the host, enters the submission in the ledger, sends the examples without a score to sandboxes
song by song, and stores each example as it arrives. The ledger keeps every state that the submission goes through.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path

from harness.ledger.entities import Entry, Key, Roster, Scorer, now
from harness.ledger.ledger import Ledger
from harness.ledger.rosters import roster_of
from harness.ledger.states import Case, State
from harness.protocol.errors import Fault, HarnessError, SetupError
from harness.ranking.duplicates import notes_about
from harness.ranking.store import write_ranking
from harness.sandbox.contract import Environment, Sandbox
from harness.sandbox.leftovers import sweep
from harness.score.changes import CaseHistory, Change, ChangeCallback
from harness.score.heartbeat import Heartbeat
from harness.score.kept import keep
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
    on_change: ChangeCallback | None = None,
    environment: Environment | None = None,
) -> Outcome:
    """Validates a submission, scores the examples without a score, stores them, and updates the ranking.

    Args:
        request: What to score.
        sandbox: Where to score it.
        progress: Called for every example.
        log: Called when the run waits for another or retries.
        on_change: Called after each change of the submission's state is stored.
        environment: What `sandbox.prepare` has returned, if it was called already.

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
            return _score(
                request,
                submission,
                sandbox,
                progress=progress,
                log=log,
                on_change=on_change,
                environment=environment,
            )
        except SubmissionChangedError as error:
            raise changed_error(request, error) from error


def _score(
    request: Request,
    submission: Submission,
    sandbox: Sandbox,
    *,
    progress: ProgressCallback,
    log: LogCallback,
    on_change: ChangeCallback | None,
    environment: Environment | None,
) -> Outcome:
    """Scores an open submission: what is validated, what is hashed and what is scored are the same bytes."""
    report = validate_headers(request, submission)
    roster = roster_of(request.challenge)
    outcome = Outcome(report=report, roster=roster)
    if not report.valid:
        outcome.report_path = record_invalid(request, submission, report, roster, on_change=on_change)
        return outcome
    environment = environment or sandbox.prepare()
    for leftover, reason in sweep().kept:
        log(f"Could not remove the {leftover.kind} {leftover.name} of a dead run: {reason}.")
    case = Case(request.team, required_digest(submission, name=report.submission.name), roster.digest)
    keep_copy(request, submission, sha256=case.submission)
    key = Key(
        case.submission, roster.digest, Scorer(environment.scorer_digest, request.engine, environment.locked)
    )
    with Ledger(request.store) as ledger:
        ledger.add_roster(roster)
        ledger.enter(Entry(request.team, key, report.submission.name, report.submission.size, "scored"))
        history = CaseHistory(
            ledger, case, file=report.submission.name, split=roster.split, on_change=on_change
        )
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
            history.move(State.RECEIVED, cause=received_cause(report))
            history.move(State.SCORING, scorer=key.scorer)
            try:
                _finish(run, heartbeat, outcome)
                outcome.report_path = write_report(
                    request.store,
                    outcome.whole_report,
                    submission=key.submission,
                    challenge=key.challenge,
                )
                for note in notes_of(ledger, key, run, team=request.team):
                    log(f"Note: {note}")
                write_ranking(ledger, request.store)
            except BaseException as error:
                if not run.lost:  # else the other run sets the state
                    with suppress(HarnessError):  # a full disk must not hide the error that stopped the run
                        _leave(history, key.scorer, state_after_error(request, error))
                raise
            _leave(history, key.scorer, state_of(outcome), average=outcome.average)
    return outcome


def changed_error(request: Request, error: SubmissionChangedError) -> SetupError:
    """The error for a submission that is not what was hashed any more."""
    return SetupError(
        f"{request.called} changed while it was scored: {error}.",
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


def _leave(
    history: CaseHistory, scorer: Scorer, end: tuple[State, str, str], *, average: float | None = None
) -> None:
    """Moves a submission from `scoring` to the state in which its run leaves it."""
    state, fault, cause = end
    history.move(state, fault=fault, cause=cause, scorer=scorer, average=average)


def validate_headers(request: Request, submission: Submission) -> Report:
    """Validates what is requested of an open submission, without decoding audio."""
    return validate_open(
        submission,
        request.challenge,
        name=request.called,
        quick=True,
        examples=selected_examples(request),
    )


def keep_copy(request: Request, submission: Submission, *, sha256: str) -> None:
    """Keeps a copy of an open submission if the request says where.

    Raises:
        SubmissionChangedError: The submission is not what was hashed any more.
        SetupError: The copy can't be written.
    """
    if request.keep is not None:
        keep(submission, request.submission, sha256=sha256, folder=request.keep)


def record_invalid(
    request: Request,
    submission: Submission,
    report: Report,
    roster: Roster,
    *,
    on_change: ChangeCallback | None = None,
) -> Path | None:
    """Records an invalid submission in the ledger; one that cannot be read at all has no digest and is left out.

    Returns:
        Where its report is.
    """
    found = submission.digest()
    name, cause = report.submission.name, invalid_cause(report)
    if found is None:
        if on_change is not None:
            fault, state = Fault.SUBMISSION.value, State.INVALID.value
            on_change(Change(request.team, "", name, roster.split, None, state, fault, cause, None, now()))
        return None
    if not submission.is_folder:  # a refused folder may hold links and pipes
        keep_copy(request, submission, sha256=found)
    case = Case(request.team, found, roster.digest)
    with Ledger(request.store) as ledger:
        ledger.add_roster(roster)
        history = CaseHistory(ledger, case, file=name, split=roster.split, on_change=on_change)
        history.move(State.RECEIVED, cause=received_cause(report))
        history.move(State.INVALID, fault=Fault.SUBMISSION, cause=cause)
    return write_report(request.store, report, submission=found, challenge=roster.digest)


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
        error = changed_error(request, error)
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
    warnings = warned_of(outcome.whole_report)
    return State.SCORED, "", f"average score {outcome.average!r}{f'; {warnings}' if warnings else ''}"


def notes_of(ledger: Ledger, key: Key, run: Run, *, team: str) -> list[str]:
    """What an organiser should know: the same bytes, examples or stems in a submission of another team.

    Raises:
        SetupError: What was kept of a submission can't be read.
    """
    notes = notes_about(ledger, key, team=team)
    shared = run.shared_stems()
    for other in ledger.decisions.receipts():
        if other.challenge != key.challenge or other.team == team:
            continue
        same, total = shared.get(other.submission, (0, 0))
        known = any(
            note.startswith(f"{other.team} ") or note.endswith(f" of {other.team}.") for note in notes
        )
        if same and not known:
            notes.append(
                f"{same} of {counted(total, 'stem')} {'is' if same == 1 else 'are'} the same as in "
                f"{other.submission[:8]} of {other.team}."
            )
    return notes


def warned_of(report: Report) -> str:
    """The warnings of a report in a few words, each code with its count; empty if there are none."""
    return _codes(report, Severity.WARNING) if report.count(Severity.WARNING) else ""


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
