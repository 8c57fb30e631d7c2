"""cad1.toml, CAD1_STORE and CAD1_DATA: who wins, what they set, and the line of a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.main import get_command

from harness.cli.app import app, cad1
from harness.cli.configuration import default_map, read_settings
from harness.ledger.ledger import Ledger
from harness.protocol.errors import UsageError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with stores `one`, `two` and `three`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CAD1_STORE", raising=False)
    monkeypatch.delenv("CAD1_DATA", raising=False)
    for name in ("one", "two", "three"):
        Ledger(tmp_path / name).close()
    return tmp_path


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "cad1.toml").write_text('store = "one"\n')
    assert cad1(["verify"]) == 0
    assert capsys.readouterr().out.startswith("one verified")
    monkeypatch.setenv("CAD1_STORE", "two")
    assert cad1(["verify"]) == 0
    assert capsys.readouterr().out.startswith("two verified")
    assert cad1(["verify", "--store", "three"]) == 0
    assert capsys.readouterr().out.startswith("three verified")


def test_the_file_sets_every_option_of_that_name_with_the_same_meaning(here: Path) -> None:
    (here / "cad1.toml").write_text(
        'store = "s"\ndata = "d"\nsplit = "test"\nsandbox = "process"\nworkers = 3\n'
    )
    found = default_map(get_command(app))
    assert found["score"] == {
        "store": "s", "data": "d", "split": "test", "sandbox": "process", "workers": 3,
    }  # fmt: skip
    assert found["regress"] == {"sandbox": "process", "workers": 3}, "its --data is the real MUSDB18-HQ"
    assert found["validate"] == {"data": "d", "split": "test", "workers": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('store = "s"\n\nstroe = "t"\n', "line 3: unknown key 'stroe'"),
        ("[score]\nworkers = 2\n", "line 1: unknown key 'score'"),
        (
            '# workers\nworkers = "many"\n',
            "line 2: expected workers to be a whole number from 1, found 'many'",
        ),
        ("workers = true\n", "line 1: expected workers to be a whole number from 1, found True"),
        ('split = "train"\n', "line 1: expected split to be one of valid, test, found 'train'"),
        ("data = 3\n", "line 1: expected data to be a text in quotes, found 3"),
        ("store =\n", "not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_line(here: Path, text: str, message: str) -> None:
    (here / "cad1.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        read_settings()
    assert message in caught.value.message


def test_a_mistake_in_the_file_ends_the_command_with_2(here: Path) -> None:
    (here / "cad1.toml").write_text("nonsense = 1\n")
    assert cad1(["status"]) == 2
