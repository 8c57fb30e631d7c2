"""What the rows must be, whoever wrote them: known examples, values within HAAQI's range, valid steps."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from harness.ledger.entities import StoredExample
from harness.ledger.ledger import Ledger
from harness.ledger.log import canonical_json
from harness.ledger.schema import IDENTITY
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
    stored: dict[tuple[Any, ...], StoredExample] = {}
    yield from _check_examples(ledger, rows, stored)
    yield from _check_failures(rows)
    yield from _check_audits(rows, stored)
    for table in ("song_references", "examples", "audits"):
        column = "sha256" if table == "song_references" else "audio"
        for row in rows[table]:
            if not re.fullmatch("[0-9a-f]{64}", row[column]) and (row[column] or column == "sha256"):
                yield f"A row of the table {table} for {row['song']} has a digest that is not a SHA-256."
    yield from _check_steps(rows)
    yield from _check_decisions(rows)
    for key in {entry.key for entry in ledger.entries()}:
        ledger.run_details(key)  # raises a SetupError if a run's record is not valid


def _check_examples(
    ledger: Ledger, rows: Rows, stored: dict[tuple[Any, ...], StoredExample]
) -> Iterator[str]:
    """Adds the examples to `stored`, for the audits."""
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
        stored[_example_name(row)] = StoredExample(row["song"], row["listener"], values, row["audio"])


def _check_failures(rows: Rows) -> Iterator[str]:
    for row in rows["failures"]:
        if row["fault"] not in set(Fault):
            yield f"The failure of {row['song']} for {row['listener']} has an unknown cause ({row['fault']!r})."


def _example_name(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column] for column in IDENTITY["examples"])


def _check_audits(rows: Rows, stored: Mapping[tuple[Any, ...], StoredExample]) -> Iterator[str]:
    attempts: Counter[tuple[Any, ...]] = Counter()
    for row in rows["audits"]:
        name = f"The audit of {row['stem']} of {row['song']} for {row['listener']}"
        example = stored.get(_example_name(row))
        if not (_is_haaqi(row["fast"]) and _is_haaqi(row["pyclarity"])) or row["stem"] not in CAD1.columns:
            yield f"{name} does not hold two HAAQI of a stem."
        elif example is not None and example.values.get(row["stem"]) != row["fast"]:
            yield f"{name} has another value for the fast engine than the stored example."
        elif example is not None and example.audio not in {"", row["audio"]}:
            yield f"{name} was made of other audio than the stored example."
        stem = (*_example_name(row), row["stem"])
        attempts[stem] += 1
        if attempts[stem] != row["attempt"]:
            yield f"{name} has no attempt {attempts[stem]}, but a later one."


def _check_steps(rows: Rows) -> Iterator[str]:
    at: dict[tuple[Any, ...], State] = {}
    for row in rows["steps"]:
        case = (row["team"], row["submission"], row["challenge"])
        state = State(row["state"]) if row["state"] in set(State) else None
        if state is None or state not in TRANSITIONS[at.get(case)] or row["fault"] not in {"", *Fault}:
            yield f"The step {row['number']} of {row['team']} can't follow the one before it."
        if state is not None:
            at[case] = state


def _check_decisions(rows: Rows) -> Iterator[str]:
    known = {(row["team"], row["submission"], row["challenge"]) for row in [*rows["entries"], *rows["steps"]]}
    for row in rows["decisions"]:
        name = f"The decision {row['number']} about {row['team']}"
        if (row["team"], row["submission"], row["challenge"]) not in known:
            yield f"{name} is about a submission that was never received."
        if (row["kind"] == "renamed") != bool(row["name"]):
            yield f"{name} has a new name and renames nothing, or the other way round."
    for row in rows["policies"]:
        try:
            aware = not row["deadline"] or datetime.fromisoformat(row["deadline"]).tzinfo is not None
        except ValueError:
            aware = False
        if not aware:
            yield f"The policy {row['number']} has a deadline that is not a time ({row['deadline'][:80]!r})."


def _is_haaqi(value: object) -> bool:
    return isinstance(value, float) and 0.0 <= value <= 1.0
