"""The baselines' stored scores, and whether the line still gives them: songs, enhancement, both engines.

`submissions/baselines/` holds the scores of `oracle` and `mixture` on the demo challenge, by pyclarity 0.3.2 in the
image, and in `made.json` what made them. With the real MUSDB18-HQ the challenge's own baselines are held against
their published figures.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.enhance import enhance
from harness.errors import HarnessError, SetupError
from harness.lock import HARNESS
from harness.ranking.ledger import Key, Ledger, Roster, Scorer, StoredExample
from harness.ranking.page import write_atomically
from harness.ranking.scores import read_scores, write_scores
from harness.records import Engine
from harness.regress import OTHER_CPU, SAME_BITS, Comparison, PublishedDifference, compare, compare_published
from harness.sandbox.base import Sandbox
from harness.score import Outcome, Request, roster_of, score, submission_digest
from harness.synthetic import make_challenge
from validator import Challenge

NAMES = ("oracle", "mixture")
"""The ceiling and the floor: they need no model."""

ENGINES: tuple[Engine, ...] = ("fast", "pyclarity")
MADE = "made.json"

Say = Callable[[str], None]
Told = Callable[[int, int, str], None]
Examples = dict[tuple[str, str], StoredExample]


@dataclass(frozen=True)
class Regression:
    """One baseline by one engine, against its stored scores."""

    name: str
    engine: Engine
    comparison: Comparison


def folder() -> Path:
    """Where the stored scores lie: in a clone, or inside an installed package."""
    for place in (HARNESS.parent / "submissions" / "baselines", HARNESS / "baselines"):
        if place.is_dir():
            return place
    raise SetupError(
        "The stored scores of the baselines are not here.",
        hint="Restore submissions/baselines from version control, or install cad1-harness anew.",
    )


def regress(work: Path, sandbox: Sandbox, *, workers: int, say: Say, progress: Told) -> list[Regression]:
    """Enhances and scores the baselines on the demo challenge with both engines, and compares every value.

    Args:
        work: An empty folder for songs, zips and a store of its own.
        sandbox: Where to score.
        workers: Threads and sandboxes at a time.
        say: Gets a line now and then.
        progress: Told of every scored example.

    Raises:
        HarnessError: Whatever keeps a baseline from being scored.
    """
    stored = folder()
    challenge = Challenge.load(make_challenge(work / "data"), split="test")
    roster = roster_of(challenge)
    found = []
    for name in NAMES:
        expected = {
            (one.song, one.listener): one.values for one in read_scores(stored / f"{name}.csv", roster)
        }
        for engine in ENGINES:
            examples, locked = _score(
                challenge, name, work=work, sandbox=sandbox, engine=engine, workers=workers, progress=progress
            )
            scores = {key: example.values for key, example in examples.items()}
            tolerance = SAME_BITS if locked else OTHER_CPU
            comparison = compare(expected, scores, tolerance=tolerance)
            say(f"{name}, engine {engine}: {comparison.lines()[0]}")
            found.append(Regression(name, engine, comparison))
    return found


def update(work: Path, sandbox: Sandbox, *, workers: int, progress: Told) -> Path:
    """Stores what pyclarity itself scores now as the baselines' scores; returns the folder."""
    target = HARNESS.parent / "submissions" / "baselines"
    challenge = Challenge.load(make_challenge(work / "data"), split="test")
    roster = roster_of(challenge)
    environment = sandbox.prepare()
    for name in NAMES:
        examples, locked = _score(
            challenge,
            name,
            work=work,
            sandbox=sandbox,
            engine="pyclarity",
            workers=workers,
            progress=progress,
        )
        if not locked:
            raise SetupError(
                "Baseline scores can only be stored from the locked environment.",
                hint="Use Docker, or install Python 3.11.",
            )
        write_atomically(target / f"{name}.csv", write_scores(roster, examples))
    made = {
        "engine": "pyclarity",
        "scorer": environment.scorer,
        "challenge": roster.digest,
        "sandbox": environment.sandbox,
        "base_image": environment.base_image,
    }
    write_atomically(target / MADE, json.dumps(made, indent=1) + "\n")
    return target


def published(
    data: Path, work: Path, sandbox: Sandbox, *, workers: int, progress: Told
) -> dict[str, list[PublishedDifference]]:
    """Runs the challenge's own baselines on the real validation set and compares them with what was published."""
    challenge = Challenge.load(data, split="valid")
    found = {}
    for name in ("demucs", "openunmix"):
        examples, _ = _score(
            challenge, name, work=work, sandbox=sandbox, engine="fast", workers=workers, progress=progress
        )
        found[name] = compare_published(name, {key: example.values for key, example in examples.items()})
    return found


def _score(
    challenge: Challenge,
    separator: str,
    *,
    work: Path,
    sandbox: Sandbox,
    engine: Engine,
    workers: int,
    progress: Told,
) -> tuple[Examples, bool]:
    """Enhances and scores; the examples, and whether they come from the locked environment."""
    archive = work / f"submission_{separator}.zip"
    if not archive.is_file():
        enhance(
            challenge, separator=separator, output=work, team=separator, workers=workers, progress=progress
        )
    request = Request(
        submission=archive,
        challenge=challenge,
        selected=challenge,
        team=separator,
        store=work / "store",
        engine=engine,
        workers=workers,
        audits=0,  # both engines score everything here
    )
    outcome = score(request, sandbox, progress=progress)
    _must_be_complete(separator, outcome)
    environment = sandbox.prepare()
    roster: Roster = roster_of(challenge)
    key = Key(
        submission_digest(archive), roster.digest, Scorer(environment.scorer, engine, environment.locked)
    )
    with Ledger(work / "store", read_only=True) as ledger:
        return ledger.examples(key), environment.locked


def _must_be_complete(name: str, outcome: Outcome) -> None:
    fault: HarnessError
    for fault in outcome.faults:
        raise fault
    problems = [*outcome.report.findings, *outcome.findings] if outcome.average is None else []
    if problems:
        raise SetupError(
            f"The baseline {name} was refused: "
            + "; ".join(f"{one.path}: {one.message}" for one in problems[:5]),
            hint="A change of the enhancement or of the validator is the likely cause.",
        )
