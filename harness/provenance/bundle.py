"""One file that says how a score was made: written from the ledger, and held to itself and to a key.

A bundle is a zip of `scores.csv`, `run.json`, `statement.json` and, if signed, `statement.dsse.json`. It is made of
nothing but the ledger: the same ledger gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ValidationError

from harness.ledger.entities import Entry, Roster, StoredExample, mean
from harness.ledger.ledger import Ledger
from harness.protocol.errors import SetupError, SubmissionError
from harness.protocol.lock import sha256
from harness.provenance import envelope
from harness.provenance.packing import ENVELOPE, ArchiveError, pack, read, unpack
from harness.provenance.record import Record, record_of
from harness.provenance.statement import make_statement
from harness.ranking.render import write_atomically
from harness.ranking.scores import entries_of, parse_scores, write_scores
from validator.challenge.rules import CAD1, SEED_RULE


def export(
    ledger: Ledger, team: str, *, split: str | None, output: Path | None, key: Path | None = None
) -> Path:
    """Writes the bundle of a team's submission: its latest complete one, else its latest.

    Args:
        ledger: The scores.
        team: Whose.
        split: Of which split; of any if None.
        output: A file, or a folder for `TEAM_SPLIT.cad1.zip`; the current folder if None.
        key: Signs it: an ed25519 private key in PEM.

    Returns:
        Where it was written.

    Raises:
        UsageError: If the team has entered nothing there, or the key is none.
        SetupError: If it can't be written, or the libraries for signing are not installed.
    """
    with ledger.snapshot():
        entry, roster = choose(ledger, team, split=split)
        members = make_members(ledger, entry, roster)
    if key is not None:
        members[ENVELOPE] = envelope.sign(members["statement.json"], key)
    name = f"{team}_{roster.split}.cad1.zip"
    path = Path(name) if output is None else output / name if output.is_dir() else output
    write_atomically(path, pack(members))
    return path


def choose(ledger: Ledger, team: str, *, split: str | None) -> tuple[Entry, Roster]:
    """The entry that stands for a team: the latest complete one that we scored, else one that it reported itself.

    Raises:
        UsageError: If it has none.
    """
    rosters = ledger.rosters()
    entries = entries_of(ledger, team, split=split)

    def rank(entry: Entry) -> tuple[bool, bool]:
        have = ledger.examples(entry.key)
        return all(one in have for one in rosters[entry.key.challenge].examples), entry.kind == "scored"

    best = max(enumerate(entries), key=lambda one: (rank(one[1]), one[0]))[1]
    return best, rosters[best.key.challenge]


def make_members(ledger: Ledger, entry: Entry, roster: Roster) -> dict[str, bytes]:
    """The three unsigned members."""
    try:
        record = record_of(ledger, entry, roster)
    except ValidationError as error:
        raise SetupError(
            f"The ledger {ledger.path} holds something that no bundle may hold: {_first(error)}.",
            hint="`cad1 verify` says what is damaged.",
        ) from error
    return _members(record, ledger.examples(entry.key), roster)


def _members(
    record: Record, examples: Mapping[tuple[str, str], StoredExample], roster: Roster
) -> dict[str, bytes]:
    scores, run = write_scores(roster, examples).encode(), _render(record)
    statement = make_statement(record, dict(examples), scores=sha256(scores), run=sha256(run))
    return {"scores.csv": scores, "run.json": run, "statement.json": _render(statement)}


def _render(model: BaseModel) -> bytes:
    content = model.model_dump(mode="json", by_alias=True)
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def verify(path: Path, *, key: Path | None = None) -> list[str]:
    """Holds a bundle to itself and to a key.

    Every byte must be what the bundle's own scores and run record give: averages, statement and zip are made anew
    and compared. Only a signature, checked with a key from elsewhere, says who made it.

    Args:
        path: The bundle.
        key: The ed25519 public key, in PEM, of whoever must have signed it; without one, a signature is not asked
            for and not checked.

    Returns:
        What does not fit, one sentence each; empty where everything does.

    Raises:
        UsageError: If the bundle or the key can't be read.
        SetupError: If the libraries for signatures are not installed.
    """
    try:
        members = unpack(read(path))
    except ArchiveError as error:
        return [f"{path.name} {error}."]
    problems = _check_contents(members)
    if ENVELOPE in members:
        problems += envelope.check(members[ENVELOPE], members["statement.json"], key=key)
    elif key is not None:
        envelope.check_key(key)
        problems.append(f"{path.name} is not signed.")
    return problems


def _first(error: ValidationError) -> str:
    """The first of what a model has found wrong: where, and what."""
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'the file'}: {first['msg']}"


def is_signed(path: Path) -> bool:
    """Whether a bundle carries a signature, checked or not; False for what is no bundle."""
    try:
        return ENVELOPE in unpack(read(path))
    except ArchiveError:
        return False


def _check_contents(members: Mapping[str, bytes]) -> list[str]:
    try:
        record = Record.model_validate_json(members["run.json"])
    except ValidationError as error:
        return [f"run.json is not of a bundle's form ({_first(error)})."]
    challenge = record.challenge
    roster = Roster(challenge.digest, challenge.split, challenge.songs, challenge.listeners)
    if len(set(roster.examples)) != len(roster.examples):
        return ["run.json names a song or a listener twice."]
    try:
        text = members["scores.csv"].decode()
        found = parse_scores(text, roster, name="scores.csv", complete=False)
    except UnicodeDecodeError:
        return ["scores.csv is not UTF-8 text."]
    except SubmissionError as error:
        return [error.message]
    examples = {(one.song, one.listener): one for one in found}
    problems = [*_check_record(record, examples)]
    for name, content in _members(record, examples, roster).items():
        if members[name] != content:
            problems.append(f"{name} is not what the bundle's scores and run record give.")
    return problems


def _check_record(record: Record, examples: Mapping[tuple[str, str], StoredExample]) -> list[str]:
    """Holds what the run record says of the scores to the scores."""
    scores, problems = record.scores, []
    total = len(record.challenge.songs) * len(record.challenge.listeners)
    average = mean(one.score for one in examples.values()) if len(examples) == total else None
    undefined = sum(one.undefined for one in examples.values())
    if (scores.examples, scores.total, scores.undefined) != (len(examples), total, undefined):
        problems.append("run.json counts other examples than scores.csv holds.")
    if scores.average != average:
        problems.append(f"run.json gives the average {scores.average!r} where scores.csv gives {average!r}.")
    if record.seeds != {song: CAD1.seed(song) for song in record.challenge.songs}:
        problems.append(f"run.json gives seeds that {SEED_RULE} does not.")
    difference = max((abs(one.fast - one.pyclarity) for one in record.audits), default=None)
    if record.greatest_difference != difference:
        problems.append("run.json gives another greatest difference than its audits.")
    return problems
