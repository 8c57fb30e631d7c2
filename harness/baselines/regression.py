"""The regression test of the baselines: makes and scores them again, and compares with the stored scores.

`submissions/baselines/` holds the scores of `oracle`, `mixture` and `trained` (a small Open-Unmix, trained in the
same run) on the demo challenge, computed by pyclarity 0.3.2 in the image; `made.json` lists the versions that made
them. With the real MUSDB18-HQ, the challenge's own baselines are compared with their published scores.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from harness.baselines.drift import OTHER_CPU, SAME_BITS, Comparison, compare
from harness.baselines.published import PUBLISHED, PublishedDifference, compare_published
from harness.baselines.synthetic import make_challenge
from harness.enhance import Separator, enhance, load_separator
from harness.enhance.neural import lacking_openunmix
from harness.enhance.track import Track
from harness.enhance.training import train_openunmix
from harness.protocol.errors import SetupError
from harness.protocol.lock import HARNESS
from harness.protocol.records import Engine
from harness.ranking.files import write_atomically
from harness.ranking.scores import read_scores, write_scores
from harness.score import Sandbox
from harness.score.conductor import score
from harness.score.request import LogCallback, Outcome, ProgressCallback, Request
from validator import Challenge
from validator.report.junit import Case

TRAINED = "trained"
"""A small Open-Unmix, trained on songs that are not scored; needs PyTorch."""

NAMES = ("oracle", "mixture", TRAINED)
"""The upper bound, the lower bound, and a network in between."""

PUBLISHED_NAMES = ("demucs", "openunmix")
"""The challenge's own baselines."""

ENGINES: tuple[Engine, ...] = ("fast", "pyclarity")
MADE = "made.json"

_TRAINING_SEED = 1000  # of the songs that `trained` is trained on; the scored songs have seed 0
_HIDDEN = 16  # hidden size of the small Open-Unmix
_STEPS = 10


@dataclass(frozen=True)
class Regression:
    """The scores of one baseline by one engine, compared with its stored scores.

    Attributes:
        name: The baseline.
        engine: Which HAAQI implementation scored.
        comparison: The differences; None if the baseline was skipped.
        skipped: The reason if it was skipped, else empty.
    """

    name: str
    engine: Engine
    comparison: Comparison | None
    skipped: str = ""

    @property
    def steady(self) -> bool:
        """Whether no score changed; true for a skipped baseline."""
        return self.comparison is None or self.comparison.steady

    def lines(self) -> list[str]:
        """The result as text: baseline and engine, the verdict, and what changed."""
        if self.comparison is None:
            return [f"{self.name}, engine {self.engine}: skipped. {self.skipped}"]
        return [f"{self.name}, engine {self.engine}:", *self.comparison.lines()]


@dataclass(frozen=True)
class Comparisons:
    """Everything that `cad1 regress` compares.

    Attributes:
        stored: The comparisons with the stored scores.
        published: For each of the challenge's own baselines the comparison with its published scores.
    """

    stored: tuple[Regression, ...]
    published: Mapping[str, Sequence[PublishedDifference]]

    @property
    def steady(self) -> bool:
        """Whether no score changed, and every published one is reached as far as is expected."""
        published = (one.expected for differences in self.published.values() for one in differences)
        return all(one.steady for one in self.stored) and all(published)

    def cases(self) -> list[Case]:
        """Each baseline and engine, and each song with a published score, as a test."""
        found = []
        for one in self.stored:
            lines = [] if one.comparison is None else one.comparison.lines()
            found.append(
                Case(
                    f"stored scores, engine {one.engine}",
                    one.name,
                    failure="" if one.steady else lines[0],
                    skipped=one.skipped,
                    detail="\n".join(lines),
                )
            )
        for name, differences in self.published.items():
            for difference in differences:
                text = str(difference)
                failure = "" if difference.expected else text
                song = difference.song or "average"
                found.append(Case(f"published scores, {name}", song, failure=failure, detail=text))
        return found


def folder() -> Path:
    """The folder of the stored scores, in a clone or in an installed package.

    Raises:
        SetupError: There is none.
    """
    for candidate in (HARNESS.parent / "submissions" / "baselines", HARNESS / "baselines" / "scores"):
        if candidate.is_dir():
            return candidate
    raise SetupError(
        "The stored scores of the baselines are missing.",
        hint="Restore submissions/baselines from version control, or reinstall cad1-harness.",
    )


