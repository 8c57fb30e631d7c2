"""Sandboxes that run a script in the evaluator's place, and a task for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from harness.protocol.errors import SetupError
from harness.protocol.lock import Lock, ProgramName
from harness.protocol.records import Engine, Example
from harness.sandbox.contract import Sandbox, Task
from harness.sandbox.docker import container
from harness.sandbox.docker.container import DockerSandbox
from harness.sandbox.docker.image import PROGRAMS
from harness.sandbox.feed import BatchQuestion, Question, SongQuestion
from harness.sandbox.local import bubblewrap, environment, process
from harness.sandbox.local.bubblewrap import BubblewrapSandbox
from harness.sandbox.local.environment import Program
from harness.sandbox.local.process import ProcessSandbox
from tests.sandbox.imposters import PYTHON, image_tag, tar_of, write_program
from validator import Challenge
from validator.archive.submission import open_submission
from validator.challenge.audio import AudioReader, read_references
from validator.formats.flac import InProcessDecoder

if TYPE_CHECKING:
    import docker

MIB = 2**20


@pytest.fixture
def task(synthetic_root: Path, oracle_zip: Path) -> Callable[..., Task]:
    """A task on the synthetic challenge, with limits that a test may change; this process decodes."""
    challenge = Challenge.load(synthetic_root, split="test")

    def make(
        *,
        seconds: float = 120.0,
        memory: int = 1024 * MIB,
        examples: tuple[Example, ...] = (),
        engine: Engine = "fast",
    ) -> Task:
        def questions() -> Generator[Question, None, None]:
            with open_submission(oracle_zip) as opened:
                reader = AudioReader(opened, challenge)
                for song, group in groupby(examples, key=lambda example: example.song):
                    yield SongQuestion(song, read_references(challenge.song(song)).stems)
                    for one in group:
                        found = reader.read(song, one.listener, InProcessDecoder())
                        yield BatchQuestion(song, (found,))

        return Task(engine=engine, questions=questions, seconds=seconds, memory=memory)

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
def probe_image(engine: docker.DockerClient, image: str) -> Iterator[Callable[[str], str]]:
    """Makes an image with a Python script in it, /probe.py, and returns its id: the evaluator's plus one file."""
    made: list[str] = []

    def make(script: str) -> str:
        name, _, number = image_tag("probe").partition(":")
        source = engine.containers.create(image, ["true"])
        try:
            source.put_archive("/", tar_of({"probe.py": script.encode()}))
            made.append(str(source.commit(name, number).id))
        finally:
            source.remove()
        return made[-1]

    yield make
    for tag in made:
        engine.images.remove(tag, force=True)


@pytest.fixture
def imposter(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Sandbox]:
    """A sandbox by its name that runs a script in the place of one program; the other program is the real one."""

    def make(name: str, script: str, *, program: ProgramName = "evaluator") -> Sandbox:
        if name == "docker":
            monkeypatch.setattr(container, "PROGRAMS", {**PROGRAMS, program: (PYTHON, "/probe.py")})
            return DockerSandbox(image=request.getfixturevalue("probe_image")(script))
        fake = write_program(tmp_path / "tree", script, program=program)
        module: ModuleType = process
        if name == "bubblewrap":
            request.getfixturevalue("bwrap")
            module = bubblewrap
        real = environment.find_program

        def find(lock: Lock, wanted: ProgramName) -> Program:
            return fake if wanted == program else real(lock, wanted)

        monkeypatch.setattr(module, "find_program", find)
        return ProcessSandbox() if name == "process" else BubblewrapSandbox()

    return make


@pytest.fixture
def probe(imposter: Callable[..., Sandbox]) -> Callable[[str], Sandbox]:
    """A Docker sandbox that runs a script in the evaluator's place."""
    return partial(imposter, "docker")


@pytest.fixture(scope="session")
def bwrap() -> None:
    """Skips if bubblewrap is missing; fails instead if CAD1_REQUIRE_BUBBLEWRAP=1."""
    try:
        bubblewrap.find_bwrap()
    except SetupError as error:
        if os.environ.get("CAD1_REQUIRE_BUBBLEWRAP") == "1":
            pytest.fail(f"CAD1_REQUIRE_BUBBLEWRAP=1, but: {error}")
        pytest.skip(f"no bubblewrap: {error}")
