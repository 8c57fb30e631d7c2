"""An environment holds its pinned packages as pip installed them, and nothing else."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from harness.protocol.lock import environment_differences

PINNED = {"good-one": "1.0"}


def hashed(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Installed packages as pip leaves them: one package with a compiled file."""
    source = b"value = 1\n"
    (tmp_path / "good/__pycache__").mkdir(parents=True)
    (tmp_path / "good/__init__.py").write_bytes(source)
    (tmp_path / "good/__pycache__/__init__.cpython-311.pyc").write_bytes(b"compiled")
    (tmp_path / "good_one-1.0.dist-info").mkdir()
    lines = [f"good/__init__.py,{hashed(source)},{len(source)}", "good_one-1.0.dist-info/RECORD,,"]
    (tmp_path / "good_one-1.0.dist-info/RECORD").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_pinned_packages_as_installed_are_fine(site: Path) -> None:
    assert environment_differences(site, pinned=PINNED) == []
    assert environment_differences(site, pinned=PINNED, contents=True) == []


@pytest.mark.parametrize(
    "name",
    [
        "numpy.py",
        "good/new.py",
        "good/new.so",
        "good/__init__.pyc",
        "good/__pycache__/new.cpython-311.pyc",
        "good/__pycache__/__init__.py",
        "new/__pycache__/__init__.cpython-311.pyc",
    ],
)
def test_a_file_in_no_record_is_named(site: Path, name: str) -> None:
    (site / name).parent.mkdir(parents=True, exist_ok=True)
    (site / name).write_text("")
    assert environment_differences(site, pinned=PINNED) == [f"{name} belongs to no installed package"]


@pytest.mark.parametrize(
    "name", ["new.pth", "sitecustomize.py", "usercustomize.so", "sitecustomize/__init__.py"]
)
def test_what_runs_at_every_start_is_named_even_if_it_is_in_a_record(site: Path, name: str) -> None:
    (site / name).parent.mkdir(parents=True, exist_ok=True)
    (site / name).write_text("")
    with (site / "good_one-1.0.dist-info/RECORD").open("a") as record:
        record.write(f"{name},{hashed(b'')},0\n")
    top = name.partition("/")[0]
    assert environment_differences(site, pinned=PINNED) == [f"{top} would run at every start of Python"]


def test_a_package_that_is_not_pinned_is_named(site: Path) -> None:
    (site / "evil-1.0.dist-info").mkdir()
    (site / "evil-1.0.dist-info/RECORD").write_text("numpy.py,,\nevil-1.0.dist-info/RECORD,,\n")
    (site / "numpy.py").write_text("")
    assert environment_differences(site, pinned=PINNED) == ["evil-1.0.dist-info is not a pinned package"]
    found = environment_differences(site, pinned={"good-one": "2.0", "evil": "1.0"})
    assert found == ["good_one-1.0.dist-info is not a pinned package"]


def test_a_linked_folder_is_named(site: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (site / "more").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    assert environment_differences(site, pinned=PINNED) == ["more belongs to no installed package"]


def test_a_changed_or_missing_file_is_named_when_contents_are_read(site: Path) -> None:
    (site / "good/__init__.py").write_bytes(b"value = 2\n")
    assert environment_differences(site, pinned=PINNED) == []
    found = environment_differences(site, pinned=PINNED, contents=True)
    assert found == ["good/__init__.py differs from its package's RECORD"]
    (site / "good/__init__.py").unlink()
    found = environment_differences(site, pinned=PINNED, contents=True)
    assert found == ["good/__init__.py is missing"]
