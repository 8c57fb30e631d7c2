"""The baselines' stored scores, and whether the line still gives them: songs, enhancement, both engines.

`submissions/baselines/` holds the scores of `oracle`, `mixture` and `trained` (a small Open-Unmix trained on the
spot) on the demo challenge, by pyclarity 0.3.2 in the image, and in `made.json` what made them. With the real
MUSDB18-HQ the challenge's own baselines are held against their published figures.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from harness.baselines.drift import (
    OTHER_CPU,
    PUBLISHED,
    SAME_BITS,
    Comparison,
    PublishedDifference,
    compare,
    compare_published,
)
from harness.baselines.synthetic import make_challenge
from harness.enhance import Separator, enhance, load_separator
from harness.enhance.neural import lacking_openunmix
from harness.enhance.track import Track
from harness.enhance.training import train_openunmix
from harness.ledger.ledger import Key, Ledger, Roster, Scorer, StoredExample
from harness.protocol.errors import HarnessError, SetupError
from harness.protocol.lock import HARNESS
from harness.protocol.records import Engine
from harness.ranking.render import write_atomically
from harness.ranking.scores import read_scores, write_scores
from harness.sandbox.contract import Sandbox
from harness.score.conductor import Outcome, Request, roster_of, score, submission_digest
from validator import Challenge

TRAINED = "trained"
"""A small Open-Unmix, trained on songs that are not scored; it needs PyTorch."""

NAMES = ("oracle", "mixture", TRAINED)
"""The ceiling, the floor, and a network in between."""

PUBLISHED_NAMES = ("demucs", "openunmix")
"""The challenge's own baselines."""

ENGINES: tuple[Engine, ...] = ("fast", "pyclarity")
MADE = "made.json"

_TRAINING_SONGS = 1000  # seed of the songs that `trained` learns from; the scored ones have 0
_WIDTH = 16  # of the small Open-Unmix
_STEPS = 10

Say = Callable[[str], None]
Told = Callable[[int, int, str], None]
Examples = dict[tuple[str, str], StoredExample]


@dataclass(frozen=True)
class Regression:
    """One baseline by one engine, against its stored scores.

    Attributes:
        name: The baseline.
        engine: Which HAAQI scored.
        comparison: What moved; None where the baseline could not be made here.
        skipped: Why it could not be.
    """

    name: str
    engine: Engine
    comparison: Comparison | None
    skipped: str = ""

    @property
    def steady(self) -> bool:
        """Whether nothing moved; a baseline that was skipped has not."""
        return self.comparison is None or self.comparison.steady

    def lines(self) -> list[str]:
        """For a reader: what it is, then the verdict and what moved."""
        if self.comparison is None:
            return [f"{self.name}, engine {self.engine}: skipped. {self.skipped}"]
        return [f"{self.name}, engine {self.engine}:", *self.comparison.lines()]


def folder() -> Path:
    """Where the stored scores lie: in a clone, or inside an installed package."""
    for place in (HARNESS.parent / "submissions" / "baselines", HARNESS / "baselines" / "scores"):
        if place.is_dir():
            return place
    raise SetupError(
        "The stored scores of the baselines are not here.",
        hint="Restore submissions/baselines from version control, or install cad1-harness anew.",
    )


def regress(
    work: Path,
    sandbox: Sandbox,
    *,
    workers: int,
    say: Say,
    progress: Told,
    names: Sequence[str] = NAMES,
    engines: Sequence[Engine] = ENGINES,
) -> list[Regression]:
    """Enhances and scores the baselines on the demo challenge with both engines, and compares every value.

    Args:
        work: An empty folder for songs, zips and a store of its own.
        sandbox: Where to score.
        workers: Threads and sandboxes at a time.
        say: Gets a line now and then.
        progress: Told of every scored example.
        names: Which baselines, of `NAMES`.
        engines: By which HAAQI.

    Raises:
        HarnessError: Whatever keeps a baseline from being scored; `trained` is skipped where PyTorch is missing.
    """
    stored = folder()
    challenge = Challenge.load(make_challenge(work / "data"), split="test")
    roster = roster_of(challenge)
    found = []
    for name in names:
        skipped = lacking_openunmix() if name == TRAINED else ""
        if skipped:
            say(f"{name} is skipped. {skipped}")
            found += [Regression(name, engine, None, skipped) for engine in engines]
            continue
        expected = {
            (one.song, one.listener): one.values for one in read_scores(stored / f"{name}.csv", roster)
        }
        for engine in engines:
            examples, locked = _score(
                challenge, name, work=work, sandbox=sandbox, engine=engine, workers=workers, progress=progress
            )
            scores = {key: example.values for key, example in examples.items()}
            tolerance = SAME_BITS if locked and name != TRAINED else OTHER_CPU
            comparison = compare(expected, scores, tolerance=tolerance)
            say(f"{name}, engine {engine}: {comparison.lines()[0]}")
            found.append(Regression(name, engine, comparison))
    return found


