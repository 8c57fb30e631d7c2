"""Which submission of a team counts, and why: the one answer for ranking, scores, bundles, status and submissions.

Of each team, one submission counts for a challenge. The policy of the split says which; a submission that the
organiser has selected counts whatever the policy says. One that was withdrawn, or that came after the deadline or
after the allowed number, never counts unless it is selected. Submissions are in the order of their first receipt,
by the log, so that scoring one again changes nothing. What has no complete, audited score yet does not replace what
has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from harness.ledger.decisions import Decision, Policy
from harness.ledger.entities import Entry, Key, Roster, Scorer
from harness.ledger.ledger import Ledger
from harness.ledger.receipts import Receipt
from harness.ledger.states import Case, State, Step
from harness.protocol.errors import SetupError, UsageError
from harness.ranking.rows import Row, Unranked, make_row

SELF_REPORTED = "self-reported"


@dataclass(frozen=True)
class Candidate:
    """A submission that a team has sent.

    Attributes:
        case: The submission, under its team's name now.
        kind: `scored` or `self-reported`.
        receipt: Its first receipt.
        step: Its latest state; None if it is self-reported.
        decision: The organiser's decision that is in force, or None.
        late: Whether it came after the deadline.
        barred: Why it can't count unless it is selected; empty if it can.
    """

    case: Case
    kind: str
    receipt: Receipt
    step: Step | None
    decision: Decision | None
    late: bool
    barred: str

    @property
    def selected(self) -> bool:
        """Whether the organiser has selected it."""
        return self.decision is not None and self.decision.kind == "selected"


@dataclass(frozen=True)
class Choice:
    """What counts of one team in one table.

    Attributes:
        entry: The entry that counts; None if none does, or if this scorer has not scored what counts.
        line: Its line in the ranking.
        reason: Why it counts, or why none does.
        receipt: Number of its first receipt; 0 if none counts.
    """

    entry: Entry | None
    line: Row | Unranked
    reason: str
    receipt: int = 0


class Counting:
    """What counts in a ledger, read at one moment: make it and use it within `Ledger.snapshot`.

    Args:
        ledger: The scores.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.rosters = ledger.rosters()
        self.entries = ledger.entries()
        self._policies = ledger.decisions.policies()
        self._candidates: dict[tuple[str, str, str], list[Candidate]] = {}
        self._lines: dict[tuple[str, Key, str], Row | Unranked] = {}
        self._read_candidates()

    def _read_candidates(self) -> None:
        steps = {step.case: step for step in self._ledger.history.latest()}
        decisions = self._ledger.decisions.in_force()
        reported = {_case(entry) for entry in self.entries if entry.kind == SELF_REPORTED}
        cases: dict[tuple[str, str, str], list[tuple[Case, Receipt]]] = {}
        for case, receipt in self._ledger.decisions.receipts().items():
            kinds = [SELF_REPORTED] if case in reported else []
            for kind in kinds if kinds and case not in steps else [*kinds, "scored"]:
                cases.setdefault((case.team, case.challenge, kind), []).append((case, receipt))
        for name, received in cases.items():
            policy, used, found = self.policy(name[1]), 0, []
            for case, receipt in received:
                step, decision = steps.get(case), decisions.get(case)
                late = bool(policy.deadline) and _time(receipt.at) > _time(policy.deadline)
                barred = ""
                if decision is not None and decision.kind == "withdrawn":
                    barred = f"withdrawn: {decision.reason}"
                elif late:
                    barred = f"late: the deadline was {policy.deadline[:16].replace('T', ' ')} UTC"
                elif step is None or step.state is not State.INVALID:  # what is invalid uses nothing up
                    used += 1
                    if policy.most and used > policy.most:
                        barred = f"one too many: the first {policy.most} of a team may count"
                found.append(Candidate(case, name[2], receipt, step, decision, late, barred))
            self._candidates[name] = found

    def policy(self, challenge: str) -> Policy:
        """The policy for a challenge, by its digest."""
        return self._policies.get(self.rosters[challenge].split, Policy())

    def candidates(self, *, team: str | None = None, split: str | None = None) -> list[Candidate]:
        """All submissions, by team and challenge in the order of their first receipt."""
        return [
            one
            for (name, challenge, _), found in sorted(self._candidates.items(), key=lambda item: item[0][0])
            if team in (None, name) and split in (None, self.rosters[challenge].split)
            for one in found
        ]

    def choose(self, team: str, challenge: str, kind: str, scorer: Scorer) -> Choice:
        """Which submission of a team counts in the table of a challenge, a kind and a scorer.

        Args:
            team: The team's name.
            challenge: Digest of the challenge.
            kind: `scored` or `self-reported`.
            scorer: What made the scores of the table.
        """
        policy = self.policy(challenge)
        candidates = self._candidates[team, challenge, kind]
        entries = {
            _case(entry): entry
            for entry in self.entries
            if (entry.team, entry.key.challenge, entry.kind, entry.key.scorer)
            == (team, challenge, kind, scorer)
        }
        selected = [one for one in candidates if one.selected]
        if selected:
            chosen = max(selected, key=lambda one: one.decision.number if one.decision else 0)
            entry = entries.get(chosen.case)
            if entry is None:
                reason = f"the selected submission {chosen.case.submission[:12]} is not scored by this scorer"
                return Choice(None, Unranked(team, 0, chosen.case.submission, uncounted=reason), reason)
            reason = f"selected: {chosen.decision.reason if chosen.decision else ''}"
            return Choice(entry, self.line(entry), reason, chosen.receipt.number)
        known = [one for one in candidates if one.case in entries]
        pool = [one for one in known if not one.barred]
        if policy.counts == "chosen" or not pool:
            reason = "none of its submissions is selected" if policy.counts == "chosen" else _why_none(known)
            last = entries[known[-1].case]
            stored = len(self._ledger.examples(last.key))
            return Choice(None, Unranked(team, stored, last.key.submission, uncounted=reason), reason)
        if policy.counts == "best":
            lines = [(one, self.line(entries[one.case])) for one in pool]
            ranked = [(line.average, place) for place, (_, line) in enumerate(lines) if isinstance(line, Row)]
            if ranked:
                one, line = lines[max(ranked)[1]]
                return Choice(entries[one.case], line, "the best", one.receipt.number)
        one, reason = pool[-1], "the latest"
        for candidate in reversed(pool):  # one after the other: a line takes a tenth of a second
            if isinstance(self.line(entries[candidate.case]), Row):
                if candidate is not one:
                    one, reason = candidate, "the latest that is completely scored"
                break
        return Choice(entries[one.case], self.line(entries[one.case]), reason, one.receipt.number)

    def line(self, entry: Entry) -> Row | Unranked:
        """An entry's line in the ranking."""
        name = (entry.team, entry.key, entry.kind)
        if name not in self._lines:
            self._lines[name] = make_row(self._ledger, self.rosters[entry.key.challenge], entry)
        return self._lines[name]

    def counted(self, team: str, *, split: str | None = None, challenge: str | None = None) -> Choice | None:
        """Which submission stands for a team where one table is not asked for.

        Of the tables in which one counts, it is one that is complete before others, then one that we scored before
        a self-reported one, then the one that was received last, then the scorer that entered it last.

        Args:
            team: The team's name.
            split: Only this split; all splits with None.
            challenge: Only this challenge, by its digest; all of the split with None.

        Returns:
            None if the team has nothing that was scored, even in part.
        """
        tables = dict.fromkeys(
            (entry.key.challenge, entry.kind, entry.key.scorer)
            for entry in self.entries
            if entry.team == team
            and split in (None, self.rosters[entry.key.challenge].split)
            and challenge in (None, entry.key.challenge)
        )
        choices = [self.choose(team, *table) for table in tables]
        places = {entry: place for place, entry in enumerate(self.entries)}

        def preference(choice: Choice) -> tuple[bool, bool, bool, int, int]:
            entry = choice.entry
            if entry is None:
                return False, False, False, 0, 0
            complete = self._is_complete(entry)
            return True, complete, entry.kind == "scored", choice.receipt, places[entry]

        return max(choices, key=preference, default=None)

    def counted_cases(self) -> frozenset[Case]:
        """The submissions that count: at most one of each team for each challenge."""
        found = set()
        for team, challenge in dict.fromkeys((entry.team, entry.key.challenge) for entry in self.entries):
            choice = self.counted(team, challenge=challenge)
            if choice is not None and choice.entry is not None:
                found.add(_case(choice.entry))
        return frozenset(found)

    def _is_complete(self, entry: Entry) -> bool:
        total = len(self.rosters[entry.key.challenge].examples)
        line = self.line(entry)
        return isinstance(line, Row) or line.examples == total


