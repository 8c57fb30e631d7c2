"""The choice of a sandbox: by name, or the strongest that this machine has."""

from __future__ import annotations

import pytest

from harness.protocol.errors import UsageError
from harness.sandbox import choice
from harness.sandbox.choice import choose_sandbox, strongest_sandbox
from harness.sandbox.docker.container import DockerSandbox
from harness.sandbox.local.bubblewrap import BubblewrapSandbox
from harness.sandbox.local.process import ProcessSandbox


def ignore(_: str) -> None:
    """A log that nobody reads."""


@pytest.mark.parametrize("kind", [DockerSandbox, BubblewrapSandbox, ProcessSandbox])
def test_a_sandbox_is_chosen_by_its_name(
    kind: type[DockerSandbox | BubblewrapSandbox | ProcessSandbox],
) -> None:
    assert type(choose_sandbox(kind.name, log=ignore)) is kind


def test_a_runtime_is_for_docker_only() -> None:
    for name in ("bubblewrap", "process", "strongest"):
        with pytest.raises(UsageError, match="--runtime runsc can only be used with --sandbox docker"):
            choose_sandbox(name, runtime="runsc", log=ignore)


def test_the_strongest_sandbox_that_works_is_chosen_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    monkeypatch.setattr(choice, "is_ready", lambda lock: True)
    lines: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(BubblewrapSandbox, "prepare", lambda sandbox: None)
        assert isinstance(strongest_sandbox(lines.append), BubblewrapSandbox)
    assert "No Docker engine answers" in lines[0]
    assert "bubblewrap instead" in lines[1]
    lines.clear()
    monkeypatch.setenv("PATH", "/nonexistent")
    assert isinstance(strongest_sandbox(lines.append), ProcessSandbox)
    assert "No Docker engine answers" in lines[0]
    assert "bubblewrap is not installed on this machine" in lines[1]
    assert "child process instead" in lines[2]


@pytest.mark.parametrize("name", ["docker", "strongest"])
def test_an_image_that_is_named_is_docker_s(name: str) -> None:
    assert isinstance(choose_sandbox(name, image="sha256:0", log=ignore), DockerSandbox)


@pytest.mark.parametrize("name", ["bubblewrap", "process"])
def test_an_image_without_containers_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError, match="--image sha256:0 can only be used with --sandbox docker"):
        choose_sandbox(name, image="sha256:0", log=ignore)


@pytest.mark.parametrize("name", ["bubblewrap", "process"])
def test_an_installation_is_announced_before_it_takes_minutes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(choice, "is_ready", lambda lock: False)
    choose_sandbox(name, log=lines.append)
    assert lines == ["Installing the scorer's own environment and compiling it: once, for about two minutes."]
    lines.clear()
    monkeypatch.setattr(choice, "is_ready", lambda lock: True)
    choose_sandbox(name, log=lines.append)
    assert lines == []
