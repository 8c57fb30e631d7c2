"""Another distribution that has installed files into our packages is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.machine import doctor
from harness.protocol import lock
from harness.protocol.distributions import HINT, rival_distributions
from harness.protocol.errors import SetupError
from harness.protocol.lock import HARNESS, Lock, scoring_files

Install = Callable[..., None]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for packages with cad1-harness's scoring files in it, on the import path."""
    folder = tmp_path / "site-packages"
    for name in scoring_files(HARNESS.parent):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(lock.locate(name, HARNESS.parent), folder / name)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(lock, "HARNESS", folder / "harness")
    monkeypatch.setattr(doctor, "HARNESS", folder / "harness")
    return folder


@pytest.fixture
def install(site: Path) -> Install:
    """Installs a distribution: writes its files and its metadata."""

    def install(name: str, version: str, *files: str, folder: Path = site) -> None:
        metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (metadata / "RECORD").write_text("".join(f"{file},,\n" for file in files))
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text("# another project's\n")

    return install


def test_without_one_there_is_nothing_to_name(site: Path, install: Install) -> None:
    install("numpy", "1.0", "numpy/__init__.py", "validators/__init__.py")
    assert rival_distributions(site) == []
    Lock.load().check_host()
    assert doctor._packages().good


def test_cad1_harness_itself_is_none(site: Path, install: Install) -> None:
    install("CAD1_harness", "0.1.0", "harness/data.txt")
    assert rival_distributions(site) == []


def test_one_that_has_overwritten_a_file_is_named_by_the_lock_and_by_doctor(
    site: Path, install: Install
) -> None:
    install("validator", "0.7.1", "validator/__init__.py", "../../bin/validate")
    sentence = (
        "the distribution validator 0.7.1 has installed files into the packages of cad1-harness: "
        "validator/__init__.py"
    )
    assert rival_distributions(site) == [sentence]
    with pytest.raises(SetupError, match=r"validator/__init__\.py has SHA-256") as caught:
        Lock.load().check_host()
    assert sentence in caught.value.message
    assert caught.value.hint == HINT
    check = doctor._packages()
    assert (check.good, check.found, check.hint) == (False, sentence, HINT)


def test_one_that_has_added_files_is_named(site: Path, install: Install) -> None:
    install("harness", "2.0", *(f"harness/added{number}.py" for number in range(5)))
    (sentence,) = rival_distributions(site)
    assert sentence.endswith("harness/added0.py, harness/added1.py, harness/added2.py and 2 more")
    Lock.load().check_host()  # no scoring file differs
    assert not doctor._packages().good


def test_one_in_another_folder_has_touched_nothing(site: Path, install: Install, tmp_path: Path) -> None:
    other = tmp_path / "other"
    install("validator", "0.7.1", "validator/__init__.py", folder=other)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(other)
        assert rival_distributions(site) == []
        assert len(rival_distributions(other)) == 1
