"""Where every submission is on its way: what `cad1 status` shows.

A state is what the ledger says, but for one thing: a submission whose run has died without a word is not shown as
being scored. The next run of the same command takes over.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.ledger.entities import Failure, Key, Roster
from harness.ledger.leases import ENDED_UNEXPECTEDLY, Lease
from harness.ledger.ledger import Ledger
from harness.ledger.states import State, Step
from harness.protocol.errors import Fault
from harness.score.heartbeat import is_dead

DIED = f"{ENDED_UNEXPECTEDLY}; run the same command again, it goes on"


@dataclass(frozen=True)
class Standing:
    """One submission's state.

    Attributes:
        team, split, submission: Which; `submission` is its SHA-256.
        state: Received, invalid, scoring, scored or failed.
        since: When it came into that state, UTC.
        fault: Whose fault it is, where it is anybody's.
        cause: One sentence.
        stored, total: Examples that have a score, and examples of the challenge.
        rate: Examples an hour of the run that is at work; None without one.
        left: Seconds until that run is done, at this rate.
        runner: The process at work: host and number.
        failures: Examples that were tried and have no score.
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


def look(ledger: Ledger, *, team: str | None = None, split: str | None = None) -> list[Standing]:
    """The standing of each submission, the one that moved last at the end."""
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
        found.append(_standing(ledger, step, roster, key=key, lease=lease))
    return found


def _standing(
    ledger: Ledger, step: Step, roster: Roster, *, key: Key | None, lease: Lease | None
) -> Standing:
    state, fault, cause = str(step.state), step.fault, step.cause
    if lease is not None and is_dead(lease):
        lease = None
    if step.state is State.SCORING and lease is None:
        state, fault, cause = State.FAILED.value, Fault.SETUP.value, DIED
    return Standing(
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


def as_json(found: list[Standing]) -> str:
    """For scripts."""
    document: dict[str, Any] = {"schema_version": 1, "submissions": [asdict(one) for one in found]}
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def as_text(found: list[Standing], console: Console, *, full: bool) -> str:
    """For people; with `full`, every failure too."""
    with console.capture() as capture:
        if not found:
            console.print("Nothing has come in yet.")
            return capture.get()
        drawn = Table()
        for heading in ("Team", "Split", "Submission", "State", "Since (UTC)", "Examples", "Progress"):
            drawn.add_column(heading, no_wrap=True)
        for one in found:
            drawn.add_row(
                one.team,
                one.split,
                one.submission[:12],
                f"{one.state} ({one.fault})" if one.fault else one.state,
                one.since[:16].replace("T", " "),
                f"{one.stored} of {one.total}",
                _progress(one),
            )
        console.print(drawn)
        for one in found:
            _explain(one, console, full=full)
    return capture.get()


def _progress(one: Standing) -> str:
    if not one.runner:
        return ""
    if one.rate is None or one.left is None:
        return "just begun"
    hours, minutes = divmod(round(one.left / 60), 60)
    return f"{one.rate:.0f} an hour, {hours} h {minutes:02d} min left"


def _explain(one: Standing, console: Console, *, full: bool) -> None:
    def line(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    if one.cause:
        line(f"{one.team}: {one.cause}")
    if one.failures and not full:
        line(f"{one.team}: {len(one.failures)} examples failed; `cad1 status {one.team}` names them.")
    for failure in one.failures if full else ():
        place = f"{failure.song} for {failure.listener}" + (f", {failure.path}" if failure.path else "")
        line(f"  {place}: {failure.message} ({failure.fault}, {failure.code})")
