"""The evaluator's process: what it imports and when, its standard output, its memory, its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.protocol.lock import HARNESS
from harness.protocol.records import Done, EndMessage, Hello, Job, parse_line
from harness.protocol.variables import CACHE_ENV
from harness.sandbox.feed import message

ROOT = HARNESS.parent
NONCE = "0" * 32


def python(code: str, *, environment: dict[str, str] | None = None) -> str:
    """The standard output of a script in a process of its own."""
    variables = os.environ | {"PYTHONPATH": str(ROOT)} | (environment or {})
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=variables
    )
    return done.stdout


def test_numba_is_not_imported_before_its_cache_is_redirected() -> None:
    """Numba reads the folder of its cache at import."""
    names = "{'numba', 'soundfile'}"
    code = f"import sys, harness.evaluator.__main__; print(sorted({names} & set(sys.modules)))"
    assert python(code) == "[]\n"


def test_the_pyclarity_engine_loads_no_compiled_code_of_ours() -> None:
    code = """
import sys
import numpy as np
from harness.evaluator.engines import ENGINES
from harness.evaluator.references import References
ENGINES["pyclarity"](References("a song", (np.zeros(10, np.float32),) * 8, (65.0,) * 8))
import harness.evaluator.job
print(sorted(name for name in sys.modules if name == "numba" or name.startswith("harness.haaqi.")))
"""
    assert python(code) == "['harness.haaqi.listening']\n"


def test_precompiled_kernels_are_copied_to_where_numba_can_write(tmp_path: Path) -> None:
    compiled, temporary = tmp_path / "compiled", tmp_path / "temporary"
    compiled.mkdir()
    temporary.mkdir()
    (compiled / "kernel.nbc").write_text("code")
    compiled.chmod(0o555)
    code = """
from harness.evaluator.process import use_compiled_kernels
use_compiled_kernels()
import numba
print(numba.config.CACHE_DIR)
"""
    folder = python(code, environment={CACHE_ENV: str(compiled), "TMPDIR": str(temporary)}).strip()
    assert folder == str(temporary / "numba")
    assert Path(folder, "kernel.nbc").read_text() == "code"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems don't report it")
def test_the_memory_of_a_large_parent_is_not_counted() -> None:
    held = b"1" * 600_000_000
    peak = int(python("from harness.evaluator.process import peak_memory; print(peak_memory())"))
    assert 10_000_000 < peak < len(held)


def test_it_exits_when_the_host_closes_its_standard_input() -> None:
    code = "import time, harness.protocol.parent as p; p.exit_with_parent(); time.sleep(600)"
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, env=variables) as child:
        assert child.stdin is not None
        assert child.poll() is None
        child.stdin.close()
        assert child.wait(60) == 130


def evaluate(*, require_lock: bool) -> tuple[list[bytes], int]:
    """Runs `python -m harness.evaluator` on a job without questions; its lines and its exit code."""
    job = Job(nonce=NONCE, scorer_digest="0" * 64, require_lock=require_lock, engine="fast")
    variables = {name: value for name, value in os.environ.items() if name != CACHE_ENV}
    with subprocess.Popen(
        [sys.executable, "-m", "harness.evaluator"],
        cwd=ROOT,
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for piece in [*message(job), *message(EndMessage())]:
            child.stdin.write(piece)
        child.stdin.flush()
        return child.stdout.read().splitlines(), child.wait(60)


def test_a_job_without_the_lock_is_marked_as_unlocked() -> None:
    lines, code = evaluate(require_lock=False)
    assert code == 0
    first, last = (parse_line(line, nonce=NONCE) for line in lines)
    assert isinstance(first, Hello)
    assert isinstance(last, Done)
    assert not first.locked


def test_a_job_with_another_lock_is_refused() -> None:
    (line,), code = evaluate(require_lock=True)
    assert code == 3
    refusal = json.loads(line)
    assert refusal["type"] == "refusal"
    assert "000000000000… on the host" in refusal["message"]
