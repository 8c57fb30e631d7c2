"""The lock covers every scoring file, and names the one that differs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.protocol import lock
from harness.protocol.errors import SetupError
from harness.protocol.lock import HARNESS, Lock, render, scoring_files

ROOMS = (
    *("harness/decoder", "harness/evaluator", "harness/haaqi", "harness/protocol"),
    *("validator/archive", "validator/challenge", "validator/findings", "validator/formats"),
)
SINGLE_FILES = {"harness/__init__.py", "validator/__init__.py", lock.DOCKERFILE, lock.REQUIREMENTS}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the scoring files."""
    for name in scoring_files(HARNESS.parent):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(lock.locate(name, HARNESS.parent), tmp_path / name)
    return tmp_path


def test_the_committed_lock_is_up_to_date() -> None:
    """After a change of scoring code: `make lock`."""
    own = Lock.load()
    assert set(own.pyclarity) == {f"pyclarity/{name}" for name in lock.PYCLARITY_MODULES}
    assert lock.LOCK_FILE.read_text(encoding="utf-8") == render(HARNESS.parent, pyclarity=own.pyclarity)


IMPORTS = """
import pkgutil, sys
import harness.evaluator.__main__, harness.haaqi.warmup
for module in pkgutil.iter_modules(harness.evaluator.__path__):
    __import__(f"harness.evaluator.{module.name}")
for name, module in sys.modules.items():
    if name.partition(".")[0] in {"harness", "validator"} and getattr(module, "__file__", None):
        print(module.__file__)
"""


def test_everything_that_the_evaluator_imports_is_locked() -> None:
    variables = os.environ | {"PYTHONPATH": str(HARNESS.parent)}
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True, env=variables
    )
    imported = {Path(line).relative_to(HARNESS.parent).as_posix() for line in done.stdout.splitlines()}
    assert "harness/evaluator/job.py" in imported
    assert len(imported) > 30
    assert imported <= set(scoring_files(HARNESS.parent))


def test_the_lock_is_whole_folders_and_four_files() -> None:
    """Code elsewhere, such as the ranking's page, must not separate old scores from new ones."""
    names = set(scoring_files(HARNESS.parent))
    assert names >= SINGLE_FILES
    sources = {path.relative_to(HARNESS.parent).as_posix() for room in ROOMS for path in _sources(room)}
    assert names == sources | SINGLE_FILES


def _sources(room: str) -> list[Path]:
    return list((HARNESS.parent / room).rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("name", ["new.py", "deeper/folder/new.py"])
def test_a_new_file_in_a_locked_folder_is_named(tree: Path, room: str, name: str) -> None:
    path = tree / room / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    assert Lock.load().differences(tree, pyclarity=None, host=True) == [
        f"{room}/{name} takes part in scoring and is not in the lock"
    ]


@pytest.mark.parametrize(
    "name",
    [
        "harness/new.py",
        "harness/ranking/new.py",
        "harness/sandbox/docker/new.py",
        "validator/new.py",
        "validator/checks/new.py",
        "validator/report/new.py",
        "harness/haaqi/notes.md",
    ],
)
def test_a_new_file_elsewhere_is_not(tree: Path, name: str) -> None:
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_text("")
    assert Lock.load().differences(tree, pyclarity=None, host=True) == []


def test_an_unchanged_tree_has_no_differences(tree: Path) -> None:
    assert Lock.load().differences(tree, pyclarity=None, host=True) == []


@pytest.mark.parametrize(
    "name", ["harness/evaluator/job.py", "validator/formats/flac.py", lock.DOCKERFILE, lock.REQUIREMENTS]
)
def test_one_changed_byte_is_named(tree: Path, name: str) -> None:
    path = tree / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    (difference,) = Lock.load().differences(tree, pyclarity=None, host=True)
    assert difference.startswith(f"{name} has SHA-256")


def test_a_missing_file_is_named(tree: Path) -> None:
    (tree / "harness/evaluator/engines.py").unlink()
    found = Lock.load().differences(tree, pyclarity=None, host=True)
    assert found == ["harness/evaluator/engines.py is missing"]


def test_pyclarity_is_checked_inside_the_sandbox(tree: Path) -> None:
    found = Lock.load().differences(tree, pyclarity=tree)
    assert found == [f"pyclarity/{name} is missing" for name in lock.PYCLARITY_MODULES]


def test_a_damaged_lock_is_a_setup_error(tmp_path: Path) -> None:
    path = tmp_path / "scorer.lock"
    path.write_text("# fine\nnot a digest\n")
    with pytest.raises(SetupError, match="line 2"):
        Lock.load(path)
    with pytest.raises(SetupError, match="can't be read"):
        Lock.load(tmp_path / "none")


def test_every_pin_has_hashes() -> None:
    text = (HARNESS.parent / lock.REQUIREMENTS).read_text()
    pins = lock.pinned_versions(HARNESS.parent)
    assert pins["pyclarity"] == "0.3.2"
    assert pins["numpy"] == "1.24.4"
    assert pins["scipy"] == "1.10.1"
    assert pins["numba"] == "0.57.1"
    for block in text.split("\n\n")[0].split("==")[1:]:
        assert "--hash=sha256:" in block
