"""What the organiser should know about submissions of two teams: the same bytes, or the same audio in them."""

from __future__ import annotations

from harness.ledger.entities import Key
from harness.ledger.ledger import Ledger
from harness.ledger.states import Case
from validator.findings.wording import counted


class Duplicates:
    """The submissions of a ledger that have bytes or audio in common; make it and use it within a snapshot.

    Args:
        ledger: The scores.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._teams: dict[tuple[str, str], list[str]] = {}
        self._audio: dict[str, dict[tuple[str, str, str], set[str]]] = {}
        for case in ledger.decisions.receipts():
            self._teams.setdefault((case.submission, case.challenge), []).append(case.team)

    def notes(self, case: Case) -> list[str]:
        """One sentence for each other team that has sent the same submission, or the same audio.

        The audio of an example is that of its eight stems with their scale, as it was scored.
        """
        senders = self._teams.get((case.submission, case.challenge), [])
        others = sorted({team for team in senders if team != case.team})
        notes = [f"{team} sent the same bytes." for team in others]
        shared: dict[str, int] = {}
        total = 0
        for submissions in self._audio_of(case.challenge).values():
            if case.submission in submissions:
                total += 1
                for submission in submissions - {case.submission}:
                    shared[submission] = shared.get(submission, 0) + 1
        for submission, number in sorted(shared.items()):
            for team in self._teams.get((submission, case.challenge), []):
                if team not in {case.team, *others}:
                    notes.append(
                        f"{number} of {counted(total, 'example')} scored "
                        f"{'has' if number == 1 else 'have'} the same eight stems as {submission[:8]} of {team}."
                    )
        return notes

    def _audio_of(self, challenge: str) -> dict[tuple[str, str, str], set[str]]:
        """The submissions with the same audio, by song, listener and SHA-256."""
        if challenge not in self._audio:
            found: dict[tuple[str, str, str], set[str]] = {}
            for submission, *audio in self._ledger.audio(challenge):
                found.setdefault((audio[0], audio[1], audio[2]), set()).add(submission)
            self._audio[challenge] = found
        return self._audio[challenge]


def notes_about(ledger: Ledger, key: Key, *, team: str) -> list[str]:
    """What a team's submission has in common with those of other teams; see `Duplicates.notes`."""
    with ledger.snapshot():
        return Duplicates(ledger).notes(Case(team, key.submission, key.challenge))
