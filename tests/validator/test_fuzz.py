"""Fuzzing for a while: CAD1_FUZZ_SECONDS of it (CI asks for 60; by default a few)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).resolve().parent / "fuzz.py"
SECONDS = float(os.environ.get("CAD1_FUZZ_SECONDS", "8"))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="counts memory by /proc")
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
