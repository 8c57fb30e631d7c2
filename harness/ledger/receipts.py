"""When a submission was received first: by the number of its log entry, which no clock can change."""

from __future__ import annotations

from dataclasses import dataclass

from harness.ledger.database import Database
from harness.ledger.states import Case

_RECEIVED = " received"
"""The end of the cause of the step `received`; before it stands the name of the file."""


@dataclass(frozen=True)
class Receipt:
    """The first receipt of a team's submission.

    Attributes:
        number: Number of the log entry; zero or less for what a ledger of version 1 entered.
        at: When, in UTC.
        name: File name of the submission; empty if it is not known.
    """

    number: int
    at: str
    name: str


def read_receipts(database: Database) -> dict[Case, Receipt]:
    """The first receipt of every submission, by the name under which its team sent it; the oldest first."""
    # Each `moved` entry writes one step, and steps are numbered without a gap: the n-th such entry wrote step n.
    moved = database.read(
        "SELECT number FROM log WHERE kind = 'moved' ORDER BY number", make=lambda row: row[0]
    )
    steps = database.read(
        "SELECT team, submission, challenge, min(number), at, cause FROM steps"
        " GROUP BY team, submission, challenge",
        make=lambda row: (
            Case(*row[:3]),
            Receipt(
                moved[row[3] - 1] if row[3] <= len(moved) else len(moved) + row[3],
                row[4],
                row[5].removesuffix(_RECEIVED) if row[5].endswith(_RECEIVED) else "",
            ),
        ),
    )
    entries = database.read(
        "SELECT team, submission, challenge, arrived, entered, name FROM entries",
        make=lambda row: (Case(*row[:3]), Receipt(*row[3:])),
    )
    names = {case: receipt.name for case, receipt in entries}
    ordered = sorted([*steps, *entries], key=lambda one: one[1].number)
    found: dict[Case, Receipt] = {}
    for case, receipt in ordered:
        found.setdefault(case, Receipt(receipt.number, receipt.at, names.get(case) or receipt.name))
    return found
