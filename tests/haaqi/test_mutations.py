"""A wrong constant inside a compiled loop is noticed by the test of its stage.

Compiled loops hold their constants, so that these have to be changed in a copy of the sources. Those
that are read when a stage is set up are in test_stages.py.
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
    ("gammatone.py", "real * t5", "real * t2", "filter widths"),
    ("gammatone.py", "z3 + x * zero + y * second", "z3 + x * zero - y * second", "filters and compression"),
    ("gammatone.py", "c0 * turn_cos + swap_neighbours(c0)", "c0 * turn_cos - swap_neighbours(c0)", "filters and compression"),
    ("compression.py", "load(low_pass, 16)", "load(low_pass, 12)", "filters and compression"),
    ("elementary.py", "_E2 + z", "0.999 * _E2 + z", "filters and compression"),
    ("elementary.py", "+ _ROOT_HALF)", "+ _ROOT_HALF + (1 << 40))", "filters and compression"),
    (
        "overlap_save.py",
        "start - MAX_LAG, POINTS, length",
        "start - MAX_LAG + 1, POINTS, length",
        "alignment in a channel",
    ),
    ("transduction.py", "SMALLEST = 1e-30", "SMALLEST = 1e-9", "inner hair cells"),
    ("transduction.py", "20 * float(np.log10(2))", "6.0206", "inner hair cells"),
    ("transduction.py", "load(synapse, 11)", "load(synapse, 12)", "inner hair cells"),
    ("transduction.py", "load(synapse, 23)", "load(synapse, 22)", "inner hair cells"),
    ("transduction.py", "synapse[32] * second", "synapse[31] * second", "inner hair cells"),
    ("middle_ear.py", "smooth * c2", "smooth * c1", "middle ear"),
    ("loudness.py", "levels[k] * doublings", "levels[k]", "average of the tiles"),
    ("correlation.py", "xr * yi - xi * yr", "xr * yi + xi * yr", "broadband alignment"),
    ("twister.py", "0x9908B0DF", "0x9908B0DE", "noise"),
    ("noise.py", "-2.0 * _LN2", "-2.000001 * _LN2", "noise"),
    ("smoothing.py", "HALF + k), down", "HALF - k), down", "smoothing"),
    ("covariance.py", "LAGS = 2 * MAX_LAG + 1", "LAGS = 2 * MAX_LAG - 20", "tiles of fine structure"),
    ("covariance.py", "load(x, k + 48)", "load(x, k + 40)", "tiles of fine structure"),
    ("covariance.py", "math.sqrt(square * 2.0)", "math.sqrt(square)", "tiles of fine structure"),
]

DISTANCE = """
import json, sys
sys.path[:0] = sys.argv[1:3]
import numpy as np
import haaqi_stages
stage = haaqi_stages.STAGES[sys.argv[3]]
golden = np.array(json.load(open(sys.argv[2] + "/golden.json"))["stages"][sys.argv[3]])
ours = stage.ours()
print(float(np.max(np.abs(ours - golden)) / np.max(np.abs(golden))) if ours.shape == golden.shape else "inf")
"""


def _distance(stage: str, sources: Path, cache: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-c", DISTANCE, str(sources), str(Path(__file__).parent), stage],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
        cwd=sources,
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


def _copy(target: Path) -> Path:
    shutil.copytree(
        ROOT / "harness" / "haaqi", target / "harness" / "haaqi", ignore=shutil.ignore_patterns("__pycache__")
    )
    (target / "harness" / "__init__.py").touch()
    return target


@pytest.mark.slow
@pytest.mark.parametrize(("name", "right", "wrong", "stage"), MUTATIONS)
def test_wrong_loop_is_noticed(name: str, right: str, wrong: str, stage: str, tmp_path: Path) -> None:
    sources = _copy(tmp_path / "sources")
    file = sources / "harness" / "haaqi" / name
    text = file.read_text()
    assert text.count(right) >= 1
    file.write_text(text.replace(right, wrong, 1))
    distance = _distance(stage, sources, tmp_path / "cache")
    assert not distance <= 1e-9


@pytest.mark.slow
def test_an_unchanged_copy_is_right(tmp_path: Path) -> None:
    sources = _copy(tmp_path / "sources")
    golden = json.loads((Path(__file__).parent / "golden.json").read_text())
    for stage in ("noise", "smoothing"):
        assert stage in golden["stages"]
        assert _distance(stage, sources, tmp_path / "cache") <= 1e-9
