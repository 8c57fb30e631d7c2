"""Fuzzes for CAD1_FUZZ_SECONDS (60 in CI; a few by default)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).resolve().parent / "fuzz.py"
SECONDS = float(os.environ.get("CAD1_FUZZ_SECONDS", "8"))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="measures memory with /proc")
def test_fuzz(tmp_path):
    seed = os.environ.get("CAD1_FUZZ_SEED", "1")
    done = subprocess.run(
        [sys.executable, str(FUZZ), "--seconds", str(SECONDS), "--seed", seed],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS * 3 + 120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "archive: invalid" in done.stdout
