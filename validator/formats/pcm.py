"""Samples as bytes, as FLAC's MD5, a fingerprint and a sandbox take them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


def little_endian(pcm: npt.NDArray[np.int16]) -> memoryview:
    """The samples' bytes, interleaved and little-endian; no copy is made of a little-endian C-order array."""
    return np.ascontiguousarray(pcm, dtype="<i2").data.cast("B")
