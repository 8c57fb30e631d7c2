"""The decoder's self-test: an old libsndfile or a wrong sample fails it."""

from __future__ import annotations

import pytest
import soundfile

from harness.decoder import selftest
from validator.formats import known
from validator.formats.streaminfo import parse


def test_this_machines_soundfile_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(known.FLAC).has_md5
    assert selftest.main() == 0
    assert "as expected" in capsys.readouterr().out


def test_an_old_libsndfile_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(soundfile, "__libsndfile_version__", "1.2.0")
    assert selftest.main() == 1
    assert "libsndfile 1.2.0: TOO OLD" in capsys.readouterr().out


def test_one_wrong_sample_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = known.expected()
    wrong[-1] += 1
    monkeypatch.setattr(selftest, "decode_flac", lambda *args, **settings: wrong)
    assert selftest.main() == 1
    assert "WRONG" in capsys.readouterr().out
