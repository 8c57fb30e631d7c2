"""The demo: the full pipeline on a small synthetic challenge."""

from __future__ import annotations

from pathlib import Path

from harness.baselines.synthetic import make_challenge
from harness.enhance import enhance
from harness.protocol.records import Engine
from harness.score import Sandbox
from harness.score.conductor import score
from harness.score.request import LogCallback, ProgressCallback, Request
from validator import Challenge

SUBMISSIONS: tuple[tuple[str, str], ...] = (("E001", "mixture"), ("E002", "leaky"), ("E003", "oracle"))
"""Team and separator, the worst first, so that the ranking has to reorder them."""


def run(
    folder: Path,
    *,
    sandbox: Sandbox,
    engine: Engine = "fast",
    workers: int = 2,
    log: LogCallback,
    progress: ProgressCallback,
) -> Path:
    """Makes songs, listeners and three submissions of known quality; validates, scores and ranks them.

    Args:
        folder: Gets `data`, the zips and `store`.
        sandbox: Where to score.
        engine: Which HAAQI implementation scores.
        workers: Number of sandboxes that run at the same time.
        log: Called with a line for each step.
        progress: Called for every scored example.

    Returns:
        The store, with the ranking: oracle, leaky, mixture.

    Raises:
        HarnessError: A submission could not be scored.
    """
    log("Making two songs with four stems each, and two listeners.")
    challenge = Challenge.load(make_challenge(folder / "data"), split="test")
    store = folder / "store"
    for team, separator in SUBMISSIONS:
        archive = enhance(challenge, separator=separator, output=folder, team=team, workers=workers)
        request = Request(
            submission=archive,
            challenge=challenge,
            selected=challenge,
            team=team,
            store=store,
            engine=engine,
            workers=workers,
        )
        outcome = score(request, sandbox, progress=progress)
        outcome.require_complete(archive.name)
        log(
            f"{archive.name} ({separator}): valid, {outcome.stored} examples scored, average {outcome.average:.4f}"
        )
    return store
