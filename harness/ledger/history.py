"""The ways that submissions have gone, and who may not be ranked whatever its way."""

from __future__ import annotations

from harness.ledger.database import Database
from harness.ledger.entities import Disqualification, Scorer
from harness.ledger.states import Case, State, Step
from harness.ledger.steps import COLUMNS, LATEST, MAX_CAUSE, append_step, one_line, step_of
from harness.protocol.errors import UsageError


class Ways(Database):
    """The part of the ledger that keeps states and disqualifications."""

    def move(
        self, case: Case, state: State, *, fault: str = "", cause: str = "", scorer: Scorer | None = None
    ) -> Step:
        """Moves a case to a state; the step is kept for good.

        Args:
            case: Whose way; its roster must be in the ledger.
            state: Where to.
            fault: Whose fault it is that it is `failed`; `submission` for `invalid` if not given.
            cause: One sentence.
            scorer: What scores or has scored.

        Raises:
            InternalError: If that state may not follow the present one, or the fault does not fit the state.
        """
        with self._write() as transaction:
            return append_step(transaction, case, state, fault=fault, cause=cause, scorer=scorer)

    def way(self, case: Case) -> list[Step]:
        """Every step of a case, the oldest first."""
        return self._read(
            f"SELECT {COLUMNS} FROM steps WHERE (team, submission, challenge) = (?, ?, ?) ORDER BY number",  # noqa: S608
            (case.team, case.submission, case.challenge),
            make=step_of,
        )

    def latest(self, *, team: str | None = None, split: str | None = None) -> list[Step]:
        """The latest step of each case, the oldest first; of one team, of one split."""
        return self._read(
            f"SELECT {COLUMNS} FROM steps WHERE {LATEST} AND (?1 IS NULL OR team = ?1) AND (?2 IS NULL OR"  # noqa: S608
            " challenge IN (SELECT digest FROM challenges WHERE split = ?2)) ORDER BY number",
            (team, split),
            make=step_of,
        )

    def disqualify(self, team: str, *, why: str, revoke: bool = False) -> None:
        """Takes a team out of every ranking, or lets it back in; its scores stay.

        Raises:
            UsageError: If there is no such team, no reason, or nothing to revoke.
        """
        why = one_line(why)[:MAX_CAUSE]
        if not why:
            raise UsageError("A disqualification needs its reason.", hint="Give it with --why.")
        with self._write() as transaction:
            known = transaction.execute(
                "SELECT 1 FROM entries WHERE team = ?1 UNION SELECT 1 FROM steps WHERE team = ?1", (team,)
            ).fetchone()
            if known is None:
                raise UsageError(
                    f"{team} has entered nothing in {self.path.parent}.",
                    hint="`cad1 ranking` names the teams that have.",
                )
            out = transaction.execute("SELECT 1 FROM disqualifications WHERE team = ?", (team,)).fetchone()
            if revoke and out is None:
                raise UsageError(
                    f"{team} is not disqualified.", hint="`cad1 ranking` says in its notes who is."
                )
            transaction.execute("DELETE FROM disqualifications WHERE team = ?", (team,))
            if not revoke:
                transaction.execute(
                    "INSERT INTO disqualifications VALUES (?, ?, ?, ?)",
                    (team, why, transaction.at, transaction.who),
                )
            kind = "reinstated" if revoke else "disqualified"
            transaction.log(kind, {"team": team, "why": why}, ("disqualifications", (team,)))

    def disqualified(self) -> dict[str, Disqualification]:
        """The teams that are not ranked, by name."""
        rows = self._read(
            "SELECT team, why, at, who FROM disqualifications ORDER BY team",
            make=lambda row: (str(row[0]), Disqualification(*row[1:])),
        )
        return dict(rows)
