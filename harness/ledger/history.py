"""The history of submissions: their states, and the organiser's decisions about teams."""

from __future__ import annotations

from dataclasses import replace

from harness.ledger.database import Database
from harness.ledger.decisions import checked_reason, read_names, renamed
from harness.ledger.entities import Disqualification, Scorer
from harness.ledger.states import Case, State, Step
from harness.ledger.steps import COLUMNS, LATEST, append_step, step_from_row
from harness.protocol.errors import UsageError


class History:
    """The part of the ledger that holds states and disqualifications.

    Args:
        database: The ledger's file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def move(
        self, case: Case, state: State, *, fault: str = "", cause: str = "", scorer: Scorer | None = None
    ) -> Step:
        """Changes the state of a case; the step is kept for good.

        Args:
            case: The submission; its roster must be in the ledger.
            state: The new state.
            fault: The cause category of `failed`; of `invalid` it is `submission` by default.
            cause: One sentence.
            scorer: What scores or has scored it.

        Raises:
            InternalError: The state may not follow the current one, or does not go with the fault.
        """
        with self._database.transaction() as transaction:
            return append_step(transaction, case, state, fault=fault, cause=cause, scorer=scorer)

    def steps(self, case: Case) -> list[Step]:
        """Every step of a case, the oldest first."""
        return self._database.read(
            f"SELECT {COLUMNS} FROM steps WHERE (team, submission, challenge) = (?, ?, ?) ORDER BY number",  # noqa: S608
            (case.team, case.submission, case.challenge),
            make=step_from_row,
        )

    def latest(self, *, team: str | None = None, split: str | None = None) -> list[Step]:
        """The latest step of each case, the oldest first; of one team, of one split, or of all with None.

        A case that was renamed has its team's name now.
        """
        with self._database.snapshot():
            names = read_names(self._database)
            steps = self._database.read(
                f"SELECT {COLUMNS} FROM steps WHERE {LATEST} AND (?1 IS NULL OR"  # noqa: S608  (constants)
                " challenge IN (SELECT digest FROM challenges WHERE split = ?1)) ORDER BY number",
                (split,),
                make=step_from_row,
            )
        found: dict[Case, Step] = {}
        for step in steps:
            case = renamed(step.case, names)
            if team in (None, case.team):
                found.pop(case, None)
                found[case] = replace(step, case=case)
        return list(found.values())

    def disqualify(self, team: str, *, reason: str) -> None:
        """Takes a team out of every ranking; its scores stay.

        Raises:
            UsageError: There is no such team, or no reason.
        """
        reason = checked_reason(reason)
        with self._database.transaction() as transaction:
            self._check_known(team)
            transaction.execute("DELETE FROM disqualifications WHERE team = ?", (team,))
            transaction.execute(
                "INSERT INTO disqualifications VALUES (?, ?, ?, ?)",
                (team, reason, transaction.at, transaction.who),
            )
            transaction.log("disqualified", {"team": team, "reason": reason}, ("disqualifications", (team,)))

    def reinstate(self, team: str, *, reason: str) -> None:
        """Takes a disqualification back.

        Raises:
            UsageError: The team is not disqualified, or there is no reason.
        """
        reason = checked_reason(reason)
        with self._database.transaction() as transaction:
            self._check_known(team)
            removed = transaction.execute("DELETE FROM disqualifications WHERE team = ?", (team,)).rowcount
            if not removed:
                raise UsageError(
                    f"{team} is not disqualified.",
                    hint="The notes of `cad1 ranking` list the teams that are. To take the withdrawal of a "
                    "submission back, give its digest, too: `cad1 submissions` lists them.",
                )
            transaction.log("reinstated", {"team": team, "reason": reason}, ("disqualifications", (team,)))

    def disqualified(self) -> dict[str, Disqualification]:
        """The disqualified teams, by name."""
        rows = self._database.read(
            "SELECT team, reason, at, who FROM disqualifications ORDER BY team",
            make=lambda row: (str(row[0]), Disqualification(*row[1:])),
        )
        return dict(rows)

    def _check_known(self, team: str) -> None:
        names = read_names(self._database)
        known = self._database.read(
            "SELECT team, submission, challenge FROM entries"
            " UNION SELECT team, submission, challenge FROM steps",
            make=lambda row: renamed(Case(*row), names).team,
        )
        if team not in known:
            raise UsageError(
                f"{team} has no submission in {self._database.path.parent}.",
                hint="`cad1 ranking` lists the teams that have one.",
            )
