"""The programs' environments outside containers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.protocol.errors import SetupError
from harness.protocol.lock import HARNESS, REQUIREMENTS, Lock, ProgramName
from harness.sandbox import wheels
from harness.sandbox.local import environment
from harness.sandbox.local.environment import PROGRAMS, READY, find_program

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def lock() -> Lock:
    return Lock.load()


def inside(name: ProgramName, lock: Lock, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a program's Python as a sandbox does."""
    program = find_program(lock, name)
    settings = environment.variables(temporary="/nonexistent")
    return subprocess.run(
        [program.python, *arguments],
        cwd=program.tree,
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_decoders_environment_is_its_own_and_has_a_current_soundfile(lock: Lock) -> None:
    if environment.find_python() is None:
        pytest.skip("there is no Python 3.11 on this machine")
    decoder, evaluator = find_program(lock, "decoder"), find_program(lock, "evaluator")
    assert decoder.locked
    assert decoder.kernels is None
    assert evaluator.kernels is not None
    assert decoder.python != evaluator.python
    assert decoder.tree != evaluator.tree
    report = (environment.environment_folder(lock, "decoder") / READY).read_text(encoding="utf-8")
    assert "recent enough" in report
    assert "as expected" in report
    assert inside("decoder", lock, "-c", "import scipy").stderr.endswith("No module named 'scipy'\n")


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_environment_passes_its_check_and_fails_it_for_another_lock(lock: Lock, name: ProgramName) -> None:
    if environment.find_python() is None:
        pytest.skip("there is no Python 3.11 on this machine")
    check = ("-m", "harness.protocol.lock", "--check", name, lock.digest)
    passed = inside(name, lock, *check)
    assert (passed.returncode, passed.stderr) == (0, "")
    other = inside(name, lock, *check[:-1], "0" * 64)
    assert other.returncode == 1
    assert "harness/scorer.lock is" in other.stderr


@pytest.mark.parametrize("name", PROGRAMS)
def test_without_python_311_both_use_the_harnesss_own_packages_unlocked(
    lock: Lock, name: ProgramName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "find_python", lambda: None)
    found = find_program(lock, name)
    assert not found.locked
    assert found.tree == HARNESS.parent


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_wheel_that_is_missing_or_has_another_hash_is_named(tmp_path: Path, name: ProgramName) -> None:
    with pytest.raises(SetupError, match=r"lacks .*soundfile"):
        wheels.check(tmp_path, name)
    (tmp_path / "soundfile-9-py3-none-any.whl").write_bytes(b"another")
    with pytest.raises(SetupError, match=f"a hash that {Path(REQUIREMENTS[name]).name} does not allow"):
        wheels.check(tmp_path, name)
