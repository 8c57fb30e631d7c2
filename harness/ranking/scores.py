"""`scores.csv`: written from the ledger, and read if a team computed it itself.

Header `song,listener,score,left_bass,…`; one row per example, songs in the metadata's order and, within a song,
listeners in theirs; floats in full precision (`repr`); an undefined value is an empty cell.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.ledger.entities import Roster, StoredExample
from harness.protocol.aggregation import mean
from harness.protocol.errors import SubmissionError, UsageError
from validator.challenge.rules import CAD1

MAX_BYTES = 16 * 2**20
"""2,597 rows of about 250 bytes are 650 kB."""

SCORE_TOLERANCE = 1e-9
"""How far a row's score may be from the mean of its values: the order of a sum moves it by 1e-16."""

MAX_PROBLEMS = 50
"""Problems that are listed; any others are counted."""


def _cell(value: float | None) -> str:
    return "" if value is None else repr(value)


def write_scores(roster: Roster, examples: Mapping[tuple[str, str], StoredExample]) -> str:
    """The text of scores.csv, of those examples of the roster that are scored."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CAD1.header)
    for key in roster.examples:
        if key in examples:
            example = examples[key]
            writer.writerow(
                [*key, _cell(example.score), *(_cell(example.values[name]) for name in CAD1.columns)]
            )
    return buffer.getvalue()


def read_scores(path: Path, roster: Roster) -> list[StoredExample]:
    """Reads a scores.csv that a team computed itself and checks every row; rows may be in any order.

    Raises:
        UsageError: There is no such file.
        SubmissionError: It is not a complete, valid scores.csv of this challenge; lists every problem.
    """
    return parse_scores(read_text(path), roster, name=path.name)


def read_text(path: Path) -> str:
    """The text of a scores.csv.

    Raises:
        UsageError: There is no such file.
        SubmissionError: It is too large or not UTF-8.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SubmissionError(f"{path.name} is larger than {MAX_BYTES} bytes; it can't be a scores.csv.")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SubmissionError(f"{path.name} is not UTF-8 text.", hint="Export it as CSV in UTF-8.") from error
    except OSError as error:
        raise UsageError(
            f"{path} can't be read: {error.strerror}.", hint="Give the path of scores.csv."
        ) from error


def parse_scores(text: str, roster: Roster, *, name: str, complete: bool = True) -> list[StoredExample]:
    """Parses the text of a scores.csv; returns its examples in the roster's order.

    Args:
        text: The text.
        roster: The challenge.
        name: Name of the file, for errors.
        complete: Whether every example must be there, with a score.

    Raises:
        SubmissionError: It is not a valid scores.csv of this challenge; lists every problem.
    """
    rows = _rows(text, name)
    _, header = next(rows, (1, ()))
    if header != CAD1.header:
        raise SubmissionError(
            f"{name}, line 1: expected the header {','.join(CAD1.header)}, found {','.join(header)[:200]!r}.",
            hint="Use the file that the challenge's recipe or `cad1 scores` writes.",
        )
    problems: list[str] = []
    unlisted = 0
    found: dict[tuple[str, str], StoredExample] = {}
    known = set(roster.examples)
    for number, row in rows:
        if not row:
            continue
        problem = _parse_row(row, known, found, empty=not complete)
        if problem and len(problems) < MAX_PROBLEMS:
            problems.append(f"line {number}: {problem}")
        elif problem:
            unlisted += 1
    missing = [example for example in roster.examples if example not in found]
    if missing and complete:
        names = "; ".join(f"{song} for {listener}" for song, listener in missing[:5])
        problems.append(f"{len(missing)} of {len(roster.examples)} examples are missing: {names}")
    if problems:
        more = f"; and {unlisted} more" if unlisted else ""
        raise SubmissionError(
            f"{name} is not a complete scores.csv of split {roster.split}: "
            + "; ".join(problems)
            + more
            + ".",
            hint="Fix these rows, or let `cad1 score` make the file.",
        )
    return [found[example] for example in roster.examples if example in found]


def _rows(text: str, name: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The lines of a CSV text, each with its number.

    Raises:
        SubmissionError: A line is not CSV, or a cell is larger than a CSV reader accepts.
    """
    reader = csv.reader(io.StringIO(text))
    try:
        for row in reader:
            yield reader.line_num, tuple(row)
    except csv.Error as error:
        raise SubmissionError(
            f"{name}, line {reader.line_num}: it is not CSV: {error}.",
            hint="Use the file that the challenge's recipe or `cad1 scores` writes.",
        ) from error


def _parse_row(
    row: tuple[str, ...],
    known: set[tuple[str, str]],
    found: dict[tuple[str, str], StoredExample],
    *,
    empty: bool,
) -> str:
    """Adds a row to `found`; returns its problem, or an empty string. `empty` allows rows without any value."""
    if len(row) != len(CAD1.header):
        return f"expected {len(CAD1.header)} cells, found {len(row)}"
    example = (row[0], row[1])
    if example not in known:
        return f"there is no example {row[0][:80]!r} for {row[1][:40]!r}"
    if example in found:
        return f"{row[0]} for {row[1]} appears twice"
    values: list[float | None] = []
    for name, cell in zip(CAD1.header[2:], row[2:], strict=True):
        value = _number(cell)
        if value is None and cell != "":
            return f"{name} must be a number from 0 to 1, found {cell[:40]!r}"
        values.append(value)
    score, named = values[0], dict(zip(CAD1.columns, values[1:], strict=True))
    average = mean(named.values())
    if average is None or score is None:
        good = empty and average is None and score is None
    else:
        good = abs(score - average) <= SCORE_TOLERANCE
    if not good:
        return f"score is {row[2][:40]!r} where the mean of its values is {average!r}"
    found[example] = StoredExample(*example, named)
    return ""


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and 0.0 <= value <= 1.0 else None
