"""The lock holds every scoring file, and says which one differs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.protocol import lock
from harness.protocol.errors import SetupError
from harness.protocol.lock import HARNESS, Lock, render, scoring_files


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the scoring files."""
    for name in scoring_files(HARNESS.parent):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(lock.locate(name, HARNESS.parent), tmp_path / name)
    return tmp_path


def test_the_committed_lock_is_up_to_date() -> None:
    """After a change of scoring code: `make lock`."""
    text = lock.LOCK_FILE.read_text(encoding="utf-8")
    modules = {n: d for n, d in Lock.load().entries.items() if n.startswith("pyclarity/")}
    assert set(modules) == {f"pyclarity/{name}" for name in lock.PYCLARITY_MODULES}
    assert text == render(HARNESS.parent, pyclarity=modules)


IMPORTS = """
import sys
import harness.evaluator.job, harness.evaluator.engines, harness.evaluator.references, harness.evaluator.selftest
import harness.haaqi.warmup
import validator.archive, validator.challenge, validator.manifest, validator.metadata
for name, module in sys.modules.items():
    if name.partition(".")[0] in {"harness", "validator"} and getattr(module, "__file__", None):
        print(module.__file__)
"""


def test_everything_that_the_evaluator_imports_is_locked() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True)
    imported = {Path(line).relative_to(HARNESS.parent).as_posix() for line in done.stdout.splitlines()}
    assert len(imported) > 30
    assert imported <= set(Lock.load().entries)


def test_what_does_not_score_is_not_locked() -> None:
    """A sentence of the report, or the ranking's page, must not part old scores from new ones."""
    names = set(scoring_files(HARNESS.parent))
    assert not any(one.startswith(("harness/cli", "harness/ranking", "harness/sandbox")) for one in names)
    assert not names & {"validator/report/text.py", "validator/checks/matching.py", "validator/validation.py"}


def test_an_unchanged_tree_has_no_differences(tree: Path) -> None:
    assert Lock.load().differences(tree, pyclarity=None, host=True) == []


@pytest.mark.parametrize(
    "name", ["harness/evaluator/job.py", "validator/formats/flac.py", "Dockerfile", lock.REQUIREMENTS]
)
def test_one_changed_byte_is_named(tree: Path, name: str) -> None:
    path = tree / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    (difference,) = Lock.load().differences(tree, pyclarity=None, host=True)
    assert difference.startswith(f"{name} has SHA-256")


def test_a_missing_and_an_added_file_are_named(tree: Path) -> None:
    (tree / "harness/evaluator/engines.py").unlink()
    (tree / "harness/haaqi/sitecustomize.py").write_text("")
    found = Lock.load().differences(tree, pyclarity=None, host=True)
    assert any(one == "harness/evaluator/engines.py is missing" for one in found)
    assert any(one.startswith("harness/haaqi/sitecustomize.py takes part") for one in found)


def test_pyclarity_is_looked_at_inside_the_sandbox(tree: Path) -> None:
    found = Lock.load().differences(tree, pyclarity=tree)
    assert "pyclarity/evaluator/haaqi/haaqi.py is missing" in found


def test_a_damaged_lock_is_a_set_up_fault(tmp_path: Path) -> None:
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