def counted_entry(ledger: Ledger, team: str, *, split: str | None = None) -> tuple[Entry, Roster, str]:
    """The entry that stands for a team, its challenge, and why it counts.

    Args:
        ledger: The scores.
        team: The team's name.
        split: Only entries of this split; of all splits with None.

    Raises:
        UsageError: The team has no entry, or none of them counts.
    """
    with ledger.snapshot():
        counting = Counting(ledger)
        choice = counting.counted(team, split=split)
    where = f"{ledger.path.parent}{f' for split {split}' if split else ''}"
    if choice is None:
        raise UsageError(
            f"{team} has no scores in {where}.", hint="`cad1 ranking` lists the teams that have."
        )
    if choice.entry is None:
        raise UsageError(
            f"No submission of {team} counts in {where}: {choice.reason}.",
            hint=f"`cad1 submissions {team}` lists them; `cad1 select {team} DIGEST` selects one.",
        )
    return choice.entry, counting.rosters[choice.entry.key.challenge], choice.reason


def _why_none(candidates: Sequence[Candidate]) -> str:
    """Why no submission counts if each of them is barred."""
    if len(candidates) == 1:
        return candidates[0].barred
    return f"none of its {len(candidates)} submissions counts; the last is {candidates[-1].barred}"


def _case(entry: Entry) -> Case:
    return Case(entry.team, entry.key.submission, entry.key.challenge)


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise SetupError(
            f"The ledger holds {text[:80]!r} where a time is expected.",
            hint="`cad1 verify` lists the damage.",
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
