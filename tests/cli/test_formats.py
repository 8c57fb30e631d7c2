"""`cad1 validate --format` and `--strict`."""

import numpy as np
import pytest

from harness.cli.app import cad1
from tests.validator import forge
from validator import Challenge, Severity, validate


@pytest.fixture
def warned(tmp_path):
    """A folder that is valid, with one warning: a silent stem."""
    files = forge.stems()
    files[forge.first()] = forge.flac(np.zeros(forge.STEM_FRAMES, np.int16), 24000)
    path = tmp_path / "submission_E001.zip"
    path.write_bytes(forge.zip_bytes(files))
    return path


@pytest.fixture
def small_challenge(monkeypatch):
    monkeypatch.setattr(Challenge, "load", staticmethod(lambda *_, **__: forge.CHALLENGE))


@pytest.mark.usefixtures("small_challenge")
def test_warnings_fail_with_strict(warned, capsys):
    assert validate(warned, forge.CHALLENGE).count(Severity.WARNING) == 1
    assert cad1(["validate", str(warned), "--split", "test"]) == 0
    capsys.readouterr()
    assert cad1(["validate", str(warned), "--split", "test", "--strict"]) == 1
    assert "Invalid with --strict: 1 warning." in capsys.readouterr().err


@pytest.mark.usefixtures("small_challenge")
@pytest.mark.parametrize(
    ("format_", "start"),
    [
        ("text", "submission_E001.zip ("),
        ("json", "{"),
        ("junit", "<?xml"),
        ("sarif", "{"),
        ("github", "::warning "),
    ],
)
def test_the_command_writes_every_format(warned, capsys, tmp_path, format_, start):
    arguments = ["validate", str(warned), "--split", "test", "--format", format_]
    assert cad1(arguments) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(start)
    assert cad1([*arguments, "--output", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").read_text() == printed


@pytest.mark.usefixtures("small_challenge")
def test_json_is_an_abbreviation(warned, capsys):
    assert cad1(["validate", str(warned), "--split", "test", "--json"]) == 0
    assert capsys.readouterr().out.startswith("{")
    assert cad1(["validate", str(warned), "--split", "test", "--json", "--format", "sarif"]) == 2
    assert "--json and --format sarif exclude each other" in capsys.readouterr().err
