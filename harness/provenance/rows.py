"""What the rows must be, whoever wrote them: known examples, values within HAAQI's range, valid steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.ledger.ledger import Ledger
from harness.ledger.log import canonical_json
from harness.ledger.states import TRANSITIONS, State
from harness.ledger.values import parse_values
from harness.protocol.errors import Fault
from validator.challenge.rules import CAD1

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def check_contents(ledger: Ledger, rows: Rows) -> Iterator[str]:
    """Yields a sentence for each row that can't be right, whatever the log says.

    Args:
        ledger: The ledger.
        rows: Its rows by table and column, in the current version's form.
    """
    values: dict[tuple[Any, ...], dict[str, float | None]] = {}
    yield from _check_examples(ledger, rows, values)
    yield from _check_failures(rows)
    yield from _check_audits(rows, values)
    yield from _check_steps(rows)
    for key in {entry.key for entry in ledger.entries()}:
        ledger.run_details(key)  # raises a SetupError if a run's record is not valid


def _check_examples(
    ledger: Ledger, rows: Rows, audited: dict[tuple[Any, ...], dict[str, float | None]]
) -> Iterator[str]:
    """Also collects the values that an audit may be about: those of the locked fast engine."""
    known = {digest: set(roster.examples) for digest, roster in ledger.rosters().items()}
    for row in rows["examples"]:
        name = f"{row['song']} for {row['listener']} of submission {str(row['submission'])[:12]}"
        if (row["song"], row["listener"]) not in known.get(row["challenge"], set()):
            yield f"{name} is not an example of its challenge."
        try:
            values = parse_values(row["haaqi"])
        except (ValueError, TypeError) as error:
            yield f"{name}: {error}."
            continue
        if set(values) != set(CAD1.columns) or canonical_json(values) != row["haaqi"]:
            yield f"{name}: its values are not exactly {', '.join(CAD1.columns)} in canonical JSON."
        for column, value in values.items():
            if value is not None and not _is_haaqi(value):
                yield f"{name}: {column} is {value!r}, not a HAAQI from 0 to 1."
        if row["engine"] == "fast" and row["locked"] == 1:
            audited[_audit_name(row)] = values


def _check_failures(rows: Rows) -> Iterator[str]:
    for row in rows["failures"]:
        if row["fault"] not in set(Fault):
            yield f"The failure of {row['song']} for {row['listener']} has an unknown cause ({row['fault']!r})."


def _audit_name(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column] for column in ("submission", "challenge", "scorer", "song", "listener"))


def _check_audits(rows: Rows, values: Mapping[tuple[Any, ...], Mapping[str, float | None]]) -> Iterator[str]:
    for row in rows["audits"]:
        name = f"The audit of {row['stem']} of {row['song']} for {row['listener']}"
        if not (_is_haaqi(row["fast"]) and _is_haaqi(row["pyclarity"])) or row["stem"] not in CAD1.columns:
            yield f"{name} does not hold two HAAQI of a stem."
        elif _audit_name(row) in values and values[_audit_name(row)].get(row["stem"]) != row["fast"]:
            yield f"{name} has another value for the fast engine than the stored example."


def _check_steps(rows: Rows) -> Iterator[str]:
    at: dict[tuple[Any, ...], State] = {}
    for row in rows["steps"]:
        case = (row["team"], row["submission"], row["challenge"])
        state = State(row["state"]) if row["state"] in set(State) else None
        if state is None or state not in TRANSITIONS[at.get(case)] or row["fault"] not in {"", *Fault}:
            yield f"The step {row['number']} of {row['team']} can't follow the one before it."
        if state is not None:
            at[case] = state


def _is_haaqi(value: object) -> bool:
    return isinstance(value, float) and 0.0 <= value <= 1.0
