"""`cad1 rescore`: what counts is scored again by a new scorer, from the kept copies."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli.app import cad1
from harness.ranking.store import read_tables
from harness.sandbox import choice
from harness.sandbox.contract import Environment
from tests.score.fakes import FakeSandbox

MakeZip = Callable[[str, str], Path]


class Renewed(FakeSandbox):
    """A sandbox with another lock."""

    def prepare(self) -> Environment:
        return Environment("fake", "e" * 64, locked=True)


@pytest.fixture(autouse=True)
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeSandbox], None]:
    """A function that makes a sandbox the one that commands use."""
    monkeypatch.setenv("COLUMNS", "80")
    return lambda sandbox: monkeypatch.setattr(choice, "choose_sandbox", lambda *_, **__: sandbox)


@pytest.fixture
def options(
    use: Callable[[FakeSandbox], None], make_zip: MakeZip, synthetic_root: Path, tmp_path: Path
) -> list[str]:
    """The options of a store in which the first scorer has scored E001 twice and E002 once, with kept copies."""
    use(FakeSandbox())
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    names = {
        "submission_E001.zip": "mixture",
        "submission_E002.zip": "leaky",
        "submission_E001.2.zip": "oracle",
    }
    for age, (name, separator) in enumerate(names.items()):
        path = Path(shutil.copy(make_zip("E001", separator), inbox / name))
        os.utime(path, (age, age))
    found = ["--data", str(synthetic_root), "--split", "test", "--store", str(tmp_path / "store")]
    found += ["--keep", str(tmp_path / "kept")]
    assert cad1(["score", str(inbox), *found]) == 0
    shutil.rmtree(inbox)
    return found


def ranked(store: Path) -> dict[str, dict[str, str]]:
    """For each scorer, the ranked teams and which submission of theirs."""
    return {
        table.scorer.digest[0]: {row.team: row.submission for row in table.rows if row.kind == "scored"}
        for table in read_tables(store)
    }


def test_what_counts_is_scored_again_from_the_kept_copies(
    options: list[str], use: Callable[[FakeSandbox], None], tmp_path: Path
) -> None:
    renewed = Renewed()
    use(renewed)
    assert cad1(["rescore", *options]) == 0
    found = ranked(tmp_path / "store")
    assert found["e"] == found["d"]
    assert set(found["e"]) == {"E001", "E002"}
    assert sum(len(songs) for songs in renewed.songs) > 0

    again = Renewed()
    use(again)
    assert cad1(["rescore", *options]) == 0
    assert again.tasks == [], "what the new scorer has scored is scored again"


def test_the_name_of_a_submission_stays_what_it_was(
    options: list[str], use: Callable[[FakeSandbox], None], capsys: pytest.CaptureFixture[str]
) -> None:
    use(Renewed())
    assert cad1(["rescore", *options]) == 0
    assert "E001: submission_E001.2.zip scored, average 0.2500" in capsys.readouterr().err


def test_what_is_missing_is_named_and_the_rest_is_scored(
    options: list[str],
    use: Callable[[FakeSandbox], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sha256 = ranked(tmp_path / "store")["d"]["E002"]
    (tmp_path / "kept" / f"{sha256}.zip").unlink()
    use(Renewed())
    assert cad1(["rescore", *options]) == 3
    err = capsys.readouterr().err
    assert f"E002: submission_E002.zip is not in {tmp_path / 'kept'}, or damaged there: {sha256}" in err
    assert set(ranked(tmp_path / "store")["e"]) == {"E001"}


def test_a_damaged_copy_is_not_scored(
    options: list[str],
    use: Callable[[FakeSandbox], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sha256 = ranked(tmp_path / "store")["d"]["E002"]
    with (tmp_path / "kept" / f"{sha256}.zip").open("r+b") as stream:
        stream.write(b"?")
    use(Renewed())
    assert cad1(["rescore", *options]) == 3
    assert sha256 in capsys.readouterr().err


def test_a_store_in_which_nothing_counts_says_so(
    options: list[str],
    use: Callable[[FakeSandbox], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for team in ("E001", "E002"):
        cad1(["disqualify", team, "--reason", "x", "--store", str(tmp_path / "store")])
    use(Renewed())
    assert cad1(["rescore", *options]) == 0
    assert "is ranked for split test, so nothing is scored again." in capsys.readouterr().err


def test_a_disqualified_team_is_left_out(
    options: list[str], use: Callable[[FakeSandbox], None], tmp_path: Path
) -> None:
    assert cad1(["disqualify", "E002", "--reason", "x", "--store", str(tmp_path / "store")]) == 0
    use(Renewed())
    assert cad1(["rescore", *options]) == 0
    assert set(ranked(tmp_path / "store")["e"]) == {"E001"}
