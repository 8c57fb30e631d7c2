"""The evaluator image: its build context, and the checks against the lock, on the host and inside."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from harness.haaqi.target import environment
from harness.protocol.errors import SetupError
from harness.protocol.lock import DOCKERFILE, HARNESS, SCORER_LOCK, Lock
from harness.protocol.records import Hello
from harness.sandbox.contract import Task
from harness.sandbox.docker.container import DockerSandbox
from harness.sandbox.docker.image import RENDERED_DOCKERFILE, TARGET_PLACEHOLDER, build_context, render
from harness.sandbox.local.environment import target_variables, variables
from harness.sandbox.selfcheck import check_sandbox

if TYPE_CHECKING:
    import docker

docker_test = pytest.mark.docker
pytestmark = pytest.mark.timeout(600)

MakeTask = Callable[..., Task]


def test_the_build_context_holds_the_lock_and_what_it_lists() -> None:
    with tarfile.open(fileobj=BytesIO(build_context(HARNESS.parent, {}))) as tar:
        members = {member.name: member for member in tar}
    own = {name for name in Lock.load().entries if not name.startswith("pyclarity/")}
    assert set(members) == own | {SCORER_LOCK, RENDERED_DOCKERFILE}
    assert {(one.mtime, one.uid, one.gid, one.mode) for one in members.values()} == {
        (1_700_000_000, 0, 0, 0o644)
    }


def test_the_build_context_is_reproducible() -> None:
    assert build_context(HARNESS.parent, {}) == build_context(HARNESS.parent, {})


def test_the_dockerfile_takes_the_processor_from_its_one_place() -> None:
    source = (HARNESS.parent / DOCKERFILE).read_text(encoding="utf-8")
    assert not [name for name in environment() if name in source]
    rendered = render(source)
    assert all(f'{name}="{value}"' in rendered for name, value in environment().items())
    with pytest.raises(SetupError, match=f"must have {TARGET_PLACEHOLDER} exactly once"):
        render(source.replace(TARGET_PLACEHOLDER, ""))


@docker_test
def test_one_changed_byte_in_the_image_is_refused_and_named(
    image: str, derived: Callable[..., str], task: MakeTask
) -> None:
    changed = derived("RUN sed -i 's/level - 20.0/level - 20.1/' /opt/cad1/harness/evaluator/references.py")
    with pytest.raises(SetupError, match=r"harness/evaluator/references\.py has SHA-256") as caught:
        list(DockerSandbox(image=changed).run(task()))
    assert caught.value.exit_code == 3
    unchanged = derived("RUN true")
    assert any(isinstance(line, Hello) for line in DockerSandbox(image=unchanged).run(task()))


@docker_test
def test_one_changed_byte_of_pyclarity_is_refused_and_named(
    derived: Callable[..., str], task: MakeTask
) -> None:
    eb = "/opt/cad1/evaluator/lib/python3.11/site-packages/clarity/evaluator/haspi/eb.py"
    with pytest.raises(SetupError, match=r"pyclarity/evaluator/haspi/eb\.py has SHA-256"):
        list(DockerSandbox(image=derived(f"RUN echo >> {eb}")).run(task()))


@docker_test
def test_an_image_of_another_lock_is_refused_before_it_runs(derived: Callable[..., str]) -> None:
    other = derived("LABEL cad1-harness.lock=0000")
    with pytest.raises(SetupError, match=r"built from another harness/scorer\.lock"):
        DockerSandbox(image=other).prepare()


@docker_test
def test_a_missing_image_says_how_to_build_it(engine: docker.DockerClient) -> None:
    with pytest.raises(SetupError) as caught:
        DockerSandbox(image="cad1-test:none").prepare()
    assert "cad1 image build" in caught.value.hint


@docker_test
def test_the_image_matches_the_lock_and_fixes_the_processor(engine: docker.DockerClient, image: str) -> None:
    found = check_sandbox(DockerSandbox())
    assert found.hello.locked
    assert found.hello.versions["pyclarity"] == "0.3.2"
    assert found.hello.versions["numpy"] == "1.24.4"
    assert found.decoder["numpy"] != "1.24.4"
    assert found.environment.base_image not in {"", "unknown"}
    inside = dict(entry.partition("=")[::2] for entry in engine.images.get(image).attrs["Config"]["Env"])
    assert environment() == {name: inside.get(name) for name in environment()}


@docker_test
def test_image_process_sandbox_and_target_agree(engine: docker.DockerClient, image: str) -> None:
    """Every variable that the process sandbox sets has the same value in the image, except for the folders."""
    if target_variables() != environment():
        pytest.skip("this machine's processor is not x86-64")
    inside = dict(entry.partition("=")[::2] for entry in engine.images.get(image).attrs["Config"]["Env"])
    outside = variables(temporary="/tmp")
    assert environment().items() <= outside.items()
    assert outside == {name: inside.get(name) for name in outside}
