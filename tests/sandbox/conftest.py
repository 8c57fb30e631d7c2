"""Probes: images whose evaluator is replaced by a script that tries what it must not do."""

from __future__ import annotations

import io
import os
import sys
import tarfile
import textwrap
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
from harness.sandbox.local.environment import Evaluator
from harness.sandbox.local.process import ProcessSandbox

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
    """Builds an image from the evaluator's with some files replaced; it keeps the evaluator's labels."""
    made: list[str] = []

    def build(files: dict[str, bytes], *instructions: str) -> str:
        tag = f"cad1-test:derived{len(made)}"
        lines = [f"FROM {image}", "USER 0", *(f"COPY {name} /{name}" for name in files), *instructions]
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as tar:
            for name, data in [("Dockerfile", "\n".join(lines).encode()), *files.items()]:
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(data), 0o644
                tar.addfile(info, io.BytesIO(data))
        context.seek(0)
        engine.images.build(fileobj=context, custom_context=True, tag=tag, network_mode="none", forcerm=True)
        made.append(tag)
        return tag

    yield build
    for tag in made:
        engine.images.remove(tag, force=True)


@pytest.fixture
def probe(derived: Callable[..., str]) -> Callable[[str], str]:
    """An image that runs a Python script in the evaluator's place."""

    def build(script: str) -> str:
        return derived(
            {"probe.py": script.encode()},
            'ENTRYPOINT ["/opt/cad1/venv/bin/python", "/probe.py"]',
            "USER 65534:65534",
        )

    return build


@pytest.fixture
def imposter(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], Sandbox]:
    """A sandbox of a kind, prepared, that runs a script in the evaluator's place."""

    def make(kind: str, script: str) -> Sandbox:
        if kind == "docker":
            return DockerSandbox(image=request.getfixturevalue("probe")(script))
        package = tmp_path / "tree" / "harness"
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text("")
        (package / "evaluate.py").write_text(textwrap.dedent(script))
        evaluator = Evaluator(Path(sys.executable), tmp_path / "tree", kernels=None, locked=True)
        if kind == "process":
            monkeypatch.setattr(process, "find_evaluator", lambda lock: evaluator)
            return ProcessSandbox()
        request.getfixturevalue("bwrap")
        monkeypatch.setattr(bubblewrap, "find_evaluator", lambda lock: evaluator)
        return BubblewrapSandbox()

    return make


@pytest.fixture(scope="session")
def bwrap() -> None:
    """Skips where bubblewrap is missing, or fails where CAD1_REQUIRE_BUBBLEWRAP=1."""
    try:
        bubblewrap.find_bwrap()
    except SetupError as error:
        if os.environ.get("CAD1_REQUIRE_BUBBLEWRAP") == "1":
            pytest.fail(f"CAD1_REQUIRE_BUBBLEWRAP=1, but: {error}")
        pytest.skip(f"no bubblewrap: {error}")
