"""The organiser's decisions about submissions: which of a team's counts, which are withdrawn, and whose they are.

A decision is a row that is written once; the latest one about a submission is in force. States and entries keep the
name under which a submission was received; a rename is applied when they are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.ledger.database import Database
from harness.ledger.receipts import Receipt, read_receipts
from harness.ledger.states import Case
from harness.ledger.steps import single_line
from harness.ledger.transaction import Transaction
from harness.protocol.errors import UsageError
from harness.protocol.teams import checked_team

Counts = Literal["latest", "best", "chosen"]
Kind = Literal["selected", "withdrawn", "reinstated", "renamed"]

SHORTEST = 4
"""Digits of a submission's SHA-256 that are needed to name it."""


@dataclass(frozen=True)
class Policy:
    """Which submission of a team counts for a split.

    Attributes:
        counts: The one that was received last, the one with the best average, or the one that was selected.
        deadline: ISO 8601 in UTC; what is received later is late. Empty for none.
        most: How many submissions a team may send; 0 for any number.
    """

    counts: Counts = "latest"
    deadline: str = ""
    most: int = 0


@dataclass(frozen=True)
class Decision:
    """A decision about a submission that is in force.

    Attributes:
        number: From 1, in the order of the decisions.
        kind: `selected` or `withdrawn`.
        reason: One sentence.
        at: When, in UTC.
        who: `user@host`.
    """

    number: int
    kind: Kind
    reason: str
    at: str
    who: str


