"""What the rows must be, whoever wrote them: values within HAAQI's range, known examples, lawful ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.ledger.ledger import Ledger
from harness.ledger.states import FOLLOWS, State
from harness.protocol.errors import Fault
from validator.challenge.rules import CAD1

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def check_contents(ledger: Ledger, rows: Rows) -> Iterator[str]:
    """Says which rows can't be right, whatever the log says of them."""
    for table, other in ledger.strays():
        yield f"The table {table} refers to rows of the table {other} that are not there."
    yield from _check_examples(ledger, rows)
    yield from _check_failures(rows)
    yield from _check_audits(rows)
    yield from _check_ways(rows)
    for key in {entry.key for entry in ledger.entries()}:
        ledger.run_details(key)  # raises where a run's record is none


def _check_examples(ledger: Ledger, rows: Rows) -> Iterator[str]:
    known = {digest: set(roster.examples) for digest, roster in ledger.rosters().items()}
    for row in rows["examples"]:
        place = f"{row['song']} for {row['listener']} of submission {str(row['submission'])[:12]}"
        if (row["song"], row["listener"]) not in known.get(row["challenge"], set()):
            yield f"{place} is an example that its challenge has not."
        for column in CAD1.columns:
            if row[column] is not None and not _is_haaqi(row[column]):
                yield f"{place}: {column} is {row[column]!r}, which is no HAAQI from 0 to 1."


def _check_failures(rows: Rows) -> Iterator[str]:
    for row in rows["failures"]:
        if row["fault"] not in set(Fault):
            yield f"The failure of {row['song']} for {row['listener']} is by nobody's fault ({row['fault']!r})."


def _check_audits(rows: Rows) -> Iterator[str]:
    def name(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row[column] for column in ("submission", "challenge", "scorer", "song", "listener"))

    fast = {name(row): row for row in rows["examples"] if row["engine"] == "fast" and row["locked"] == 1}
    for row in rows["audits"]:
        place = f"The audit of {row['stem']} of {row['song']} for {row['listener']}"
        if not (_is_haaqi(row["fast"]) and _is_haaqi(row["pyclarity"])) or row["stem"] not in CAD1.columns:
            yield f"{place} is no audit of a HAAQI."
        elif name(row) in fast and fast[name(row)][row["stem"]] != row["fast"]:
            yield f"{place} has another value for our engine than the stored example."


def _check_ways(rows: Rows) -> Iterator[str]:
    at: dict[tuple[Any, ...], State] = {}
    for row in rows["steps"]:
        case = (row["team"], row["submission"], row["challenge"])
        state = State(row["state"]) if row["state"] in set(State) else None
        if state is None or state not in FOLLOWS[at.get(case)] or row["fault"] not in {"", *Fault}:
            yield f"The step {row['number']} of {row['team']} can't follow the one before it."
        if state is not None:
            at[case] = state


def _is_haaqi(value: object) -> bool:
    return isinstance(value, float) and 0.0 <= value <= 1.0
