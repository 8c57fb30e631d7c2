"""The lock covers every scoring file, and names the one that differs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from harness.protocol import lock
from harness.protocol.errors import SetupError
from harness.protocol.lock import HARNESS, Lock, render, scoring_files

ROOMS = (
    *("harness/decoder", "harness/evaluator", "harness/haaqi", "harness/protocol"),
    *("validator/archive", "validator/challenge", "validator/findings", "validator/formats"),
)
SINGLE_FILES = {
    "harness/__init__.py",
    "validator/__init__.py",
    lock.DOCKERFILE,
    *lock.REQUIREMENTS.values(),
}


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


def test_the_lock_is_whole_folders_and_five_files() -> None:
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
    "name",
    [
        "harness/evaluator/job.py",
        "harness/protocol/limits.py",
        "validator/formats/flac.py",
        lock.DOCKERFILE,
        *lock.REQUIREMENTS.values(),
    ],
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


@pytest.mark.parametrize("program", get_args(lock.ProgramName))
def test_every_pin_has_hashes_and_no_registry(program: lock.ProgramName) -> None:
    text = (HARNESS.parent / lock.REQUIREMENTS[program]).read_text()
    assert len(lock.pinned_versions(HARNESS.parent, program)) == text.count("==")
    for block in text.split("==")[1:]:
        assert "--hash=sha256:" in block
    assert "//" not in text


def test_the_evaluator_has_pyclaritys_versions_and_the_decoder_a_current_soundfile() -> None:
    pins = lock.pinned_versions(HARNESS.parent)
    assert pins["pyclarity"] == "0.3.2"
    assert pins["numpy"] == "1.24.4"
    assert pins["scipy"] == "1.10.1"
    assert pins["numba"] == "0.57.1"
    decoder = lock.pinned_versions(HARNESS.parent, "decoder")
    assert tuple(map(int, decoder["soundfile"].split("."))) >= (0, 13, 1)


@pytest.mark.parametrize(
    "name",
    [
        "harness/protocol/__pycache__/lock.cpython-311.pyc",
        "harness/protocol/lock.pyc",
        "harness/haaqi/index.cpython-311-x86_64-linux-gnu.so",
        "validator/notes.txt",
        "numpy.py",
        "numpy/__init__.py",
    ],
)
def test_a_file_that_the_lock_does_not_list_is_named(tree: Path, name: str) -> None:
    assert lock.stray_files(tree) == []
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_bytes(b"")
    stray = "numpy" if name == "numpy/__init__.py" else name
    assert lock.stray_files(tree) == [f"{stray} is in the tree and not in the lock"]


def test_the_folders_beside_the_images_sources_hide_no_package(tree: Path) -> None:
    for name in lock.BESIDE_THE_TREE:
        (tree / name).mkdir()
    assert lock.stray_files(tree) == []
    packages = {name for program in get_args(lock.ProgramName) for name in _pins(program)}
    assert not lock.BESIDE_THE_TREE & {*packages, *sys.stdlib_module_names, "clarity"}


def _pins(program: lock.ProgramName) -> set[str]:
    return {name.replace("-", "_") for name in lock.pinned_versions(HARNESS.parent, program)}


def test_a_linked_folder_in_the_tree_is_named(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (tree / "harness/evaluator/more").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    assert lock.stray_files(tree) == ["harness/evaluator/more is in the tree and not in the lock"]