class Decisions:
    """The part of the ledger that holds policies and decisions about submissions.

    Args:
        database: The ledger's file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def set_policy(self, split: str, policy: Policy, *, reason: str = "") -> None:
        """Sets the policy of a split, from now on and for everything that was received before."""
        with self._database.transaction() as transaction:
            row = (_next_number(transaction, "policies"), split, policy.counts, policy.deadline, policy.most)
            transaction.execute(
                "INSERT INTO policies VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, single_line(reason), transaction.at, transaction.who),
            )
            facts: dict[str, object] = {"split": split, "counts": policy.counts, "deadline": policy.deadline}
            facts |= {"most": policy.most, "version": transaction.version}
            transaction.log("policy", facts, ("policies", row[:1]))

    def policies(self) -> dict[str, Policy]:
        """The policy of each split that has one; the others have the default."""
        rows = self._database.read(
            "SELECT split, counts, deadline, most FROM policies ORDER BY number",
            make=lambda row: (str(row[0]), Policy(*row[1:])),
        )
        return dict(rows)

    def select(self, team: str, digest: str, *, reason: str, split: str | None = None) -> Case:
        """Decides that a submission counts, whatever the policy says, and no other of its team for that challenge.

        Args:
            team: The team's name.
            digest: The submission's SHA-256, or its first digits.
            reason: One sentence.
            split: Only submissions of this split; of all splits with None.

        Returns:
            The submission.

        Raises:
            UsageError: There is no such submission, or more than one; or there is no reason.
        """
        return self._decide("selected", team, digest, reason=reason, split=split)

    def withdraw(self, team: str, digest: str, *, reason: str, split: str | None = None) -> Case:
        """Decides that a submission does not count; see `select`."""
        return self._decide("withdrawn", team, digest, reason=reason, split=split)

    def reinstate(self, team: str, digest: str, *, reason: str, split: str | None = None) -> Case:
        """Takes the selection or the withdrawal of a submission back; see `select`.

        Raises:
            UsageError: Also if the submission is neither selected nor withdrawn.
        """
        return self._decide("reinstated", team, digest, reason=reason, split=split)

    def _decide(self, kind: Kind, team: str, digest: str, *, reason: str, split: str | None) -> Case:
        reason = checked_reason(reason)
        with self._database.transaction() as transaction:
            case = self._find(team, digest, split=split)
            before = self.in_force().get(case)
            if kind == "reinstated" and before is None:
                raise UsageError(
                    f"The submission {case.submission[:12]} of {team} is neither withdrawn nor selected.",
                    hint=f"`cad1 submissions {team}` shows what was decided.",
                )
            if before is not None and before.kind == kind == "withdrawn":
                raise UsageError(
                    f"The submission {case.submission[:12]} of {team} is withdrawn already: {before.reason}",
                    hint=f"`cad1 reinstate {team} {case.submission[:12]}` takes that back.",
                )
            self._write(transaction, kind, self._received_as(case), team=team, reason=reason)
        return case

    def rename(self, team: str, name: str, *, reason: str, digest: str = "") -> list[Case]:
        """Gives the submissions of a team to another name, such as the right spelling of its own.

        Later submissions under the old name stay under it.

        Args:
            team: The name to correct.
            name: The right name; there may be submissions under it already.
            reason: One sentence.
            digest: Only this submission: its SHA-256, or its first digits.

        Returns:
            The submissions that were renamed, with their new name.

        Raises:
            UsageError: There is no such submission, the name is not valid, the team is disqualified, or there is no
                reason.
        """
        reason = checked_reason(reason)
        if checked_team(name) == team:
            raise UsageError(f"{team} has that name already.", hint="Give another name.")
        with self._database.transaction() as transaction:
            cases = [case for case in self.receipts() if case.team == team]
            if digest:
                cases = [self._find(team, digest, split=None)]
            if not cases:
                raise self._unknown(team)
            if transaction.execute("SELECT 1 FROM disqualifications WHERE team = ?", (team,)).fetchone():
                raise UsageError(
                    f"{team} is disqualified; another name would undo that.",
                    hint=f"`cad1 reinstate {team}` first, then rename it.",
                )
            for case in cases:
                self._write(
                    transaction, "renamed", self._received_as(case), team=team, reason=reason, name=name
                )
        return [Case(name, case.submission, case.challenge) for case in cases]

    def _write(
        self,
        transaction: Transaction,
        kind: Kind,
        cases: Sequence[Case],
        *,
        team: str,
        reason: str,
        name: str = "",
    ) -> None:
        for case in cases:
            number = _next_number(transaction, "decisions")
            transaction.execute(
                "INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (number, case.team, case.submission, case.challenge, kind, name, reason)
                + (transaction.at, transaction.who),
            )
            facts = {"team": team, "submission": case.submission, "reason": reason}
            transaction.log(kind, facts | ({"name": name} if name else {}), ("decisions", (number,)))

    def _find(self, team: str, digest: str, *, split: str | None) -> Case:
        """The submission of a team whose SHA-256 begins with some digits."""
        digest = digest.strip().lower()
        splits = dict(
            self._database.read("SELECT digest, split FROM challenges", make=lambda row: (row[0], row[1]))
        )
        cases = [
            case
            for case in self.receipts()
            if case.team == team and split in (None, splits.get(case.challenge))
        ]
        if not cases:
            raise self._unknown(team, split)
        found = [case for case in cases if case.submission.startswith(digest)]
        listed = ", ".join(
            f"{case.submission[:12]} ({splits.get(case.challenge)})" for case in found or cases
        )
        if len(digest) < SHORTEST:
            raise UsageError(
                f"{digest!r} is too short for a submission's digest: expected at least {SHORTEST} digits.",
                hint=f"{team} has {listed}.",
            )
        if not found:
            raise UsageError(
                f"{team} has no submission with the digest {digest[:64]}.", hint=f"It has {listed}."
            )
        if len(found) > 1:
            raise UsageError(
                f"{len(found)} submissions of {team} fit {digest}: {listed}.",
                hint="Give more digits, or the split with `--split`.",
            )
        return found[0]

    def _received_as(self, case: Case) -> list[Case]:
        """The names under which a submission was received: more than one if it came under a wrong name as well."""
        names = self.names()
        return [
            one
            for one in read_receipts(self._database)
            if (one.submission, one.challenge) == (case.submission, case.challenge)
            and names.get(one, one.team) == case.team
        ]

    def _unknown(self, team: str, split: str | None = None) -> UsageError:
        return UsageError(
            f"{team} has no submission in {self._database.path.parent}{f' for split {split}' if split else ''}.",
            hint="`cad1 submissions` lists the teams that have one.",
        )

    def names(self) -> dict[Case, str]:
        """The team's name now of each submission that was renamed, by what it was received as."""
        return read_names(self._database)

    def receipts(self) -> dict[Case, Receipt]:
        """The first receipt of every submission, the oldest first."""
        names = self.names()
        found: dict[Case, Receipt] = {}
        for case, receipt in read_receipts(self._database).items():
            found.setdefault(renamed(case, names), receipt)
        return found

    def in_force(self) -> dict[Case, Decision]:
        """The submissions that are selected or withdrawn, in the order of the decisions."""
        rows = self._database.read(
            "SELECT team, submission, challenge, number, kind, reason, at, who FROM decisions"
            " WHERE kind <> 'renamed' ORDER BY number",
            make=lambda row: (Case(*row[:3]), Decision(*row[3:])),
        )
        names = self.names()
        found: dict[Case, Decision] = {}
        for case, decision in rows:
            found.pop(renamed(case, names), None)
            if decision.kind != "reinstated":
                found[renamed(case, names)] = decision
        return found


def read_names(database: Database) -> dict[Case, str]:
    """See `Decisions.names`."""
    rows = database.read(
        "SELECT team, submission, challenge, name FROM decisions WHERE kind = 'renamed' ORDER BY number",
        make=lambda row: (Case(*row[:3]), str(row[3])),
    )
    return dict(rows)


def renamed(case: Case, names: Mapping[Case, str]) -> Case:
    """A submission under its team's name now."""
    return Case(names.get(case, case.team), case.submission, case.challenge)


def checked_reason(text: str) -> str:
    """The reason for a decision, on one line.

    Raises:
        UsageError: There is none.
    """
    reason = single_line(text)
    if not reason:
        raise UsageError("This decision needs a reason.", hint="Give it with --reason.")
    return reason


def _next_number(transaction: Transaction, table: Literal["policies", "decisions"]) -> int:
    (number,) = transaction.execute(f"SELECT coalesce(max(number), 0) + 1 FROM {table}").fetchone()  # noqa: S608
    return int(number)
