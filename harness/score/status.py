"""The state and progress of every submission in a store.

The state is the ledger's, with one exception: a submission whose run has died is shown as failed, not as being
scored. The next run of the same command takes over.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from harness.ledger.entities import Entry, Failure, Key, Roster
from harness.ledger.leases import ENDED_UNEXPECTEDLY, Lease
from harness.ledger.ledger import Ledger
from harness.ledger.states import Case, State, Step
from harness.protocol.errors import Fault
from harness.ranking.counting import Counting
from harness.score.heartbeat import is_dead

SELF_REPORTED = "self-reported"
"""The kind of an entry, and the state shown, of scores that a team computed itself."""

DIED = f"{ENDED_UNEXPECTEDLY}; run the same command again to continue"


@dataclass(frozen=True)
class SubmissionStatus:
    """The state and progress of one submission.

    Attributes:
        team: The team that sent it.
        split: The challenge's split.
        submission: Its SHA-256.
        state: Received, invalid, scoring, scored or failed; self-reported if the team computed its scores itself.
        since: When it entered that state, UTC.
        fault: The category of the cause, if it is invalid or failed.
        cause: One sentence.
        stored: Number of examples with a score.
        total: Number of examples of the challenge.
        rate: Examples per hour of the run that is scoring it; None without one.
        left: Seconds until that run finishes, at this rate.
        runner: The process that is scoring it: host and process number.
        failures: Examples that were tried and have no score.
        counts: Whether it is the submission of its team that counts for the challenge.
    """

    team: str
    split: str
    submission: str
    state: str
    since: str
    fault: str
    cause: str
    stored: int
    total: int
    rate: float | None
    left: float | None
    runner: str
    failures: tuple[Failure, ...]
    counts: bool = False


def read_statuses(
    store: Path, *, team: str | None = None, split: str | None = None
) -> list[SubmissionStatus]:
    """The status of each submission, the most recently changed last; self-reported scores come after them.

    Args:
        store: The folder of the ledger.
        team: Only this team's; every team's if None.
        split: Only of this split; of all splits if None.

    Raises:
        SetupError: There is no ledger, or it cannot be read.
    """
    with Ledger(store, read_only=True) as ledger, ledger.snapshot():
        counted = Counting(ledger).counted_cases()
        rosters = ledger.rosters()
        keys = {(e.team, e.key.submission, e.key.challenge): e.key for e in ledger.entries()}
        leases = {lease.key: lease for lease in ledger.leases.all()}
        found = []
        for step in ledger.history.latest(team=team, split=split):
            case, roster = step.case, rosters[step.case.challenge]
            key = keys.get((case.team, case.submission, case.challenge))
            if key is not None and step.scorer is not None:
                key = Key(key.submission, key.challenge, step.scorer)
            lease = leases.get(key) if key is not None else None
            status = _status(ledger, step, roster, key=key, lease=lease)
            found.append(replace(status, counts=case in counted))
        found += [
            _self_reported(ledger, entry, rosters[entry.key.challenge], counted=counted)
            for entry in ledger.entries()
            if entry.kind == SELF_REPORTED
            and team in (None, entry.team)
            and split in (None, rosters[entry.key.challenge].split)
        ]
    return found


def _self_reported(
    ledger: Ledger, entry: Entry, roster: Roster, *, counted: Collection[Case]
) -> SubmissionStatus:
    """Of scores that a team computed itself: they are complete when they are added, and have no steps."""
    return SubmissionStatus(
        team=entry.team,
        split=roster.split,
        submission=entry.key.submission,
        state=SELF_REPORTED,
        since=entry.entered,
        fault="",
        cause="",
        stored=len(ledger.examples(entry.key)),
        total=len(roster.examples),
        rate=None,
        left=None,
        runner="",
        failures=(),
        counts=Case(entry.team, entry.key.submission, entry.key.challenge) in counted,
    )


def _status(
    ledger: Ledger, step: Step, roster: Roster, *, key: Key | None, lease: Lease | None
) -> SubmissionStatus:
    state, fault, cause = str(step.state), step.fault, step.cause
    if lease is not None and is_dead(lease):
        lease = None
    if step.state is State.SCORING and lease is None:
        state, fault, cause = State.FAILED.value, Fault.SETUP.value, DIED
    return SubmissionStatus(
        team=step.case.team,
        split=roster.split,
        submission=step.case.submission,
        state=state,
        since=step.at,
        fault=fault,
        cause=cause,
        stored=len(ledger.examples(key)) if key is not None else 0,
        total=len(roster.examples),
        rate=lease.rate * 3600 if lease is not None and lease.rate is not None else None,
        left=lease.seconds_left if lease is not None else None,
        runner=lease.runner if lease is not None else "",
        failures=tuple(ledger.failures(key)) if key is not None else (),
    )


def disqualified_teams(store: Path) -> dict[str, str]:
    """The disqualified teams of a store, each with its reason.

    Raises:
        SetupError: There is no ledger, or it cannot be read.
    """
    with Ledger(store, read_only=True) as ledger:
        return {team: one.reason for team, one in ledger.history.disqualified().items()}
