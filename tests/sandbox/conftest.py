"""Sandboxes that run a script in the evaluator's place, and a task for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.protocol.errors import SetupError
from harness.protocol.records import Example
from harness.sandbox.contract import Sandbox, Task
from harness.sandbox.docker.container import DockerSandbox
from harness.sandbox.local import bubblewrap, process
from harness.sandbox.local.bubblewrap import BubblewrapSandbox
from harness.sandbox.local.process import ProcessSandbox
from tests.sandbox.imposters import PYTHON, image_tag, tar_of, write_evaluator

if TYPE_CHECKING:
    import docker

MIB = 2**20


@pytest.fixture
def task(synthetic_root: Path, oracle_zip: Path) -> Callable[..., Task]:
    """A task on the synthetic challenge, with limits that a test may change."""

    def make(*, seconds: float = 120.0, memory: int = 1024 * MIB, examples: tuple[Example, ...] = ()) -> Task:
        return Task(
            split="test",
            engine="fast",
            submission=oracle_zip,
            data=synthetic_root,
            seconds=seconds,
            memory=memory,
            examples=examples,
        )

    return make


@pytest.fixture
def derived(engine: docker.DockerClient, image: str) -> Iterator[Callable[..., str]]:
    """Builds an image from ours with Dockerfile instructions; it keeps our labels. Gives its id."""
    made: list[str] = []

    def build(*instructions: str) -> str:
        tag = image_tag("derived")
        dockerfile = "\n".join([f"FROM {image}", "USER 0", *instructions, "USER 65534:65534"])
        context = tar_of({"Dockerfile": dockerfile.encode()})
        engine.images.build(fileobj=context, custom_context=True, tag=tag, network_mode="none", forcerm=True)
        made.append(tag)
        return str(engine.images.get(tag).id)

    yield build
    for tag in made:
        engine.images.remove(tag, force=True)


@pytest.fixture
def probe(engine: docker.DockerClient, image: str) -> Iterator[Callable[[str], str]]:
    """Makes an image that runs a Python script in the evaluator's place: ours plus one file. Gives its id."""
    made: list[str] = []

    def make(script: str) -> str:
        name, _, number = image_tag("probe").partition(":")
        container = engine.containers.create(image, entrypoint=[PYTHON, "/probe.py"])
        try:
            container.put_archive("/", tar_of({"probe.py": script.encode()}))
            identity = str(container.commit(name, number).id)
        finally:
            container.remove()
        made.append(f"{name}:{number}")
        return identity

    yield make
    for tag in made:
        engine.images.remove(tag, force=True)


@pytest.fixture
def imposter(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], Sandbox]:
    """A sandbox by its name that runs a script in the evaluator's place."""

    def make(name: str, script: str) -> Sandbox:
        if name == "docker":
            return DockerSandbox(image=request.getfixturevalue("probe")(script))
        evaluator = write_evaluator(tmp_path / "tree", script)
        if name == "process":
            monkeypatch.setattr(process, "find_program", lambda lock, name: evaluator)
            return ProcessSandbox()
        request.getfixturevalue("bwrap")
        monkeypatch.setattr(bubblewrap, "find_program", lambda lock, name: evaluator)
        return BubblewrapSandbox()

    return make


@pytest.fixture(scope="session")
def bwrap() -> None:
    """Skips if bubblewrap is missing; fails instead if CAD1_REQUIRE_BUBBLEWRAP=1."""
    try:
        bubblewrap.find_bwrap()
    except SetupError as error:
        if os.environ.get("CAD1_REQUIRE_BUBBLEWRAP") == "1":
            pytest.fail(f"CAD1_REQUIRE_BUBBLEWRAP=1, but: {error}")
        pytest.skip(f"no bubblewrap: {error}")
