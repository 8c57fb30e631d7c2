"""A wrong constant in a compiled loop is detected by the test of its stage.

Constants are compiled into the loops, so they are changed in a copy of the sources. Constants that are read when a
stage is set up are in test_stages.py.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

MUTATIONS = [
    ("cochlea/gammatone.py", "real * t5", "real * t2", "filter widths"),
    (
        "cochlea/gammatone.py",
        "z3 + x * zero + y * second",
        "z3 + x * zero - y * second",
        "filters and compression",
    ),
    (
        "cochlea/gammatone.py",
        "c0 * step_cos + swap_neighbours(c0)",
        "c0 * step_cos - swap_neighbours(c0)",
        "filters and compression",
    ),
    ("cochlea/compression.py", "load(low_pass, 16)", "load(low_pass, 12)", "filters and compression"),
    ("kernels/elementary.py", "_E2 + z", "0.999 * _E2 + z", "filters and compression"),
    ("kernels/elementary.py", "+ _ROOT_HALF)", "+ _ROOT_HALF + (1 << 40))", "filters and compression"),
    (
        "alignment/overlap_save.py",
        "start - MAX_LAG, POINTS, length",
        "start - MAX_LAG + 1, POINTS, length",
        "alignment in a channel",
    ),
    ("cochlea/transduction.py", "SMALLEST = 1e-30", "SMALLEST = 1e-9", "inner hair cells"),
    ("cochlea/transduction.py", "20 * float(np.log10(2))", "6.0206", "inner hair cells"),
    ("cochlea/transduction.py", "load(synapse, 11)", "load(synapse, 12)", "inner hair cells"),
    ("cochlea/transduction.py", "load(synapse, 23)", "load(synapse, 22)", "inner hair cells"),
    ("cochlea/transduction.py", "synapse[32] * second", "synapse[31] * second", "inner hair cells"),
    ("cochlea/middle_ear.py", "smooth * c2", "smooth * c1", "middle ear"),
    ("cochlea/audibility.py", "levels[k] * doublings", "levels[k]", "average of the tiles"),
    ("alignment/correlation.py", "xr * yi - xi * yr", "xr * yi + xi * yr", "broadband alignment"),
    ("kernels/twister.py", "0x9908B0DF", "0x9908B0DE", "noise"),
    ("cochlea/noise.py", "-2.0 * _LN2", "-2.000001 * _LN2", "noise"),
    ("features/smoothing.py", "HALF + k), down", "HALF - k), down", "smoothing"),
    (
        "features/covariance.py",
        "LAGS = 2 * MAX_LAG + 1",
        "LAGS = 2 * MAX_LAG - 20",
        "tiles of fine structure",
    ),
    ("features/covariance.py", "load(x, k + 48)", "load(x, k + 40)", "tiles of fine structure"),
    ("features/covariance.py", "math.sqrt(square * 2.0)", "math.sqrt(square)", "tiles of fine structure"),
]

DISTANCE = """
import json, sys
import numpy as np
from tests.haaqi.stages import STAGES
computed = STAGES[sys.argv[1]].computed()
golden = np.array(json.load(open("tests/haaqi/golden.json"))["stages"][sys.argv[1]])
same_shape = computed.shape == golden.shape
print(float(np.max(np.abs(computed - golden)) / np.max(np.abs(golden))) if same_shape else "inf")
"""


def _distance(stage: str, sources: Path, cache: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-c", DISTANCE, stage],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(sources)},
        cwd=sources,
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


def _copy(target: Path) -> Path:
    """Copy the metric and its tests."""
    for folder in ("harness/haaqi", "tests/haaqi"):
        shutil.copytree(ROOT / folder, target / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (target / "harness" / "__init__.py").touch()
    return target


@pytest.mark.slow
@pytest.mark.parametrize(("name", "right", "wrong", "stage"), MUTATIONS)
def test_wrong_loop_is_detected(name: str, right: str, wrong: str, stage: str, tmp_path: Path) -> None:
    sources = _copy(tmp_path / "sources")
    file = sources / "harness" / "haaqi" / name
    text = file.read_text()
    assert text.count(right) >= 1
    file.write_text(text.replace(right, wrong, 1))
    distance = _distance(stage, sources, tmp_path / "cache")
    assert not distance <= 1e-9


@pytest.mark.slow
def test_unchanged_copy_is_right(tmp_path: Path) -> None:
    sources = _copy(tmp_path / "sources")
    golden = json.loads((Path(__file__).parent / "golden.json").read_text())
    for stage in ("noise", "smoothing"):
        assert stage in golden["stages"]
        assert _distance(stage, sources, tmp_path / "cache") <= 1e-9
