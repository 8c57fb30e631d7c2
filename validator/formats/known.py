"""A FLAC file with a known answer, with which a decoder is tested."""

from __future__ import annotations

import numpy as np

FRAMES = 64
RATE = 24000

FLAC = bytes.fromhex(
    "664c6143800000221000100000005500005505dc00f00000004053ac612b5dd832ebbc8287a177e3b531fff86708003f641001c4788d3fcd"
    "923d2b404f2c4808347a5e3c94c171b1690bb3a8c3acfd933d88a32d88412154aaee0106697ba449036348ac682d6dd96bc329d5aeb2797a"
    "2ed20611cc445a113f878a0ec03718"
)
"""`expected()` as libFLAC 1.4.3 encodes it: mono, 16 bit, with an MD5."""


def expected() -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """The samples of `FLAC`: int16, shape (FRAMES,)."""
    return np.array([n**3 % 401 - 200 for n in range(FRAMES)], dtype=np.int16)
