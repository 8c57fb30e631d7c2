"""The conductor: one submission, from a path to stored scores.

Validates on the host by headers, enters the submission in the ledger, hands the examples that have no score yet to
sandboxes, song by song, and stores each example as it arrives. Every step on the way is kept as a state.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from harness.ledger.ledger import Case, Entry, Key, Ledger, Roster, Scorer, State
from harness.protocol.errors import Fault, HarnessError, SetupError
from harness.ranking.render import write_ranking
from harness.sandbox.contract import Sandbox
from harness.sandbox.leftovers import sweep
from harness.score.heartbeat import Heartbeat
from harness.score.request import Outcome, Request, Say, Told
from harness.score.run import Run
from validator import Challenge, Report, Severity, validate
from validator.archive.submission import digest

__all__ = ["Outcome", "Request", "challenge_digest", "roster_of", "score", "submission_digest"]


def challenge_digest(challenge: Challenge) -> str:
    """Tells one challenge from another: its split, songs, segments, audio lengths, listeners and audiograms."""
    facts = {
        "split": challenge.split,
        "songs": [
            [song.name, song.frames, song.objective_slice, song.subjective_slice] for song in challenge.songs
        ],
        "listeners": [[one.id, one.frequencies, one.left, one.right] for one in challenge.listeners],
    }
    return hashlib.sha256(json.dumps(facts, separators=(",", ":")).encode()).hexdigest()


def roster_of(challenge: Challenge) -> Roster:
    """The challenge as the ledger keeps it."""
    return Roster(
        digest=challenge_digest(challenge),
        split=challenge.split,
        songs=tuple(song.name for song in challenge.songs),
        listeners=tuple(listener.id for listener in challenge.listeners),
    )


def score(
    request: Request, sandbox: Sandbox, *, progress: Told = lambda *_: None, say: Say = lambda _: None
) -> Outcome:
    """Validates, scores what has no score yet, stores, and writes the ranking anew.

    Args:
        request: What to score.
        sandbox: Where.
        progress: Told of every example.
        say: Gets a sentence where something is waited for or tried again.

    Returns:
        The outcome; its `faults` and `findings` say what could not be scored and why.

    Raises:
        SetupError: If nothing can be scored on this machine as it is.
        HarnessError: If no example can be scored, whatever the cause.
        SubmissionNotFound: If there is no submission at the path.
    """
    if request.challenge.root is None:
        raise SetupError("Scoring needs the challenge's audio.", hint="Give the data root with --data.")
    report = validate(request.submission, request.challenge, quick=True, examples=wanted(request))
    roster = roster_of(request.challenge)
    outcome = Outcome(report=report, total=len(request.challenge.examples))
    if not report.valid:
        refuse(request, report, roster)
        return outcome
    environment = sandbox.prepare()
    for left, why in sweep().kept:
        say(f"A dead run's {left.kind} {left.name} could not be removed: {why}.")
    case = Case(request.team, submission_digest(request.submission, report), roster.digest)
    key = Key(
        case.submission, roster.digest, Scorer(environment.scorer_digest, request.engine, environment.locked)
    )
    with Ledger(request.store) as ledger:
        ledger.add_roster(roster)
        ledger.enter(Entry(request.team, key, report.subject.name, report.subject.size, "scored"))
        run = Run(
            request=request,
            sandbox=sandbox,
            environment=environment,
            ledger=ledger,
            key=key,
            progress=progress,
            say=say,
        )
        with Heartbeat(
            ledger, key, team=request.team, count=run.count, wait=run.wait_for, lost=run.lose
        ) as heart:
            ledger.move(case, State.RECEIVED, cause=f"{report.subject.name} came in")
            ledger.move(case, State.SCORING, scorer=key.scorer)
            try:
                run.finish()
                if heart.error is not None:
                    raise heart.error
                run.tell(outcome)
                write_ranking(ledger, request.store)
            except BaseException as error:
                state, fault, cause = stopped_by(error)
                if not run.lost:  # else it is another's to say
                    with suppress(HarnessError):  # a full disk must not hide what has stopped the run
                        ledger.move(case, state, fault=fault, cause=cause, scorer=key.scorer)
                raise
            state, fault, cause = ended(outcome)
            ledger.move(case, state, fault=fault, cause=cause, scorer=key.scorer)
    return outcome


def refuse(request: Request, report: Report, roster: Roster) -> None:
    """Keeps that an invalid submission came in; one that can't even be read has nothing to be known by."""
    found = report.subject.sha256 or digest(request.submission)
    if found is None:
        return
    case = Case(request.team, found, roster.digest)
    with Ledger(request.store) as ledger:
        ledger.add_roster(roster)
        ledger.move(case, State.RECEIVED, cause=f"{report.subject.name} came in")
        ledger.move(case, State.INVALID, fault=Fault.SUBMISSION, cause=summary(report))


def summary(report: Report) -> str:
    """Why a submission is invalid, for its state: the codes and how often each."""
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    counts = {code: sum(one.code == code for one in errors) for code in sorted({one.code for one in errors})}
    return f"{len(errors)} errors: " + ", ".join(f"{code} ({number})" for code, number in counts.items())


def stopped_by(error: BaseException) -> tuple[State, str, str]:
    """The state that a run leaves when it does not come to its end: state, fault, cause."""
    if isinstance(error, HarnessError):
        return State.FAILED, error.fault, error.message
    if isinstance(error, Exception):
        return State.FAILED, Fault.BUG, f"{type(error).__name__}: {error}"
    return State.RECEIVED, "", "interrupted; the same command goes on"


def ended(outcome: Outcome) -> tuple[State, str, str]:
    """The state that a run leaves at its end: state, fault, cause."""
    if outcome.faults:
        return State.FAILED, outcome.faults[0].fault, outcome.faults[0].message
    if outcome.findings:
        return State.INVALID, Fault.SUBMISSION, f"{len(outcome.findings)} files can't be decoded"
    if outcome.average is None:
        return State.RECEIVED, "", f"{outcome.stored} of {outcome.total} examples scored, as was asked for"
    return State.SCORED, "", f"average score {outcome.average!r}"


def submission_digest(path: Path, report: Report | None = None) -> str:
    """The SHA-256 that stands for a submission.

    Raises:
        SetupError: If the path no longer holds what was looked at.
    """
    found = (report.subject.sha256 if report is not None else None) or digest(path)
    if found is None:
        raise SetupError(
            f"{path} is no longer the file or folder that was looked at.", hint="Score it again."
        )
    return found


def wanted(request: Request) -> frozenset[tuple[str, str]] | None:
    """The examples that are asked for, where they are not all."""
    if request.selected is request.challenge:
        return None
    return frozenset(request.selected.examples)
