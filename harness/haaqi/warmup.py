"""Compilation of all loops ahead of time."""

from __future__ import annotations

import numpy as np

from harness.haaqi.alignment import lags
from harness.haaqi.song import Song


def precompile() -> None:
    """Compile every loop, or load it from Numba's cache.

    The cache is in NUMBA_CACHE_DIR if it is set, otherwise next to this package if that is writable, otherwise
    in the user's cache folder. Compiling takes about half a minute, loading about a second.
    """
    rng = np.random.RandomState(0)
    # With an odd length, the noise also splits a pair of normals.
    reference = rng.standard_normal(4801).astype(np.float32)
    Song([reference], sample_rate=24000, levels=[65.0], seed=0).score(
        [reference[::-1].copy()], sample_rate=24000, audiograms=[[30.0, 30.0, 30.0, 40.0, 50.0, 60.0]]
    )
    # With two equally good lags, the alignment within a channel uses all of its loops.
    once, twice = np.zeros(4801), np.zeros(4801)
    once[2000] = twice[2000] = twice[2100] = 1.0
    lags.best_delay(once, twice, length=4801)
