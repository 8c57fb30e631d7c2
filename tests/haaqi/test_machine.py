"""Properties of whole processes: memory, the cache of compiled code, equal bits on two targets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.haaqi.target import CPU_FEATURES, environment, is_fixed

ROOT = Path(__file__).resolve().parents[2]

SCORES = """
from tests.haaqi.cases import CASES
from harness.haaqi import haaqi_v1
for name in ("seconds, odd", "clipped, steep", "both 44100 Hz", "silent middle", "level 65"):
    print(name, *[value.hex() for value in CASES[name].run(haaqi_v1)])
"""

PEAK = """
import sys
import numpy as np
from harness.haaqi import Song
from harness.haaqi import precompile
precompile()
length = 24000 * int(sys.argv[1])
rng = np.random.default_rng(1)
reference = np.empty(length, np.float32)
processed = np.empty(length, np.float32)
for start in range(0, length, 24000):
    part = slice(start, start + 24000)
    reference[part] = 0.05 * rng.standard_normal(24000)
    processed[part] = reference[part] + 0.01 * rng.standard_normal(24000)
song = Song([reference], sample_rate=24000, levels=[90.0], seed=1)
assert 0 < song.score([processed], sample_rate=24000, audiograms=[[25, 30, 35, 45, 60, 65]])[0] < 1
from harness.evaluator.process import peak_memory  # imported late, so that it takes no memory before
files = int(open("/proc/self/status").read().partition("RssFile:")[2].split()[0]) * 1024
print(peak_memory(), files)
"""

HITS = """
import sys
import numpy as np
from harness.haaqi import Listening, Song, precompile
from harness.haaqi.alignment import overlap_save
from harness.haaqi.cochlea import compression, gammatone, noise
from harness.haaqi.features import channel
precompile()
if "batch" in sys.argv:
    reference = np.random.RandomState(1).standard_normal(4803).astype(np.float32)
    heard = [Listening(processed=[k * reference] * 2, audiograms=[[15.0 * k] * 6] * 2) for k in (1, 2, 3)]
    song = Song([reference] * 2, sample_rate=24000, levels=[65.0, 60.0], seed=0)
    assert all(isinstance(values, list) for values in song.score_all(heard, sample_rate=24000))
loops = (compression._compress, channel._extract, gammatone._summed_power, overlap_save.accumulate)
loops += (noise.fill_normals, noise.skip_normals)
stats = [loop.stats for loop in loops]
print(sum(sum(s.cache_hits.values()) for s in stats), sum(sum(s.cache_misses.values()) for s in stats))
"""


def _run(code: str, *args: str, variables: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *args],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [30, 240])
def test_peak_memory_stays_under_400_megabytes_beside_the_libraries(seconds: int, tmp_path: Path) -> None:
    # The first run compiles, which takes memory, too. Nobody else writes to this cache: tests run in parallel.
    # How much of the libraries' files is resident (110 to 175 MB) is the system's choice, not ours.
    variables = environment(cache_dir=tmp_path)
    _run(PEAK, str(seconds), variables=variables)
    peak, files = (int(number) for number in _run(PEAK, str(seconds), variables=variables).split())
    assert peak - files < 400e6, (peak, files)


@pytest.mark.slow
def test_two_targets_give_the_same_bits(tmp_path: Path) -> None:
    fixed = environment(cache_dir=tmp_path / "v3")
    other = {
        **environment(cache_dir=tmp_path / "haswell"),
        "NUMBA_CPU_NAME": "znver2",
        "NUMBA_CPU_FEATURES": CPU_FEATURES + ",-slow-3ops-lea",
    }
    assert _run(SCORES, variables=fixed) == _run(SCORES, variables=other)


@pytest.mark.slow
def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    variables = environment(cache_dir=tmp_path)
    first = [int(number) for number in _run(HITS, variables=variables).split()]
    files = {path.name for path in tmp_path.rglob("*.nb?")}
    second = [int(number) for number in _run(HITS, "batch", variables=variables).split()]
    assert first[0] == 0
    assert first[1] > 0
    assert second == [first[1], 0]
    assert {path.name for path in tmp_path.rglob("*.nb?")} == files


def test_fixed_target_is_recognised() -> None:
    assert is_fixed(environment())
    assert is_fixed({**environment(), "OMP_NUM_THREADS": "2"})
    assert not is_fixed({})
    assert not is_fixed({**environment(), "NUMBA_CPU_NAME": "native"})
