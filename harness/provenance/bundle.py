"""One file that documents how a score was made: written from the ledger, checked against itself and a key.

A bundle is a zip of `scores.csv`, `run.json`, `statement.json` and, if signed, `statement.dsse.json`. It is made
from the ledger only: the same ledger gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ValidationError

from harness.ledger.entities import Entry, Roster, StoredExample
from harness.ledger.ledger import Ledger
from harness.protocol.aggregation import mean
from harness.protocol.errors import SetupError, SubmissionError, UsageError
from harness.protocol.lock import sha256
from harness.provenance.envelope import check_key, check_signature, sign
from harness.provenance.packing import (
    ENVELOPE,
    ArchiveError,
    first_error,
    pack,
    read_bundle,
    unpack,
)
from harness.provenance.record import AnyRecord, Record, make_record, parse_record
from harness.provenance.statement import make_statement
from harness.ranking.counting import counted_entry
from harness.ranking.files import write_atomically
from harness.ranking.scores import parse_scores, write_scores
from validator.challenge.rules import CAD1, SEED_RULE


def export(
    store: Path, team: str, *, split: str | None, output: Path | None, key: Path | None = None
) -> Path:
    """Writes the bundle of the submission of a team that counts.

    Args:
        store: Folder of the store; it is only read.
        team: The team's name.
        split: Only submissions to this split; to any with None.
        output: A file, or a folder for `TEAM_SPLIT.cad1.zip`; the current folder if None.
        key: File of an ed25519 private key in PEM, which signs the bundle.

    Returns:
        The path of the bundle.

    Raises:
        UsageError: The team has no submission there, none counts, the key is not valid, or the output is
            another file.
        SetupError: There is no ledger, the bundle can't be written, or the libraries for signing are not installed.
    """
    with Ledger(store, read_only=True) as ledger, ledger.snapshot():
        entry, roster, _ = counted_entry(ledger, team, split=split)
        members = make_members(ledger, entry, roster)
    if key is not None:
        members[ENVELOPE] = sign(members["statement.json"], key)
    name = f"{team}_{roster.split}.cad1.zip"
    path = Path(name) if output is None else output / name if output.is_dir() else output
    bundle = pack(members)
    if not _holds(path, bundle):
        write_atomically(path, bundle)
    return path


def _holds(path: Path, bundle: bytes) -> bool:
    """Whether a file has these bytes already; False if there is none.

    Raises:
        UsageError: There is another file, which is not overwritten.
    """
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return False
    if found != bundle:
        raise UsageError(
            f"{path} exists and is not this bundle; it was not overwritten.",
            hint="Give another `--output`, or move the file away first.",
        )
    return True


def make_members(ledger: Ledger, entry: Entry, roster: Roster) -> dict[str, bytes]:
    """The three unsigned members."""
    try:
        record = make_record(ledger, entry, roster)
    except ValidationError as error:
        raise SetupError(
            f"The ledger {ledger.path} holds something that no bundle may hold: {first_error(error)}.",
            hint="`cad1 verify` lists the damage.",
        ) from error
    return _members(record, ledger.examples(entry.key), roster)


def _members(
    record: AnyRecord, examples: Mapping[tuple[str, str], StoredExample], roster: Roster
) -> dict[str, bytes]:
    scores, run = write_scores(roster, examples).encode(), _render(record)
    statement = make_statement(record, dict(examples), scores=sha256(scores), run=sha256(run))
    return {"scores.csv": scores, "run.json": run, "statement.json": _render(statement)}


def _render(model: BaseModel) -> bytes:
    content = model.model_dump(mode="json", by_alias=True)
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def verify_bundle(path: Path, *, key: Path | None = None) -> list[str]:
    """Checks a bundle against itself and against a key.

    Every byte must follow from the bundle's own scores and run record: averages, statement and zip are computed
    again and compared. Only a signature, checked with a key from another source, proves who made it.

    Args:
        path: The bundle.
        key: File of the signer's ed25519 public key in PEM; without it, a signature is not required or checked.

    Returns:
        The problems, one sentence each; empty if the bundle is verified.

    Raises:
        UsageError: The bundle or the key can't be read.
        SetupError: The libraries for signatures are not installed.
    """
    try:
        members = unpack(read_bundle(path))
    except ArchiveError as error:
        return [f"{path.name} {error}."]
    problems = _check_contents(members)
    if ENVELOPE in members:
        problems += check_signature(members[ENVELOPE], members["statement.json"], key=key)
    elif key is not None:
        check_key(key)
        problems.append(f"{path.name} is not signed.")
    return problems


def _check_contents(members: Mapping[str, bytes]) -> list[str]:
    try:
        record = parse_record(members["run.json"])
    except ArchiveError as error:
        return [f"run.json {error}."]
    challenge = record.challenge
    roster = Roster(challenge.digest, challenge.split, challenge.songs, challenge.listeners)
    if _names_length(roster) > len(members["statement.json"]):
        return ["statement.json is too short to list every example of run.json."]
    if len(set(roster.examples)) != len(roster.examples):
        return ["run.json names a song or a listener twice."]
    try:
        text = members["scores.csv"].decode()
        found = parse_scores(text, roster, name="scores.csv", complete=False)
    except UnicodeDecodeError:
        return ["scores.csv is not UTF-8 text."]
    except SubmissionError as error:
        return [error.message]
    examples = {(one.song, one.listener): _with_audio(one, record) for one in found}
    problems = [*_check_record(record, examples)]
    for name, content in _members(record, examples, roster).items():
        if members[name] != content:
            problems.append(f"{name} does not follow from the bundle's scores and run record.")
    return problems


def _names_length(roster: Roster) -> int:
    """At least so many bytes has a statement, which names every example; computed without making the examples."""
    songs, listeners = len(roster.songs), len(roster.listeners)
    return (
        listeners * sum(map(len, roster.songs))
        + songs * sum(map(len, roster.listeners))
        + songs * listeners * len('" for ",\n')
    )


def _with_audio(example: StoredExample, record: AnyRecord) -> StoredExample:
    """An example of scores.csv with the digest of its audio, which is in the run record."""
    if not isinstance(record, Record):
        return example
    return replace(example, audio=record.audio.get(example.song, {}).get(example.listener, ""))


def _check_record(record: AnyRecord, examples: Mapping[tuple[str, str], StoredExample]) -> list[str]:
    """Checks what the run record states about the scores against the scores."""
    scores, problems = record.scores, []
    total = len(record.challenge.songs) * len(record.challenge.listeners)
    average = mean(one.score for one in examples.values()) if len(examples) == total else None
    undefined = sum(one.undefined for one in examples.values())
    if (scores.examples, scores.total, scores.undefined) != (len(examples), total, undefined):
        problems.append("run.json gives another number of examples than scores.csv.")
    if scores.average != average:
        problems.append(f"run.json gives the average {scores.average!r} but scores.csv gives {average!r}.")
    if record.seeds != {song: CAD1.seed(song) for song in record.challenge.songs}:
        problems.append(f"run.json gives seeds that do not follow from {SEED_RULE}.")
    difference = max((abs(one.fast - one.pyclarity) for one in record.audits), default=None)
    if record.greatest_difference != difference:
        problems.append("run.json gives another greatest difference than its audits.")
    if isinstance(record, Record):
        problems += _check_audio(record, examples)
    return problems


def _check_audio(record: Record, examples: Mapping[tuple[str, str], StoredExample]) -> Iterator[str]:
    """Checks that audits and digests are about what scores.csv has."""
    for audit in record.audits:
        example = examples.get((audit.song, audit.listener))
        if example is None or example.values.get(audit.stem) != audit.fast:
            yield (
                f"run.json's audit of {audit.stem} of {audit.song} for {audit.listener} is about another value "
                "than the one in scores.csv."
            )
    digests = {(song, listener) for song, found in record.audio.items() for listener in found}
    if not digests <= set(examples) or not set(record.references) <= set(record.challenge.songs):
        yield "run.json gives digests of audio that is not part of what was scored."