def regress(
    work: Path,
    sandbox: Sandbox,
    *,
    workers: int,
    log: LogCallback,
    progress: ProgressCallback,
    names: Sequence[str] = NAMES,
    engines: Sequence[Engine] = ENGINES,
) -> list[Regression]:
    """Enhances and scores the baselines on the demo challenge with both engines, and compares every value.

    Args:
        work: An empty folder for songs, zips and a store.
        sandbox: Where to score.
        workers: Number of threads and of sandboxes that run at the same time.
        log: Called with a line before each baseline.
        progress: Called for every scored example.
        names: Which baselines, from `NAMES`; `trained` is skipped without PyTorch.
        engines: Which HAAQI implementations score.

    Raises:
        HarnessError: A baseline could not be scored.
    """
    stored = folder()
    challenge = Challenge.load(make_challenge(work / "data"), split="test")
    found = []
    for name in names:
        skipped = lacking_openunmix() if name == TRAINED else ""
        if skipped:
            found += [Regression(name, engine, None, skipped) for engine in engines]
            continue
        for engine in engines:
            log(f"Making and scoring {name} with engine {engine}.")
            outcome = _score(
                challenge, name, work=work, sandbox=sandbox, engine=engine, workers=workers, progress=progress
            )
            examples = read_scores(stored / f"{name}.csv", outcome.roster)
            expected = {(one.song, one.listener): one.values for one in examples}
            scores = {key: example.values for key, example in outcome.examples.items()}
            tolerance = SAME_BITS if outcome.locked and name != TRAINED else OTHER_CPU
            comparison = compare(expected, scores, tolerance=tolerance)
            found.append(Regression(name, engine, comparison))
    return found


def update(work: Path, sandbox: Sandbox, *, workers: int, progress: ProgressCallback) -> Path:
    """Scores the baselines with pyclarity and stores these scores: all of them, or none.

    Returns:
        The folder of the stored scores.

    Raises:
        SetupError: PyTorch is missing, or the environment is not the locked one.
        HarnessError: A baseline could not be scored.
    """
    if reason := lacking_openunmix():
        raise SetupError(
            f"Scores are stored for all baselines or none, and {TRAINED} cannot be made here. {reason}",
            hint="In a clone, `make torch` installs what it needs.",
        )
    target = HARNESS.parent / "submissions" / "baselines"
    challenge = Challenge.load(make_challenge(work / "data"), split="test")
    environment = sandbox.prepare()
    if not environment.locked:
        raise SetupError(
            "Baseline scores can only be stored from the locked environment.",
            hint="Use Docker, or install Python 3.11.",
        )
    outcomes = {
        name: _score(
            challenge,
            name,
            work=work,
            sandbox=sandbox,
            engine="pyclarity",
            workers=workers,
            progress=progress,
        )
        for name in NAMES
    }
    for name, outcome in outcomes.items():
        write_atomically(target / f"{name}.csv", write_scores(outcome.roster, outcome.examples))
    made = {
        "engine": "pyclarity",
        "scorer": environment.scorer_digest,
        "challenge": outcome.roster.digest,
        "sandbox": environment.sandbox,
        "base_image": environment.base_image,
        "enhancement": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "soundfile", "soxr", "torch", "openunmix")},
        },
    }
    write_atomically(target / MADE, json.dumps(made, indent=1) + "\n")
    return target


def regress_published(
    data: Path,
    work: Path,
    sandbox: Sandbox,
    *,
    workers: int,
    log: LogCallback,
    progress: ProgressCallback,
) -> dict[str, list[PublishedDifference]]:
    """Runs the challenge's own baselines on the real validation set and compares with their published scores.

    This takes days of CPU time. Run again with the same `work`, it resumes where it stopped, unless the enhancement
    has changed since.

    Args:
        data: The data root with MUSDB18-HQ.
        work: A folder for submissions and scores.
        sandbox: Where to score; the fast engine scores.
        workers: Number of threads and of sandboxes that run at the same time.
        log: Called with a line before each baseline.
        progress: Called for every example.

    Raises:
        SetupError: None of the songs has a published score, or weights or PyTorch are missing.
        HarnessError: A baseline could not be scored.
    """
    challenge = Challenge.load(data, split="valid")
    known = set().union(*(PUBLISHED[name].songs for name in PUBLISHED_NAMES))
    if known.isdisjoint(song.name for song in challenge.songs):
        raise SetupError(
            f"None of the {len(challenge.songs)} songs of split valid in {data} has published scores.",
            hint="Give the data root with the real MUSDB18-HQ and the challenge's metadata.",
        )
    enhanced = work / f"enhanced-{_enhancement_version()}"
    found = {}
    for name in PUBLISHED_NAMES:
        log(f"Making and scoring {name}.")
        outcome = _score(
            challenge,
            name,
            work=enhanced,
            sandbox=sandbox,
            engine="fast",
            workers=workers,
            progress=progress,
        )
        scores = {key: example.values for key, example in outcome.examples.items()}
        found[name] = compare_published(name, scores)
    return found


def _enhancement_version() -> str:
    """The start of the SHA-256 of the enhancement's sources: a zip made by other sources is not reused."""
    digest = hashlib.sha256()
    for path in sorted((HARNESS / "enhance").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _separator(name: str, work: Path) -> str | Separator:
    """The separator of a baseline; the small Open-Unmix is trained first, on other songs."""
    if name != TRAINED:
        return name
    songs = Challenge.load(
        make_challenge(work / "training", split="valid", seed=_TRAINING_SEED), split="valid"
    ).songs
    weights = train_openunmix(
        [Track(song) for song in songs], target=work / f"{name}.pth", hidden=_HIDDEN, steps=_STEPS
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
    progress: ProgressCallback,
) -> Outcome:
    """Makes a baseline's submission, unless `work` holds it already, and scores it completely."""
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
        audits=0,  # both engines score every example here
    )
    outcome = score(request, sandbox, progress=progress)
    outcome.require_complete(archive.name)
    return outcome
