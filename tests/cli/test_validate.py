"""`cad1 validate --sandbox`: an organiser decodes a suspect file where it can do no harm."""

import functools
from contextlib import contextmanager

import pytest

from harness.cli.app import cad1
from harness.protocol.errors import SetupError
from harness.sandbox import choice
from validator.formats.flac import AudioError, InProcessDecoder


class Suspicious(InProcessDecoder):
    """Finds every file damaged, so that a report shows who decoded."""

    def decode(self, data, **form):
        raise AudioError("flac-corrupt", "It was decoded in the sandbox.")


@contextmanager
def fake_sandbox(name):
    """A sandbox, or a machine without one."""
    if name == "docker":
        raise SetupError("There is no engine here.", hint="Start one.")
    yield Suspicious()


@pytest.fixture
def validate(monkeypatch, oracle_zip, synthetic_root, capsys):
    monkeypatch.setattr(choice, "sandboxed_decoder", lambda name: functools.partial(fake_sandbox, name))

    def call(*options):
        code = cad1(["validate", str(oracle_zip), "--data", str(synthetic_root), "--split", "test", *options])
        return code, capsys.readouterr()

    return call


def test_a_sandbox_decodes_when_an_organiser_asks(validate):
    code, printed = validate("--sandbox", "process")
    assert code == 1
    assert "It was decoded in the sandbox." in printed.out


def test_without_the_option_this_process_decodes(validate):
    code, printed = validate()
    assert code == 0
    assert "VALID" in printed.out


def test_a_sandbox_that_does_not_start_is_a_setup_error(validate):
    code, printed = validate("--sandbox", "docker", "--workers", "1")
    assert code == 3
    assert "There is no engine here." in printed.err
    assert printed.out == ""


def test_an_unknown_sandbox_is_wrong_use(validate):
    code, _ = validate("--sandbox", "none")
    assert code == 2
