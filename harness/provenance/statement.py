"""`statement.json`: an in-toto Statement v1 with the test-result predicate v0.1, over scores and submission.

The predicate's tests are the examples: passed if all values are defined, warned if some are not because their
reference is silent, failed if there is no score. So are the audits: passed if both engines agree, failed if they do
not, or if the stem was drawn and not checked. It is made from `scores.csv` and `run.json` only, so that whoever has
these two can make it again.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.ledger.audits import Stem
from harness.ledger.entities import StoredExample
from harness.provenance.record import AnyRecord

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://in-toto.io/attestation/test-result/v0.1"

Result = Literal["PASSED", "WARNED", "FAILED"]
Names = tuple[Annotated[str, Field(max_length=1000)], ...]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Resource(_Frozen):
    """The fields of in-toto's ResourceDescriptor that are used here."""

    name: Annotated[str, Field(max_length=1000)]
    digest: dict[str, str]


class Predicate(_Frozen):
    """The test-result predicate; its field names come from the specification."""

    result: Result
    configuration: tuple[Resource, ...]
    passedTests: Names  # noqa: N815
    warnedTests: Names  # noqa: N815
    failedTests: Names  # noqa: N815


class Statement(_Frozen):
    """The in-toto Statement."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(STATEMENT_TYPE, alias="_type")
    subject: tuple[Resource, ...]
    predicateType: Literal["https://in-toto.io/attestation/test-result/v0.1"] = PREDICATE_TYPE  # noqa: N815
    predicate: Predicate


def make_statement(
    record: AnyRecord, examples: dict[tuple[str, str], StoredExample], *, scores: str, run: str
) -> Statement:
    """Makes the statement about a bundle.

    Args:
        record: `run.json`.
        examples: The contents of `scores.csv`.
        scores: SHA-256 of `scores.csv`.
        run: SHA-256 of `run.json`.
    """
    tests: dict[str, list[str]] = {"passed": [], "warned": [], "failed": []}
    for song in record.challenge.songs:
        for listener in record.challenge.listeners:
            example = examples.get((song, listener))
            if example is None or example.score is None:
                outcome = "failed"
            else:
                outcome = "warned" if example.undefined else "passed"
            tests[outcome].append(f"{song} for {listener}")
    progress = record.audit_progress(examples)
    for audit in record.audits:
        stem = (audit.song, audit.listener, audit.stem)
        tests["failed" if stem in progress.failed else "passed"].append(_audit_name(stem))
    tests["failed"] += [_audit_name(stem) for stem in progress.missing]
    result: Result = "PASSED"
    if tests["failed"] or record.scores.disqualified:
        result = "FAILED"
    elif tests["warned"] or not record.scorer.locked:
        result = "WARNED"
    configuration = [Resource(name="run.json", digest={"sha256": run})]
    if record.scorer.scorer_digest:
        configuration.append(
            Resource(name="harness/scorer.lock", digest={"sha256": record.scorer.scorer_digest})
        )
    return Statement(
        _type=STATEMENT_TYPE,
        subject=(
            Resource(name="scores.csv", digest={"sha256": scores}),
            Resource(name=record.submission.name, digest={"sha256": record.submission.sha256}),
        ),
        predicate=Predicate(
            result=result,
            configuration=tuple(configuration),
            passedTests=tuple(tests["passed"]),
            warnedTests=tuple(tests["warned"]),
            failedTests=tuple(tests["failed"]),
        ),
    )


def _audit_name(stem: Stem) -> str:
    song, listener, name = stem
    return f"audit of {name} of {song} for {listener}" if name else "audit of a stem that is not recorded"