def update(work: Path, sandbox: Sandbox, *, workers: int, progress: Told) -> Path:
    """Stores what pyclarity itself scores now as the baselines' scores: all of them, or none.

    Returns:
        The folder.

    Raises:
        SetupError: PyTorch is missing, or the environment is not the locked one.
        HarnessError: Whatever keeps a baseline from being scored.
    """
    if reason := lacking_openunmix():
        raise SetupError(
            f"The baseline {TRAINED} cannot be made here, and scores are stored for all or none. {reason}",
            hint="In a clone, `make torch` installs what it needs.",
        )
    target = HARNESS.parent / "submissions" / "baselines"
    challenge = Challenge.load(make_challenge(work / "data"), split="test")
    roster = roster_of(challenge)
    environment = sandbox.prepare()
    if not environment.locked:
        raise SetupError(
            "Baseline scores can only be stored from the locked environment.",
            hint="Use Docker, or install Python 3.11.",
        )
    scored = {
        name: _score(
            challenge,
            name,
            work=work,
            sandbox=sandbox,
            engine="pyclarity",
            workers=workers,
            progress=progress,
        )[0]
        for name in NAMES
    }
    for name, examples in scored.items():
        write_atomically(target / f"{name}.csv", write_scores(roster, examples))
    made = {
        "engine": "pyclarity",
        "scorer": environment.scorer_digest,
        "challenge": roster.digest,
        "sandbox": environment.sandbox,
        "base_image": environment.base_image,
        "enhancement": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "soundfile", "soxr", "torch", "openunmix")},
        },
    }
    write_atomically(target / MADE, json.dumps(made, indent=1) + "\n")
    return target


def published(
    data: Path, work: Path, sandbox: Sandbox, *, workers: int, say: Say, progress: Told
) -> dict[str, list[PublishedDifference]]:
    """Runs the challenge's own baselines on the real validation set and compares them with what was published.

    This takes days of CPU time. Run again with the same `work`, it goes on where it was stopped, unless the
    enhancement has changed since.

    Args:
        data: The data root with MUSDB18-HQ.
        work: A folder for submissions and scores.
        sandbox: Where to score, by the fast engine.
        workers: Threads and sandboxes at a time.
        say: Gets a line now and then.
        progress: Told of every example.

    Raises:
        SetupError: None of the songs has a published figure, or weights or PyTorch cannot be had.
        HarnessError: Whatever keeps a baseline from being scored.
    """
    challenge = Challenge.load(data, split="valid")
    known = set().union(*(PUBLISHED[name].songs for name in PUBLISHED_NAMES))
    if known.isdisjoint(song.name for song in challenge.songs):
        raise SetupError(
            f"None of the {len(challenge.songs)} songs of split valid in {data} has published scores.",
            hint="Give the data root with the real MUSDB18-HQ and the challenge's metadata.",
        )
    place = work / f"enhanced-{_enhancement()}"
    found = {}
    for name in PUBLISHED_NAMES:
        examples, _ = _score(
            challenge, name, work=place, sandbox=sandbox, engine="fast", workers=workers, progress=progress
        )
        found[name] = compare_published(name, {key: example.values for key, example in examples.items()})
        say(f"{name}: {found[name][0]}")
    return found


def _enhancement() -> str:
    """The start of the SHA-256 over the sources that make a submission: a zip of other sources is not reused."""
    digest = hashlib.sha256()
    for path in sorted((HARNESS / "enhance").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _separator(name: str, work: Path) -> str | Separator:
    """What separates for a baseline; the small Open-Unmix is trained first, on songs of its own."""
    if name != TRAINED:
        return name
    songs = Challenge.load(
        make_challenge(work / "training", split="valid", seed=_TRAINING_SONGS), split="valid"
    ).songs
    weights = train_openunmix(
        [Track(song) for song in songs], target=work / f"{name}.pth", hidden=_WIDTH, steps=_STEPS
    )
    return load_separator("openunmix", weights=weights, device="cpu")


def _score(
    challenge: Challenge,
    name: str,
    *,
    work: Path,
    sandbox: Sandbox,
    engine: Engine,
    workers: int,
    progress: Told,
) -> tuple[Examples, bool]:
    """Enhances and scores; the examples, and whether they come from the locked environment."""
    archive = work / f"submission_{name}.zip"
    if not archive.is_file():
        separator = _separator(name, work)
        enhance(challenge, separator=separator, output=work, team=name, workers=workers, progress=progress)
    request = Request(
        submission=archive,
        challenge=challenge,
        selected=challenge,
        team=name,
        store=work / "store",
        engine=engine,
        workers=workers,
        audits=0,  # both engines score everything here
    )
    outcome = score(request, sandbox, progress=progress)
    _must_be_complete(name, outcome)
    environment = sandbox.prepare()
    roster: Roster = roster_of(challenge)
    key = Key(
        submission_digest(archive),
        roster.digest,
        Scorer(environment.scorer_digest, engine, environment.locked),
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
