"""The split follows from the data root where that has only one, and is asked for in words where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli import console
from harness.cli.app import cad1


@pytest.fixture
def make_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the metadata of split test only, and none of its audio."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CAD1_DATA", raising=False)
    console.stderr.cache_clear()
    (tmp_path / "root" / "metadata").mkdir(parents=True)
    (tmp_path / "root" / "metadata" / "listeners.test.json").write_text("{}")
    (tmp_path / "submission").mkdir()
    return tmp_path / "root"


def test_the_only_split_of_the_data_root_is_taken(
    synthetic_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "submission").mkdir()
    assert cad1(["validate", str(tmp_path / "submission"), "--data", str(synthetic_root), "--json"]) == 1
    assert '"split": "test"' in capsys.readouterr().out


def test_the_data_root_may_come_from_the_environment(
    synthetic_root: Path, make_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CAD1_DATA", str(synthetic_root))
    assert cad1(["validate", "submission", "--json"]) == 1
    assert '"split": "test"' in capsys.readouterr().out


@pytest.mark.parametrize(
    "order", [["--split", "valid", "--data", "root"], ["--data", "root", "--split", "valid"]]
)
def test_a_split_that_the_data_root_lacks_is_answered_with_the_one_that_it_has(
    make_root: Path, order: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert cad1(["validate", "submission", *order]) == 2
    assert capfd.readouterr().err == "cad1: root has no split valid: found test.\n  Add `--split test`.\n"


def test_of_two_splits_one_is_asked_for(make_root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (make_root / "metadata" / "listeners.valid.json").write_text("{}")
    assert cad1(["validate", "submission", "--data", "root"]) == 2
    assert "root has the splits valid and test." in capfd.readouterr().err


def test_without_a_data_root_the_split_is_asked_for(
    make_root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cad1(["validate", "submission"]) == 2
    assert "Add `--split valid` or `--split test`." in capfd.readouterr().err


def test_the_old_option_for_songs_is_refused_with_the_new_one(
    make_root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cad1(["score", "submission", "--data", "root", "--team", "E001", "--songs", "A,B"]) == 2
    assert "--song" in capfd.readouterr().err
