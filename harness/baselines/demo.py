"""`cad1 demo`: the whole line on a small challenge made on the spot, with the strongest sandbox the machine has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.baselines.synthetic import make_challenge
from harness.enhance import enhance
from harness.ledger.ledger import Ledger
from harness.protocol.errors import SetupError
from harness.protocol.lock import Lock
from harness.protocol.records import Engine
from harness.ranking.tables import Table, tables
from harness.sandbox.contract import Sandbox
from harness.sandbox.docker.container import DockerSandbox
from harness.sandbox.docker.engine import connect
from harness.sandbox.docker.image import IMAGE, build, check_image, default_base
from harness.sandbox.local.bubblewrap import BubblewrapSandbox
from harness.sandbox.local.process import ProcessSandbox
from harness.score.conductor import Outcome, Request, score
from validator import Challenge

LOCAL_BASE = "cad1-base:bookworm"
"""The base that scripts/debian-base.sh builds."""

SUBMISSIONS: tuple[tuple[str, str], ...] = (("E001", "mixture"), ("E002", "leaky"), ("E003", "oracle"))
"""Team and separator, the worst first, so that the ranking has something to put in order."""

Say = Callable[[str], None]


def strongest_sandbox(say: Say) -> Sandbox:
    """Docker where an engine answers and the image is there or can be built; else bubblewrap; else a child process.

    What is missing for a stronger one is said.
    """
    try:
        client = connect()
        try:
            check_image(client, IMAGE, Lock.load())
        except SetupError as error:
            say(f"{error.message} Building it; this takes a minute or two.")
            local = any(LOCAL_BASE in image.tags for image in client.images.list())
            pinned = client.images.list(name=default_base())
            build(client, base=LOCAL_BASE if local and not pinned else "", log=lambda line: None)
        say("Sandbox: Docker, one container per song.")
        return DockerSandbox()
    except SetupError as error:
        say(f"{error.message} {error.hint}")
    sandbox = BubblewrapSandbox()
    try:
        sandbox.prepare()
    except SetupError as error:
        say(f"{error.message} {error.hint}")
        say("Sandbox: a child process instead. Good for your own files; official scores need Docker.")
        return ProcessSandbox()
    say("Sandbox: bubblewrap instead, one process per song without a network; official scores need Docker.")
    return sandbox


def run(
    folder: Path,
    *,
    sandbox: Sandbox,
    engine: Engine = "fast",
    workers: int = 2,
    say: Say,
    progress: Callable[[int, int, str], None],
) -> list[Table]:
    """Makes songs, listeners and three submissions of known quality, and takes each from zip to ranking.

    Args:
        folder: Gets `data`, the zips and `store`.
        sandbox: Where to score.
        engine: Which HAAQI scores.
        workers: Sandboxes at a time.
        say: Gets a sentence for each step.
        progress: Told of every scored example.

    Returns:
        The ranking, best first: oracle, leaky, mixture.

    Raises:
        HarnessError: Whatever stops a submission on its way.
    """
    say("Making two songs with four stems each, and two listeners.")
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
        say(f"{archive.name} ({separator}): {_verdict(outcome)}")
    with Ledger(store, read_only=True) as ledger:
        return tables(ledger)


def _verdict(outcome: Outcome) -> str:
    for error in outcome.faults:
        raise error
    if outcome.average is None:
        problems = [*outcome.report.findings, *outcome.findings]
        raise SetupError(
            "A demo submission was refused: "
            + "; ".join(f"{one.path}: {one.message}" for one in problems[:5])
        )
    return f"valid, {outcome.stored} examples scored, average {outcome.average:.4f}"
