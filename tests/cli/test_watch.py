"""`cad1 watch` as a service manager runs it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli.app import cad1

COMMAND = [sys.executable, "-m", "tests.score.fake_command"]


@pytest.fixture
def start(synthetic_root: Path, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts `cad1 watch` on the folder `inbox`."""
    (tmp_path / "inbox").mkdir()

    def start(*options: str) -> subprocess.Popen[str]:
        line = [*COMMAND, "watch", tmp_path / "inbox", "--data", synthetic_root, "--split", "test"]
        line += ["--store", tmp_path / "store", "--rest", "0.2", *options]
        environment = os.environ | {"FAKE_DELAY": "0", "COLUMNS": "80"}
        return subprocess.Popen(
            list(map(str, line)),
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    return start


@pytest.mark.parametrize(("signal_", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_the_end_is_clean_with_one_sentence(
    start: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
    oracle_zip: Path,
    signal_: signal.Signals,
    code: int,
) -> None:
    child = start("--reports", str(tmp_path / "out"), "--keep", str(tmp_path / "kept"))
    shutil.copy(oracle_zip, tmp_path / "inbox" / "submission_E001.zip")
    (tmp_path / "inbox" / "mine.zip").write_bytes(b"")
    end = time.monotonic() + 60
    while not list((tmp_path / "out").glob("E001-*.txt")):
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
    child.send_signal(signal_)
    out, err = child.communicate(timeout=30)
    assert child.returncode == code, err
    assert out == ""
    assert "Traceback" not in err
    lines = err.splitlines()
    assert any(line.startswith("E001: submission_E001.zip arrived") for line in lines)
    assert any(line.startswith("E001: submission_E001.zip scored, average 0.") for line in lines)
    assert any(line.startswith("mine.zip is not scored: its name gives no team.") for line in lines)
    assert lines[-1].startswith("Ended." if code == 0 else "cad1: Interrupted;")
    assert len(list((tmp_path / "kept").glob("*.zip"))) == 1


def test_an_inbox_that_is_not_there_is_wrong_use(
    synthetic_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cad1(["watch", str(tmp_path / "none"), "--data", str(synthetic_root), "--split", "test"]) == 2
    assert "There is no folder" in capsys.readouterr().err
