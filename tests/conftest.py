"""What the tests share: a small challenge, the real data and an engine where there are any."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import docker

    from harness.ledger.entities import Key

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
LOCAL_BASE = "cad1-base:bookworm"


@pytest.fixture(scope="session")
def music_set() -> Path:
    """The folder of real music with official scores."""
    folder = DATA / "music_set"
    if not folder.is_dir():
        pytest.skip("the real data is not beside the project (../shared/data)")
    return folder


@pytest.fixture(scope="session")
def music_root(music_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real music as a data root."""
    root = tmp_path_factory.mktemp("music") / "root"
    subprocess.run([sys.executable, music_set / "unpack.py", root], check=True)
    root.chmod(0o755)
    return root


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """A Docker engine; without one the test is skipped, or fails where CAD1_REQUIRE_DOCKER=1."""
    from harness.protocol.errors import SetupError
    from harness.sandbox.docker.engine import connect

    try:
        client = connect()
    except SetupError as error:
        if os.environ.get("CAD1_REQUIRE_DOCKER") == "1":
            pytest.fail(f"CAD1_REQUIRE_DOCKER=1, but: {error}")
        pytest.skip(f"no Docker engine: {error}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def image(engine: docker.DockerClient) -> str:
    """The evaluator image of this checkout, built if it is not there."""
    from harness.protocol.errors import SetupError
    from harness.protocol.lock import Lock
    from harness.sandbox.docker.image import IMAGE, build, check_image

    try:
        check_image(engine, IMAGE, Lock.load())
    except SetupError:
        local = any(LOCAL_BASE in one.tags for one in engine.images.list())
        build(engine, base=LOCAL_BASE if local else "", log=lambda line: None)
    return IMAGE


@pytest.fixture(scope="session")
def synthetic_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root of two short synthetic songs and two listeners, split `test`."""
    from harness.baselines.synthetic import make_challenge

    folder = tmp_path_factory.mktemp("synthetic")
    root = make_challenge(folder / "root", seconds=2.0, scored_seconds=0.6)
    root.chmod(0o755)
    return root


@pytest.fixture(scope="session")
def make_zip(synthetic_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """A function of team and separator that gives a submission to the synthetic challenge."""
    from harness.enhance import enhance
    from validator import Challenge

    folder = tmp_path_factory.mktemp("zips")
    challenge = Challenge.load(synthetic_root, split="test")
    made: dict[tuple[str, str], Path] = {}

    def make(team: str, separator: str) -> Path:
        if (team, separator) not in made:
            path = enhance(challenge, separator=separator, output=folder / separator, team=team)
            path.chmod(0o644)
            made[team, separator] = path
        return made[team, separator]

    return make


@pytest.fixture(scope="session")
def oracle_zip(make_zip: Callable[[str, str], Path]) -> Path:
    """A valid submission to the synthetic challenge: true stems with NAL-R."""
    return make_zip("E001", "oracle")


@pytest.fixture(scope="session")
def full_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with everything that a ledger can hold, see `tests.stores.fill`; must not be written to."""
    from tests.stores import fill

    store = tmp_path_factory.mktemp("full") / "store"
    fill(store)
    return store


@pytest.fixture
def filled(full_store: Path, tmp_path: Path) -> Path:
    """A copy of the full store, which the test may write to."""
    return Path(shutil.copytree(full_store, tmp_path / "filled"))


@pytest.fixture
def make_key() -> Callable[[str], Key]:
    """A function of the submission's digit that returns its key in the full store."""
    from harness.ledger.entities import Key
    from tests.stores import ROSTER, SCORER

    return lambda digit: Key(digit * 64, ROSTER.digest, SCORER)


@pytest.fixture
def cad1() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command as a user would, in a process of its own."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from harness.cli.app import main; main()", *map(str, arguments)]
        environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1"}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    return run
