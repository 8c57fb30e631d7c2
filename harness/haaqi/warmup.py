"""Compiling everything before it is needed."""

from __future__ import annotations

import numpy as np

from harness.haaqi.alignment import lags
from harness.haaqi.song import Song


def precompile() -> None:
    """Compile every loop, or load it from Numba's cache.

    Where the cache is, Numba's own rules say: NUMBA_CACHE_DIR if it is set, otherwise beside this
    package if that can be written, otherwise the user's cache folder. Compiling takes about half a
    minute, loading about a second.
    """
    rng = np.random.RandomState(0)
    # An odd length makes the noise split a pair of normals, too.
    reference = rng.standard_normal(4801).astype(np.float32)
    Song([reference], sample_rate=24000, levels=[65.0], seed=0).score(
        [reference[::-1].copy()], sample_rate=24000, audiograms=[[30.0, 30.0, 30.0, 40.0, 50.0, 60.0]]
    )
    # Two lags that fit equally well make the alignment in a channel go through all that it may need.
    once, twice = np.zeros(4801), np.zeros(4801)
    once[2000] = twice[2000] = twice[2100] = 1.0
    lags.best_delay(once, twice, length=4801)
